package relay

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
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

// listening returns a tcpListener on loopback, and a function that connects to it.
func listening(t *testing.T, config *tls.Config) (g *tcpListener, dial func() (near *conn, far net.Conn)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(Config{Addresses: []netip.Addr{loopback}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	g = newTCPListener(l, config, r)
	t.Cleanup(func() { _ = g.Close() }) // a test may have closed it
	return g, func() (near *conn, far net.Conn) {
		t.Helper()
		far, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { far.Close() })
		c, err := g.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c.(*conn), far
	}
}

func TestTCPListener(t *testing.T) {
	t.Run("a client that shows no credentials is disconnected, whatever it sends", func(t *testing.T) {
		secure := &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}
		for name, says := range map[string]string{"nothing": "", "half a request": "\x00\x01", "half of TLS": "\x16\x03\x01"} {
			_, dial := listening(t, secure)
			near, far := dial()
			near.until = time.Now().Add(100 * time.Millisecond)
			if _, err := io.WriteString(far, says); err != nil {
				t.Fatal(err)
			}
			var err error
			for err == nil {
				_, err = near.Read(make([]byte, 4))
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})

	t.Run("a client that has shown credentials is not", func(t *testing.T) {
		r := serving(t, Config{})
		allocate(t, client(t, r.Credentials("a", nil), "tcp"))
		if _, err := client(t, []signaling.ICEServer{{URLs: r.Credentials("b", nil)[1].URLs, Username: r.Credentials("b", nil)[1].Username, Credential: "wrong"}}, "tcp").Allocate(); err == nil {
			t.Error("a wrong password is accepted")
		}
		authenticated, g := 0, r.listeners[0]
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, c := range g.open {
			c.mu.Lock()
			if c.until.IsZero() {
				authenticated++
			}
			c.mu.Unlock()
		}
		if authenticated != 1 {
			t.Errorf("%d of %d connections have shown credentials", authenticated, len(g.open))
		}
	})

	t.Run("connections of one address are limited, and a closed one does not count", func(t *testing.T) {
		g, dial := listening(t, nil)
		for range 2 {
			var all []*conn
			for range maxConnectionsFrom {
				near, _ := dial()
				all = append(all, near)
			}
			one, err := net.Dial("tcp", g.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			accepted := make(chan net.Conn, 1)
			go func() {
				c, _ := g.Accept() // nil after Close
				accepted <- c
			}()
			if _, err := one.Read(make([]byte, 1)); err == nil {
				t.Error("one more is accepted")
			}
			one.Close()
			for _, c := range all {
				_ = c.Close() // nothing is on its way
			}
			last, err := net.Dial("tcp", g.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			(<-accepted).Close()
			last.Close()
		}
	})

	t.Run("a client that does not read delays a write for a limited time", func(t *testing.T) {
		_, dial := listening(t, nil)
		near, _ := dial()
		if _, err := near.Write(nil); err != nil {
			t.Fatal(err)
		}
		if err := near.SetWriteDeadline(time.Now()); err != nil { // as Write does, but sooner
			t.Fatal(err)
		}
		if _, err := near.Conn.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})

	t.Run("Close closes all connections", func(t *testing.T) {
		g, dial := listening(t, nil)
		_, far := dial()
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := far.Read(make([]byte, 1)); err == nil {
			t.Error("one is still open")
		}
	})

	t.Run("bytes that are not a message end a connection, as does TLS without a certificate", func(t *testing.T) {
		for name, says := range map[string]string{
			"TLS": "\x16\x03\x01\x02\x00" + strings.Repeat("\x01", 40), "HTTP": "GET / HTTP/1.1\r\n", "a huge message": "\x00\x01\xff\xfc\x21\x12\xa4\x42" + strings.Repeat("\x01", 40), "huge data": "\x40\x00\xff\xff",
		} {
			_, dial := listening(t, nil)
			near, far := dial()
			if _, err := io.WriteString(far, says); err != nil {
				t.Fatal(err)
			}
			if n, err := near.Read(make([]byte, 2000)); !errors.Is(err, errMessage) {
				t.Error(name, n, err)
			}
		}
	})
}
