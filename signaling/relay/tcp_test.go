package relay

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A scripted listener returns from Accept what the next step returns.
type scripted struct {
	net.Listener
	steps chan func() (net.Conn, error)
}

func (l *scripted) Accept() (net.Conn, error) {
	if step, ok := <-l.steps; ok {
		return step()
	}
	return nil, net.ErrClosed
}

func (l *scripted) Close() error { return nil }

// A remote is a connection that seems to come from another address.
type remote struct {
	net.Conn
	from net.Addr
}

func (c remote) RemoteAddr() net.Addr { return c.from }

// from returns a connection from an address, and its other end.
func from(address string) (c remote, other net.Conn) {
	here, there := net.Pipe()
	return remote{here, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))}, there
}

func bareListener(t *testing.T, config *tls.Config) *tcpListener {
	t.Helper()
	r, err := New(Config{Addresses: []netip.Addr{loopback}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.refused.Close)
	return newTCPListener(&scripted{steps: make(chan func() (net.Conn, error), 8)}, config, r)
}

// A process that has too many open files for a moment accepts connections later.
func TestNoMoreFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := bareListener(t, nil)
		steps := g.Listener.(*scripted).steps
		for range 3 {
			steps <- func() (net.Conn, error) { return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE} }
		}
		c, _ := from("192.0.2.1:9")
		steps <- func() (net.Conn, error) { return c, nil }
		if got, err := g.Accept(); err != nil || got.RemoteAddr() != c.from {
			t.Errorf("it accepts %v, %v", got, err)
		}
		if n := g.relay.Stats().Refused[RefusedFiles]; n != 3 {
			t.Errorf("%d failures are counted", n)
		}
		close(steps)
		_ = g.Close()
		if _, err := g.Accept(); err == nil {
			t.Error("it accepts after Close")
		}
		g.relay.refused.Close()
	})
}

// IPv6 connections are counted by network of 64 bits.
func TestConnectionsOfANetwork(t *testing.T) {
	g := bareListener(t, nil)
	admitted := func(address string) bool {
		c, other := from(address)
		t.Cleanup(func() { _, _ = c.Close(), other.Close() })
		return g.admit(c) != nil
	}
	for i := range maxConnectionsFrom {
		if !admitted(fmt.Sprintf("[2001:db8:0:1:%x::1]:9", i)) {
			t.Fatalf("connection %d", i)
		}
	}
	if admitted("[2001:db8:0:1:ffff::1]:9") {
		t.Error("the network may have one connection more")
	}
	if !admitted("[2001:db8:0:2::1]:9") || !admitted("192.0.2.1:9") {
		t.Error("others are refused")
	}
	if n := g.relay.Stats().Refused[RefusedConnection]; n != 1 {
		t.Errorf("%d refusals are counted", n)
	}
}

// A client that sends a byte a second and reads nothing is disconnected if it has not shown
// credentials in time, whether it sends a message, a TLS handshake, or causes a TLS alert.
func TestSlowConnections(t *testing.T) {
	for name, bytes := range map[string][]byte{
		"a message":       {0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42},
		"ChannelData":     {0x40, 0, 0xff, 0xff},
		"a TLS handshake": {handshakeRecord, 3, 1, 0, 0xff, 1},
		"an alert of TLS": {handshakeRecord, 3, 1, 0xff, 0xff, 1},
		"nothing":         nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := bareListener(t, &tls.Config{MinVersion: tls.VersionTLS12})
				raw, other := from("192.0.2.1:9")
				c := g.admit(raw)
				began, ended := time.Now(), make(chan struct{})
				go func() {
					defer close(ended)
					for i := 0; len(bytes) > 0; i++ {
						b := byte(0)
						if i < len(bytes) {
							b = bytes[i]
						}
						if _, err := other.Write([]byte{b}); err != nil {
							return
						}
						time.Sleep(time.Second)
					}
				}()
				_, err := c.Read(make([]byte, maxMessage+1))
				if took := time.Since(began); err == nil || took > authTimeout+writeTimeout {
					t.Errorf("it was read for %v, %v", took, err)
				}
				_, _ = c.Close(), other.Close()
				<-ended
				g.relay.refused.Close()
			})
		})
	}
}
