package quicpath

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v5/vnet"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const most = 4 // connections of the other side at a time

// A wire joins two sockets, in virtual time.
type wire struct {
	near, far net.PacketConn
	cut       atomic.Bool
}

func newWire(t *testing.T) *wire {
	t.Helper()
	router, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: "10.0.0.0/24", MinDelay: time.Millisecond, LoggerFactory: logging.NewDefaultLoggerFactory()})
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{}
	router.AddChunkFilter(func(vnet.Chunk) bool { return !w.cut.Load() })
	for address, conn := range map[string]*net.PacketConn{"10.0.0.1": &w.near, "10.0.0.2": &w.far} {
		n, err := vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{address}})
		if err = errors.Join(err, router.AddNet(n)); err != nil {
			t.Fatal(err)
		}
		c, err := n.ListenPacket("udp4", address+":5000")
		if err != nil {
			t.Fatal(err)
		}
		*conn = c
	}
	if err := router.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := router.Stop(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func keys() (caller, callee Keys) {
	caller = Keys{Own: [ed25519.SeedSize]byte{1}, Theirs: [ed25519.SeedSize]byte{2}}
	return caller, Keys{Own: caller.Theirs, Theirs: caller.Own}
}

// A side is a Path with what it has accepted.
type side struct {
	*Path
	to       net.Addr
	accepted chan io.ReadWriteCloser
}

func newSide(t *testing.T, conn, to net.PacketConn, keys Keys) side {
	t.Helper()
	s := side{to: to.LocalAddr(), accepted: make(chan io.ReadWriteCloser, 100)}
	var err error
	s.Path, err = New(conn, keys, most, func(c io.ReadWriteCloser) { s.accepted <- c }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // a test may have closed it
	return s
}

// joined returns two sides that know each other.
func joined(t *testing.T) (w *wire, caller, callee side) {
	t.Helper()
	w = newWire(t)
	callers, callees := keys()
	return w, newSide(t, w.near, w.far, callers), newSide(t, w.far, w.near, callees)
}

func open(t *testing.T, from, to side) (near, far io.ReadWriteCloser) {
	t.Helper()
	near, err := from.Open(t.Context(), from.to)
	if err != nil {
		t.Fatal(err)
	}
	return near, <-to.accepted
}

func put(t *testing.T, from, to io.ReadWriter, message []byte) {
	t.Helper()
	if _, err := from.Write(message); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100_000)
	if n, err := to.Read(b); err != nil || !bytes.Equal(b[:n], message) {
		t.Fatalf("read %d bytes of %d (%v)", n, len(message), err)
	}
}

func TestChannels(t *testing.T) {
	t.Run("carry whole messages, both ways, from either side", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, caller, callee := joined(t)
			for _, ends := range [][2]side{{caller, callee}, {callee, caller}} {
				near, far := open(t, ends[0], ends[1])
				for _, size := range []int{1, 64<<10 + 1, 0, 9} {
					put(t, near, far, bytes.Repeat([]byte{7}, size))
					put(t, far, near, bytes.Repeat([]byte{8}, size))
				}
			}
		})
	})

	t.Run("end on both sides", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, caller, callee := joined(t)
			near, far := open(t, caller, callee)
			_ = near.Close()
			if _, err := far.Read(make([]byte, 10)); !errors.Is(err, io.EOF) {
				t.Errorf("the other side hears %v", err)
			}
			if _, err := near.Read(make([]byte, 10)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("this side hears %v", err)
			}
			near, far = open(t, caller, callee)
			_ = callee.Close()
			if _, err := near.Read(make([]byte, 10)); err == nil {
				t.Error("a channel outlives its path")
			}
			_ = far.Close()
			if _, err := callee.Open(t.Context(), callee.to); err == nil {
				t.Error("a closed path opens a channel")
			}
		})
	})

	t.Run("end when the other side falls silent, and not while it only has nothing to say", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, caller, callee := joined(t)
			near, far := open(t, caller, callee)
			time.Sleep(time.Minute)
			put(t, near, far, []byte("still there"))
			w.cut.Store(true)
			begun := time.Now()
			if _, err := near.Read(make([]byte, 10)); err == nil || time.Since(begun) > silence+keepAlive {
				t.Errorf("it says %v after %v", err, time.Since(begun))
			}
			begun = time.Now()
			if _, err := caller.Open(t.Context(), caller.to); err == nil || time.Since(begun) > handshakeLimit {
				t.Errorf("Open says %v after %v", err, time.Since(begun))
			}
		})
	})

	t.Run("end with a message that is too long", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, caller, callee := joined(t)
			near, far := open(t, caller, callee)
			if _, err := near.Write(make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			if _, err := far.Read(make([]byte, 999)); !errors.Is(err, io.ErrShortBuffer) {
				t.Errorf("it says %v", err)
			}
			if _, err := near.Read(make([]byte, 10)); !errors.Is(err, io.EOF) {
				t.Errorf("the other side hears %v", err)
			}
		})
	})
}

func TestImpostors(t *testing.T) {
	callers, callees := keys()
	other := [ed25519.SeedSize]byte{3}
	for name, shows := range map[string]Keys{
		"with a key of its own":                {Own: other, Theirs: callers.Own},
		"with the key of the side it talks to": {Own: callers.Own, Theirs: callers.Own},
	} {
		t.Run("answer "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				caller, impostor := newSide(t, w.near, w.far, callers), newSide(t, w.far, w.near, shows)
				if _, err := caller.Open(t.Context(), caller.to); !errors.Is(err, ErrImpostor) {
					t.Errorf("Open says %v", err)
				}
				if len(impostor.accepted) > 0 {
					t.Error("the impostor has a channel")
				}
			})
		})
	}
	for name, shows := range map[string]Keys{
		"with a key of its own":                {Own: other, Theirs: callees.Own},
		"with the key of the side it talks to": {Own: callees.Own, Theirs: callees.Own},
	} {
		t.Run("open "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				impostor, callee := newSide(t, w.near, w.far, shows), newSide(t, w.far, w.near, callees)
				if c, err := impostor.Open(t.Context(), impostor.to); err == nil { // the client ends its half of the handshake first
					if _, err := c.Read(make([]byte, 10)); err == nil {
						t.Error("the impostor is answered")
					}
				}
				if len(callee.accepted) > 0 {
					t.Error("the impostor has a channel")
				}
			})
		})
	}
	t.Run("open without a certificate", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWire(t)
			callee := newSide(t, w.far, w.near, callees)
			h := newHostile(t, w, callers)
			h.tls.Certificates = nil
			conn, err := h.dial(t)
			if err == nil {
				<-conn.Context().Done()
			}
			if len(callee.accepted) > 0 {
				t.Error("the impostor has a channel")
			}
		})
	})
}
