package quicpath

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"
)

// A hostile side speaks QUIC as it likes.
type hostile struct {
	transport quic.Transport
	to        net.Addr
	tls       *tls.Config
}

func newHostile(t *testing.T, w *wire, keys Keys) *hostile {
	t.Helper()
	config, err := mutual(keys)
	if err != nil {
		t.Fatal(err)
	}
	h := &hostile{transport: quic.Transport{Conn: w.near}, to: w.far.LocalAddr(), tls: config}
	t.Cleanup(func() { _ = errors.Join(h.transport.Close(), w.near.Close()) })
	return h
}

func (h *hostile) dial(t *testing.T) (*quic.Conn, error) {
	t.Helper()
	return h.transport.Dial(t.Context(), h.to, h.tls, settings(-1))
}

func TestHostileSides(t *testing.T) {
	callers, callees := keys()
	with := func(t *testing.T, test func(t *testing.T, h *hostile, callee side)) {
		synctest.Test(t, func(t *testing.T) {
			w := newWire(t)
			test(t, newHostile(t, w, callers), newSide(t, w.far, w.near, callees))
		})
	}
	// served waits until all places are free again, and opens a channel as an honest side does.
	served := func(t *testing.T, h *hostile, callee side) {
		t.Helper()
		time.Sleep(silence + 2*handshakeLimit)
		if n := callee.theirs.Load(); n != 0 {
			t.Errorf("%d connections are held", n)
		}
		conn, err := h.dial(t)
		if err != nil {
			t.Fatal(err)
		}
		s, err := conn.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte{version}); err != nil {
			t.Fatal(err)
		}
		put(t, &channel{conn: conn, stream: s}, <-callee.accepted, []byte("honest"))
	}

	t.Run("have few connections at a time, though they never end a handshake", func(t *testing.T) {
		with(t, func(t *testing.T, h *hostile, callee side) {
			stuck := h.tls.Clone()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stuck.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			ended := make(chan error, 200)
			for range cap(ended) {
				go func() {
					_, err := h.transport.Dial(ctx, h.to, stuck, settings(-1))
					ended <- err
				}()
			}
			for range 100 {
				time.Sleep(time.Millisecond)
				if n := callee.theirs.Load(); n > most {
					t.Fatalf("%d connections are held", n)
				}
			}
			if n := callee.theirs.Load(); n != most {
				t.Errorf("%d connections are held: the test does not reach the limit", n)
			}
			time.Sleep(3 * handshakeLimit)
			if n := callee.theirs.Load(); n != 0 {
				t.Errorf("%d connections are held for ever", n)
			}
			cancel()
			for range cap(ended) {
				if err := <-ended; err == nil {
					t.Error("a connection without a certificate is up")
				}
			}
			served(t, h, callee)
		})
	})

	t.Run("lose connections on which no channel begins", func(t *testing.T) {
		with(t, func(t *testing.T, h *hostile, callee side) {
			for name, begin := range map[string]func(*quic.Conn) error{
				"no stream":       func(*quic.Conn) error { return nil },
				"an empty stream": func(c *quic.Conn) error { _, err := c.OpenStream(); return err },
				"another version": func(c *quic.Conn) error {
					s, err := c.OpenStream()
					if err == nil {
						_, err = s.Write([]byte{version + 1})
					}
					return err
				},
				"a stream that ends": func(c *quic.Conn) error {
					s, err := c.OpenStream()
					if err == nil {
						err = s.Close()
					}
					return err
				},
			} {
				conn, err := h.dial(t)
				if err = errors.Join(err, begin(conn)); err != nil {
					t.Fatal(name, ": ", err)
				}
				begun := time.Now()
				<-conn.Context().Done()
				if took := time.Since(begun); took > 2*handshakeLimit {
					t.Errorf("%s: it is held for %v", name, took)
				}
			}
			served(t, h, callee)
		})
	})

	t.Run("open one stream, and no datagram", func(t *testing.T) {
		with(t, func(t *testing.T, h *hostile, callee side) {
			conn, err := h.dial(t)
			if err != nil {
				t.Fatal(err)
			}
			s, err := conn.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write([]byte{version}); err != nil {
				t.Fatal(err)
			}
			<-callee.accepted
			for range 1000 {
				_, err := conn.OpenStream()
				_, errUni := conn.OpenUniStream()
				for _, err := range []error{err, errUni} {
					if _, ok := errors.AsType[*quic.StreamLimitReachedError](err); !ok {
						t.Fatalf("a further stream is not refused: %v", err)
					}
				}
			}
			_ = conn.CloseWithError(0, "") // it never fails
			served(t, h, callee)
		})
	})

	t.Run("are not ahead of a reader by more than the window", func(t *testing.T) {
		with(t, func(t *testing.T, h *hostile, callee side) {
			conn, err := h.dial(t)
			if err != nil {
				t.Fatal(err)
			}
			s, err := conn.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write([]byte{version}); err != nil {
				t.Fatal(err)
			}
			<-callee.accepted // nothing reads it
			if err := s.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if n, err := s.Write(make([]byte, 4*window)); err == nil || n > window {
				t.Errorf("%d bytes went out (%v)", n, err)
			}
		})
	})
}

// Garbage from the other side's address is no connection, and keeps none from being made.
func TestGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		_, callees := keys()
		callee := newSide(t, w.far, w.near, callees)
		for first := range 256 {
			for _, size := range []int{1, 20, 1200} {
				packet := append([]byte{byte(first), 0, 0, 0, 1, 8}, bytes.Repeat([]byte{9}, size)...)
				if _, err := w.near.WriteTo(packet, w.far.LocalAddr()); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(silence)
		if n := callee.theirs.Load(); n != 0 {
			t.Errorf("%d connections are held", n)
		}
		callers, _ := keys()
		near, far := open(t, newSide(t, w.near, w.far, callers), callee)
		put(t, near, far, []byte("after garbage"))
	})
}
