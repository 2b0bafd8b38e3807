package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v5/stdnet"
	"github.com/pion/turn/v5"
	"github.com/pion/webrtc/v4"

	"p2pchat/signaling/relay"
)

func TestPermissionsCostNoTime(t *testing.T) {
	for _, over := range []string{"udp", "tcp"} {
		t.Run("over "+over, func(t *testing.T) {
			client, mine := allocated(t, aRelay(t), over, nil)
			// The relay permits no such address, and whoever asks does not wait to hear that.
			if _, err := mine.WriteTo([]byte("is this heard?"), &net.UDPAddr{IP: net.IPv4(10, 99, 0, 1), Port: 9}); err != nil {
				t.Error(err)
			}
			// From then on the server says whether it still does, or what else it wants.
			if err := client.CreatePermission(&net.UDPAddr{IP: net.IPv4(10, 99, 0, 1), Port: 9}); err == nil {
				t.Error("a refresh is not the server's to refuse")
			}
			// A permitted one works.
			for i := range 3 {
				text := bytes.Repeat([]byte{byte(i)}, 1000+i)
				if _, err := mine.WriteTo(text, mine.LocalAddr()); err != nil {
					t.Fatal(err)
				}
				b := make([]byte, 2000)
				if err := mine.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
					t.Fatal(err)
				}
				n, _, err := mine.ReadFrom(b)
				if err != nil || !bytes.Equal(b[:n], text) {
					t.Errorf("it hears %d bytes, %v", n, err)
				}
			}
		})
	}
}

// A TURN server learns no private address that the other side is not reached at from outside.
func TestPermissionsTellNoPrivateAddress(t *testing.T) {
	for _, over := range []string{"udp", "tcp"} {
		t.Run("over "+over, func(t *testing.T) {
			server, outside := aRelay(t), &outsideAddresses{}
			client, mine := allocated(t, server, over, outside)
			for _, private := range []string{"10.99.0.1", "192.168.1.7", "100.64.0.1", "169.254.1.1", "fd00::1", "fe80::1"} {
				to := &net.UDPAddr{IP: net.ParseIP(private), Port: 9}
				for range 2 {
					if _, err := mine.WriteTo([]byte("is this heard?"), to); err == nil || !strings.Contains(err.Error(), "Forbidden") {
						t.Errorf("sending to %s: %v", private, err)
					}
				}
			}
			// The answers come in order: the server has had all that was sent before.
			if err := client.CreatePermission(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}); err == nil {
				t.Error("the address of this machine is no private one")
			}
			outside.add(netip.MustParseAddr("127.0.0.1"))
			if err := client.CreatePermission(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}); err != nil {
				t.Error(err)
			}
			if n := server.Stats().Refused[relay.RefusedPeer]; n != 0 {
				t.Errorf("the server was asked for %d private addresses", n)
			}
		})
	}
}

// allocated returns a client of a relay, and its allocation.
func allocated(t *testing.T, server *relay.Relay, over string, outside *outsideAddresses) (*turn.Client, net.PacketConn) {
	t.Helper()
	list := server.Credentials("somebody", nil)
	credentials := list[len(list)-1]
	address := ""
	for _, u := range credentials.URLs {
		if rest, ok := strings.CutSuffix(u, "?transport="+over); ok {
			address = strings.TrimPrefix(rest, "turn:")
		}
	}
	machine, err := stdnet.NewNet()
	if err != nil {
		t.Fatal(err)
	}
	network := newPermissive(machine, []webrtc.ICEServer{{Username: credentials.Username, Credential: credentials.Credential}}, outside)
	var conn net.PacketConn
	if over == "udp" {
		conn, err = network.ListenPacket("udp4", "127.0.0.1:0")
	} else {
		at, wrong := net.ResolveTCPAddr("tcp", address)
		if wrong != nil {
			t.Fatal(wrong)
		}
		c, wrong := network.DialTCP("tcp", nil, at)
		conn, err = turn.NewSTUNConn(c), wrong
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the client may have
	client, err := turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: address, Conn: conn, Username: credentials.Username, Password: credentials.Credential,
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := client.Listen(); err != nil {
		t.Fatal(err)
	}
	mine, err := client.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mine.Close() }) // nothing is on its way
	return client, mine
}

func TestPermissionsLeaveTLSAlone(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS() // for its certificate
	defer server.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server.TLS)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // it may be closed
	echoed := make(chan struct{})
	go func() {
		defer close(echoed)
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(c, c) // ends with the connection
			c.Close()
		}
	}()
	machine, err := stdnet.NewNet()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := newPermissive(machine, nil, nil).DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own
	for size := 1; size < 2000; size += 7 {
		text := bytes.Repeat([]byte{byte(size)}, size)
		if _, err := c.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, size)
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("of %d bytes: %v", size, err)
		}
	}
	_ = c.Close() // the echo may have ended
	<-echoed
}

func aRelay(t *testing.T) *relay.Relay {
	t.Helper()
	r, err := relay.New(relay.Config{Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var udp net.PacketConn
	var tcp net.Listener
	for tcp == nil { // another test may have the port
		if udp, err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if tcp, err = net.Listen("tcp4", udp.LocalAddr().String()); err != nil && !errors.Is(errors.Join(err, udp.Close()), syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- r.Serve(ctx, relay.Listeners{UDP: []net.PacketConn{udp}, TCP: []net.Listener{tcp}, Ready: func() { close(ready) }})
	}()
	<-ready
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}
