package pionnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
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
			client, mine := allocated(t, aRelay(t), over)
			// The relay does not permit this address, and the client does not wait for its refusal.
			if _, err := mine.WriteTo([]byte("is this heard?"), &net.UDPAddr{IP: net.IPv4(10, 99, 0, 1), Port: 9}); err != nil {
				t.Error(err)
			}
			// From then on the server answers.
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

// allocated returns a client of a relay, and its allocation.
func allocated(t *testing.T, server *relay.Relay, over string) (*turn.Client, net.PacketConn) {
	t.Helper()
	list := server.Credentials("customer", nil)
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
	network := NewTURNNet(t.Context(), machine, []webrtc.ICEServer{{Username: credentials.Username, Credential: credentials.Credential}}, nil, nil, nil)
	var conn net.PacketConn
	if over == "udp" {
		conn, err = network.ListenPacket("udp4", "127.0.0.1:0")
	} else {
		c, wrong := network.Dial("tcp4", address)
		conn, err = turn.NewSTUNConn(c), wrong
	}
	if err != nil {
		t.Fatal(err)
	}
	return allocates(t, conn, address, credentials.Username, credentials.Credential)
}

// allocates returns a client of the TURN server that conn leads to, and its allocation.
func allocates(t *testing.T, conn net.PacketConn, address, user, password string) (*turn.Client, net.PacketConn) {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() }) // the client may have
	client, err := turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: address, Conn: conn, Username: user, Password: password,
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
