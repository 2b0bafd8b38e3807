package longpoll

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// A host is a server whose handler parks the requests for /wait, and a client's connection to it.
type host struct {
	t      *testing.T
	parker *Parker
	server *http.Server
	client *net.TCPConn
	in     *bufio.Reader

	noNews  func() bool
	until   time.Duration
	watches chan func(error) // wake of each Watch
	stops   chan struct{}    // calls of stop
	gone    chan struct{}    // calls of Gone
	closed  chan net.Conn    // told to the server's ConnState
}

// open returns a host whose parker change may alter before it serves.
func open(t *testing.T, change func(*host)) *host {
	t.Helper()
	h := &host{
		t: t, parker: New(), noNews: func() bool { return true }, until: time.Hour,
		watches: make(chan func(error), 9), stops: make(chan struct{}, 9), gone: make(chan struct{}, 9), closed: make(chan net.Conn, 9),
	}
	h.server = &http.Server{Handler: h, ReadHeaderTimeout: patience, ConnState: func(c net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			h.closed <- c
		}
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	back, err := h.parker.Attach(h.server, l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(h)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = h.server.Serve(l) })
	serving.Go(func() { _ = h.server.Serve(back) })
	t.Cleanup(func() {
		h.parker.Close()
		_ = h.server.Close()
		serving.Wait()
	})
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	h.client, h.in = c.(*net.TCPConn), bufio.NewReader(c)
	return h
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if before := Resume(r); before != nil {
		fmt.Fprintf(w, "resumed %v %v", before.State, before.Outcome)
		if Resume(r) != nil {
			h.t.Error("a request is resumed twice")
		}
		return
	}
	if r.URL.Path != "/wait" {
		_, _ = io.WriteString(w, r.URL.Path) //nolint:gosec // the test reads it, no browser
		return
	}
	if !h.parker.Park(w, r, Wait{
		Until:  time.Now().Add(h.until),
		Watch:  func(wake func(error)) func() { h.watches <- wake; return func() { h.stops <- struct{}{} } },
		NoNews: func() bool { return h.noNews() },
		Gone:   func() { h.gone <- struct{}{} },
		State:  r.Header.Get("State"),
	}) {
		_, _ = io.WriteString(w, "not parked")
	}
}

// send writes requests for paths.
func (h *host) send(paths ...string) {
	h.t.Helper()
	for i, path := range paths {
		if _, err := fmt.Fprintf(h.client, "GET %s HTTP/1.1\r\nHost: localhost\r\nState: %s%d\r\n\r\n", path, path, i); err != nil {
			h.t.Fatal(err)
		}
	}
}

// wants reads responses.
func (h *host) wants(bodies ...string) {
	h.t.Helper()
	for _, want := range bodies {
		res, err := http.ReadResponse(h.in, nil)
		if err != nil {
			h.t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || string(got) != want {
			h.t.Errorf("the response is %q, %v, want %q", got, err, want)
		}
	}
}

// parks waits until the request is parked, and returns wake.
func (h *host) parks() (wake func(error)) {
	h.t.Helper()
	wake = receive(h.t, h.watches, "watch")
	h.parker.mu.Lock()
	c := h.parker.conns[h.parker.keys]
	h.parker.mu.Unlock()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for over := time.After(patience); ; {
		c.mu.Lock()
		now := c.stage
		c.mu.Unlock()
		if now == parked {
			return wake
		}
		select {
		case <-tick.C:
		case <-over:
			h.t.Fatalf("the request is at stage %d", now)
		}
	}
}

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case one := <-from:
		return one
	case <-time.After(patience):
		t.Fatalf("no %s", what)
		panic("not reached")
	}
}

