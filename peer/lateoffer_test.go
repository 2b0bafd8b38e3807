package peer_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
)

// A longWay is one to a server on which an offer takes longer than other requests do.
type longWay struct {
	to      string
	coming  chan struct{} // closed when an offer is on its way
	deleted chan struct{} // closed when the server has answered a DELETE
	offered chan struct{} // closed when the server has answered an offer
	once    [3]sync.Once
}

// newLongWay returns a longWay to a server of its own, the Client that takes it, and the server's Store.
func newLongWay(t *testing.T) (*longWay, *signaling.Client, *memstore.Store) {
	t.Helper()
	store := memstore.New(memstore.Limits{})
	web := server.New(store, server.Config{Log: slog.New(slog.DiscardHandler)})
	d := &longWay{coming: make(chan struct{}), deleted: make(chan struct{}), offered: make(chan struct{})}
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.ServeHTTP(w, r)
		switch r.Method {
		case http.MethodDelete:
			d.once[1].Do(func() { close(d.deleted) })
		case http.MethodPost:
			d.once[2].Do(func() { close(d.offered) })
		}
	}))
	t.Cleanup(at.Close)
	t.Cleanup(web.Drain)
	d.to = at.Listener.Addr().String()
	l, err := net.ListenTCP("tcp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { _ = l.Close() })
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { d.carry(t, near) })
		}
	})
	return d, client(t, "http://"+l.Addr().String()), store
}

// carry carries what goes over one connection. What has come goes on though the client has hung up.
func (d *longWay) carry(t *testing.T, near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp4", d.to)
	if err != nil {
		t.Error(err)
		return
	}
	defer far.Close()
	var back sync.WaitGroup
	defer back.Wait()
	back.Go(func() { _, _ = io.Copy(near, far) })
	defer func() { _ = far.(*net.TCPConn).CloseWrite() }()
	b := make([]byte, 64<<10)
	for {
		n, err := near.Read(b)
		if bytes.HasPrefix(b[:n], []byte("POST ")) {
			d.once[0].Do(func() { close(d.coming) })
			select {
			case <-d.deleted: // it has overtaken the offer
			case <-time.After(300 * time.Millisecond): // how much longer the way is
			}
		}
		if _, failed := far.Write(b[:n]); failed != nil || err != nil {
			return
		}
	}
}

func happens(t *testing.T, what string, event <-chan struct{}) {
	t.Helper()
	select {
	case <-event:
	case <-soon(t).Done():
		t.Fatal("waited in vain for ", what)
	}
}

// A caller that is closed while its offer is on the way to the server leaves no offer there: a callee would meet no one.
func TestAnOfferOnItsWay(t *testing.T) {
	for name, call := range map[string]func(signaling.Store) *peer.Session{
		"with a code": func(at signaling.Store) *peer.Session { return peer.Call(at, code(room), quiet()) },
		"to a contact": func(at signaling.Store) *peer.Session {
			return peer.Meet(at, peer.Contact{Keys: friends(1)[0].load, Calls: true}, quiet())
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, at, store := newLongWay(t)
			caller := call(at)
			happens(t, "an offer", d.coming)
			caller.Close()
			happens(t, "the reply to it", d.offered)
			if rooms := store.Rooms(); rooms != 0 {
				t.Errorf("%d rooms are open", rooms)
			}
		})
	}
}

// A slow Store takes its time for the first offer, and writes it though its caller gives it up.
type slow struct {
	signaling.Store
	takes time.Duration
	given atomic.Int32
	wg    sync.WaitGroup
}

func (s *slow) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (v signaling.Version, err error) {
	if s.given.Add(1) > 1 {
		return s.Store.Offer(ctx, t, d)
	}
	done := make(chan struct{})
	s.wg.Go(func() {
		time.Sleep(s.takes)
		v, err = s.Store.Offer(context.WithoutCancel(ctx), t, d)
		close(done)
	})
	select {
	case <-done:
		return v, err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func TestALateOffer(t *testing.T) {
	t.Run("that is never answered delays the end of a call for two seconds at most", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := &slow{Store: memstore.New(memstore.Limits{}), takes: time.Minute}
			caller := newNetwork(t, 0).calls(t, store, room, quiet())
			synctest.Wait()
			before := time.Now()
			caller.Close()
			if took := time.Since(before); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			store.wg.Wait()
		})
	})
}
