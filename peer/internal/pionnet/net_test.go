package pionnet

import (
	"context"
	"net"
	"strconv"
	"testing"
)

// A machine's network finds servers by their names, and connects to them, until its context ends.
func TestServersByName(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	defer end()
	n, err := NewNet(ctx)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // of a test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // nothing is on its way
	port := l.Addr().(*net.TCPAddr).Port
	server := net.JoinHostPort("localhost", strconv.Itoa(port))
	if at, err := n.ResolveUDPAddr("udp4", server); err != nil || at.String() != l.Addr().String() {
		t.Errorf("%s has the UDP address %s: %v", server, at, err)
	}
	at, err := n.ResolveTCPAddr("tcp4", server)
	if err != nil || at.String() != l.Addr().String() {
		t.Fatalf("%s has the TCP address %s: %v", server, at, err)
	}
	c, err := n.DialTCP("tcp4", nil, at)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close() // it was only opened
	if own, err := n.DialTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, at); err != nil || own.LocalAddr().(*net.TCPAddr).IP.String() != "127.0.0.1" {
		t.Errorf("from an address of this machine: %v", err)
	} else {
		_ = own.Close() // it was only opened
	}
	for _, wrong := range []string{"no port", "name.invalid:3478"} {
		if at, err := n.ResolveUDPAddr("udp4", wrong); err == nil {
			t.Errorf("%q has the UDP address %s", wrong, at)
		}
		if at, err := n.ResolveTCPAddr("tcp4", wrong); err == nil {
			t.Errorf("%q has the TCP address %s", wrong, at)
		}
	}
	end()
	if c, err := n.DialTCP("tcp4", nil, at); err == nil {
		_ = c.Close() // it was only opened
		t.Error("a connection begins after the end")
	}
}

// A network keeps no socket that was closed: a call whose other side lets it open some again and again takes no more memory.
func TestClosedSocketsAreForgotten(t *testing.T) {
	n, err := NewNet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held, err := n.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close() //nolint:errcheck // nothing is on its way
	for range 100 {
		c, err := n.ListenUDP("udp4", &net.UDPAddr{})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close() // nothing is on its way
		if c, err := n.ListenPacket("udp4", "0.0.0.0:0"); err == nil {
			_ = c.Close() // nothing is on its way
		}
	}
	all := n.routes.sockets()
	if len(all) > 2 { // the open one, and the last
		t.Errorf("%d sockets are kept, and 1 is open", len(all))
	}
	if all[0].LocalAddr().String() != held.LocalAddr().String() {
		t.Error("the open socket was forgotten")
	}
}