func TestParker(t *testing.T) {
	t.Run("news return the request, on a connection that may wait again", func(t *testing.T) {
		h := open(t, nil)
		for range 3 {
			h.send("/wait")
			h.parks()(nil)
			h.wants("resumed /wait0 <nil>")
			receive(t, h.stops, "stop")
			h.send("/then")
			h.wants("/then")
		}
		if n := h.parker.Len(); n != 0 {
			t.Errorf("%d requests are still parked", n)
		}
	})

	t.Run("the outcome reaches the handler", func(t *testing.T) {
		h := open(t, nil)
		h.send("/wait")
		wake := h.parks()
		wake(errors.New("closed"))
		wake(nil) // too late
		h.wants("resumed /wait0 closed")
	})

	t.Run("requests that the client sends after it are answered after it", func(t *testing.T) {
		h := open(t, nil)
		h.send("/wait", "/second")
		wake := h.parks()
		h.send("/third")
		wake(nil)
		h.wants("resumed /wait0 <nil>", "/second", "/third")
	})

	t.Run("time ends the wait", func(t *testing.T) {
		h := open(t, func(h *host) { h.until = 10 * time.Millisecond })
		h.send("/wait")
		h.wants("resumed /wait0 <nil>")
	})

	t.Run("a client that hangs up leaves nothing", func(t *testing.T) {
		h := open(t, nil)
		h.send("/wait")
		h.parks()
		_ = h.client.Close()
		receive(t, h.stops, "stop")
		receive(t, h.gone, "call of Gone")
		receive(t, h.closed, "closed connection")
	})

	t.Run("Drain returns what is parked, and parks no more", func(t *testing.T) {
		h := open(t, nil)
		h.send("/wait")
		h.parks()
		h.parker.Close() // and waits
		if n := h.parker.Len(); n != 0 {
			t.Errorf("%d requests are still parked", n)
		}
		h.wants("resumed /wait0 <nil>")
		h.send("/wait")
		h.wants("not parked")
	})

	t.Run("a server that closes gives up what is parked", func(t *testing.T) {
		h := open(t, nil)
		h.send("/wait")
		h.parks()
		_ = h.server.Close()
		h.parker.Close()
		receive(t, h.gone, "call of Gone")
		receive(t, h.closed, "closed connection")
	})

	t.Run("news that come before it is parked are not missed", func(t *testing.T) {
		h := open(t, func(h *host) { h.noNews = func() bool { return false } })
		h.send("/wait")
		h.wants("not parked")
		receive(t, h.stops, "stop")

		h = open(t, func(h *host) {
			h.noNews = func() bool {
				wake := <-h.watches
				wake(nil)
				return true
			}
		})
		h.send("/wait")
		h.wants("resumed /wait0 <nil>")
	})

	t.Run("a connection whose hang-up nothing would tell of is parked once at most", func(t *testing.T) {
		h := open(t, func(h *host) { _ = h.parker.epoll.file.Close() })
		h.send("/wait", "/wait")
		h.wants("resumed /wait0 <nil>", "not parked")
	})
}

// Requests that cannot be parked stay with their handlers.
func TestNotParked(t *testing.T) {
	h := open(t, nil)
	for says, request := range map[string]string{
		"a body":       "POST /wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx",
		"a large head": "GET /wait HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", maxHead) + "\r\n\r\n",
		"HTTP/1.0":     "GET /wait HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	} {
		t.Run(says, func(t *testing.T) {
			h.t = t
			if _, err := io.WriteString(h.client, request); err != nil {
				t.Fatal(err)
			}
			h.wants("not parked")
		})
	}
	for says, change := range map[string]func(*http.Request) (*Parker, *http.Request){
		"a nil Parker":     func(r *http.Request) (*Parker, *http.Request) { return nil, r },
		"not attached":     func(r *http.Request) (*Parker, *http.Request) { return New(), r },
		"another server's": func(r *http.Request) (*Parker, *http.Request) { return h.parker, r },
		"TLS": func(r *http.Request) (*Parker, *http.Request) {
			r.TLS = &tls.ConnectionState{}
			return h.parker, attached(r, h)
		},
		"no connection there": func(r *http.Request) (*Parker, *http.Request) { return h.parker, attached(r, h) },
	} {
		t.Run(says, func(t *testing.T) {
			p, r := change(httptest.NewRequestWithContext(t.Context(), "GET", "/wait", http.NoBody))
			begun, ended := 0, 0
			wait := Wait{Watch: func(func(error)) func() { begun++; return func() { ended++ } }, NoNews: func() bool { return true }}
			if p.Park(httptest.NewRecorder(), r, wait) {
				t.Error("it was parked")
			}
			if begun != ended {
				t.Errorf("%d watches ended of %d", ended, begun)
			}
		})
	}
	var none *Parker
	none.Drain()
	none.Close()
	if _, err := none.Attach(nil, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a nil Parker is attached: %v", err)
	}
}

// attached returns a request as if it came to the server of h.
func attached(r *http.Request, h *host) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), parkerKey{}, h.parker))
}
