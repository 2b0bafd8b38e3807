package signaling_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
	"p2pchat/signaling/storetest"
)

func TestRetryAfter(t *testing.T) {
	for name, row := range map[string]struct {
		after func() string
		least time.Duration
	}{
		"in seconds": {func() string { return "2" }, 2 * time.Second},
		"as a date":  {func() string { return time.Now().Add(3 * time.Second).UTC().Format(http.TimeFormat) }, 2 * time.Second}, // of whole seconds
	} {
		virtually(t, "a Retry-After "+name+" is respected", func(t *testing.T) {
			b := bad(t, func(w http.ResponseWriter, r *http.Request) {
				problem(signaling.ErrDraining, "Retry-After: "+row.after())(w, r)
			}, good)
			if err := readOffer(t, b.client(t, signaling.Config{}), 0); err != nil {
				t.Fatal(err)
			}
			at := b.times()
			if len(at) != 2 || at[1].Sub(at[0]) < row.least {
				t.Errorf("it was asked at %v", at)
			}
		})
	}
	virtually(t, "a full server that asks for more time than Patience is given up at once", func(t *testing.T) {
		b := bad(t, problem(signaling.ErrServerFull, "Retry-After: 50"))
		if err := readOffer(t, b.client(t, signaling.Config{}), 0); !errors.Is(err, signaling.ErrServerFull) || len(b.times()) != 1 {
			t.Errorf("after %d requests: %v", len(b.times()), err)
		}
	})
}

func TestServersThatDoNotWait(t *testing.T) {
	for name, reply := range map[string]http.HandlerFunc{
		"no offer":  problem(signaling.ErrNoOffer),
		"unchanged": says(304, "", ""),
	} {
		virtually(t, "a server that ignores Prefer is asked with pauses: "+name, func(t *testing.T) {
			b := bad(t, reply)
			started := time.Now()
			err := readOffer(t, b.client(t, brief), 2*time.Second)
			if !errors.Is(err, signaling.ErrNoOffer) && !errors.Is(err, signaling.ErrUnchanged) {
				t.Error(err)
			}
			if n, took := len(b.times()), time.Since(started); n > 4 || took < 2*time.Second {
				t.Errorf("it was asked %d times in %v", n, took)
			}
		})
	}
	virtually(t, "a server that sends again what is known is asked with pauses", func(t *testing.T) {
		for wait, most := range map[time.Duration]int{0: 1, 2 * time.Second: 4} {
			b := bad(t, good)
			started := time.Now()
			d, v, err := b.client(t, brief).Description(t.Context(), secret, signaling.Caller, "v1", wait)
			if !errors.Is(err, signaling.ErrUnchanged) || d != nil || v != "" {
				t.Errorf("got %q of version %q, %v", d, v, err)
			}
			if n, took := len(b.times()), time.Since(started); n > most || took < wait {
				t.Errorf("it was asked %d times in %v", n, took)
			}
		}
	})
	virtually(t, "a long wait consists of polls", func(t *testing.T) {
		var prefer []string
		b := bad(t, func(w http.ResponseWriter, r *http.Request) {
			prefer = append(prefer, r.Header.Get("Prefer"))
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
			}
			says(200, "application/json", "[]")(w, r)
		}, good)
		c := b.client(t, signaling.Config{Poll: time.Second})
		list, err := c.Candidates(t.Context(), secret, signaling.Caller, 0, signaling.Forever)
		if err != nil || len(list) != 1 || len(prefer) != 1 || prefer[0] != "wait=1" {
			t.Errorf("got %q, %v after asking with %q", list, err, prefer)
		}
	})
}

func TestOutage(t *testing.T) {
	virtually(t, "OnOutage is called once when requests begin to fail, and once when they succeed again", func(t *testing.T) {
		fail := says(500, "text/plain", "oops")
		b := bad(t, good, fail, fail, fail, good)
		var mu sync.Mutex
		var calls []error
		c := b.client(t, signaling.Config{OnOutage: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, err)
		}})
		for range 3 {
			if err := readOffer(t, c, 0); err != nil {
				t.Fatal(err)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if len(calls) != 2 || !errors.Is(calls[0], signaling.ErrUnreachable) || calls[1] != nil {
			t.Fatalf("it was called with %v", calls)
		}
		discreet(t, calls[0])
		if n := c.Interruptions(); n != 3 {
			t.Errorf("%d interruptions", n)
		}
	})
	virtually(t, "a server that is busy has not been away", func(t *testing.T) {
		c := bad(t, problem(signaling.ErrTooMany), problem(signaling.ErrServerFull), problem(signaling.ErrDraining), problem(signaling.ErrUnavailable), good).client(t, signaling.Config{})
		if err := readOffer(t, c, 0); err != nil {
			t.Fatal(err)
		}
		if n := c.Interruptions(); n != 2 {
			t.Errorf("%d interruptions", n)
		}
	})
	virtually(t, "a server that answers a read is still too full for an offer", func(t *testing.T) {
		full := problem(signaling.ErrServerFull)
		b := bad(t, full, good, full)
		calls := make(chan error, 10)
		c := b.client(t, signaling.Config{OnOutage: func(err error) { calls <- err }})
		offered := make(chan error)
		go func() {
			_, err := c.Offer(t.Context(), signaling.NewTicket("room", signaling.Caller), signaling.Description(offerBody))
			offered <- err
		}()
		synctest.Wait()
		if err := readOffer(t, c, 0); err != nil {
			t.Fatal(err)
		}
		if err := <-offered; !errors.Is(err, signaling.ErrServerFull) {
			t.Errorf("the offer returned %v", err)
		}
		if err := <-calls; !errors.Is(err, signaling.ErrServerFull) || len(calls) > 0 {
			t.Errorf("it was called with %v, and %d times more", err, len(calls))
		}
	})
	virtually(t, "a full server that takes the offer after all ends the outage", func(t *testing.T) {
		calls := make(chan error, 10)
		c := bad(t, problem(signaling.ErrServerFull), good).client(t, signaling.Config{OnOutage: func(err error) { calls <- err }})
		if _, err := c.Offer(t.Context(), signaling.NewTicket("room", signaling.Caller), signaling.Description(offerBody)); err != nil {
			t.Fatal(err)
		}
		if len(calls) != 2 || !errors.Is(<-calls, signaling.ErrServerFull) || <-calls != nil {
			t.Error("OnOutage was not called with the outage and its end")
		}
	})
	virtually(t, "a canceled read is not an outage", func(t *testing.T) {
		asked := make(chan struct{})
		b := bad(t, good, func(_ http.ResponseWriter, r *http.Request) {
			close(asked)
			<-r.Context().Done()
		})
		c := b.client(t, signaling.Config{OnOutage: func(err error) { t.Errorf("it was called with %v", err) }})
		if err := readOffer(t, c, 0); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-asked
			cancel()
		}()
		_, _, err := c.Description(ctx, secret, signaling.Caller, "v1", signaling.Forever)
		if !errors.Is(err, context.Canceled) || errors.Is(err, signaling.ErrUnreachable) {
			t.Error(err)
		}
	})
}

// serve serves an empty store on l until stop is called. It sends to parked for each read that waits.
func serve(t *testing.T, l net.Listener, parked chan<- struct{}) (stop func()) {
	t.Helper()
	s := server.New(storetest.Observe(memstore.New(memstore.Limits{}), parked), server.Config{Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l, 5*time.Second) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func TestRestart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	parked := make(chan struct{}, 20)
	stop := serve(t, l, parked)

	// An outage shows that a client's read had begun, and broke off.
	outages := make(chan error, 20)
	config := signaling.Config{OnOutage: func(err error) {
		if err != nil {
			outages <- err
		}
	}}
	caller, callee := client(t, "http://"+addr, config), client(t, "http://"+addr, config)
	ticket := signaling.NewTicket("room", signaling.Caller)
	old, err := caller.Offer(ctx, ticket, signaling.Description(offerBody))
	if err != nil {
		t.Fatal(err)
	}
	callersRead, calleesRead := make(chan error, 1), make(chan signaling.Version, 1)
	go func() {
		_, _, err := caller.Description(ctx, ticket, signaling.Callee, "", signaling.Forever)
		callersRead <- err
	}()
	go func() {
		_, v, err := callee.Description(ctx, signaling.Ticket{Room: "room"}, signaling.Caller, old, signaling.Forever)
		if err != nil {
			t.Error(err)
		}
		calleesRead <- v
	}()
	for range 2 {
		select {
		case <-parked:
		case <-ctx.Done():
			t.Fatal("the reads did not begin to wait")
		}
	}
	stop()
	for range 2 {
		select {
		case err := <-outages:
			discreet(t, err)
		case <-ctx.Done():
			t.Fatal("the reads did not notice that the server went away")
		}
	}
	l, err = net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, parked)
	if err := <-callersRead; !errors.Is(err, signaling.ErrClosed) {
		t.Errorf("the caller's read: %v", err)
	}
	v, err := caller.Offer(ctx, ticket, signaling.Description(offerBody))
	if err != nil {
		t.Fatal(err)
	}
	if got := <-calleesRead; got != v || v == old {
		t.Errorf("the callee got version %q; the new offer is %q, the old one was %q", got, v, old)
	}
}

func TestICEServers(t *testing.T) {
	want := signaling.ICEServer{URLs: []string{"turn:example.org"}, Username: "u", Credential: "c"}
	host, guest := signaling.NewTicket("room", signaling.Caller), signaling.NewTicket("room", signaling.Callee)
	s := server.New(memstore.New(memstore.Limits{}), server.Config{AccessKey: "key", ICEServers: []signaling.ICEServer{want}, Log: slog.New(slog.DiscardHandler)})
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	c := client(t, h.URL+"/", signaling.Config{Key: "key"}) // a slash at the end does no harm
	if _, err := c.ICEServers(t.Context(), signaling.NewTicket("room", signaling.Callee), 0); !errors.Is(err, signaling.ErrNoRoom) {
		t.Errorf("for the guest of no room: %v", err)
	}
	if _, err := c.Offer(t.Context(), host, signaling.Description(offerBody)); err != nil {
		t.Fatal(err)
	}
	if list, err := c.ICEServers(t.Context(), guest, 0); err != nil || len(list) > 0 {
		t.Errorf("for a guest that has proven nothing: %+v, %v", list, err)
	}
	if _, err := c.Answer(t.Context(), guest, "", signaling.Description(`{"type":"answer","sdp":""}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AddCandidates(t.Context(), host, 0, signaling.Candidate("{}")); err != nil {
		t.Fatal(err)
	}
	for _, ticket := range []signaling.Ticket{{}, guest} {
		list, err := c.ICEServers(t.Context(), ticket, 0)
		if err != nil || len(list) != 1 || list[0].URLs[0] != want.URLs[0] || list[0].Username != "u" || list[0].Credential != "c" {
			t.Errorf("for room %q: %+v, %v", ticket.Room, list, err)
		}
	}
	if _, err := c.ICEServers(t.Context(), signaling.Ticket{Room: "a/b"}, 0); !errors.Is(err, signaling.ErrInvalid) {
		t.Errorf("for a room that cannot be: %v", err)
	}
}

func TestICEServersThatAreRefused(t *testing.T) {
	for status, want := range map[int]error{http.StatusTooManyRequests: signaling.ErrTooMany, http.StatusUnauthorized: signaling.ErrNoKey, http.StatusNotFound: signaling.ErrForeign} {
		var asked atomic.Int32
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			p, _ := signaling.ProblemOf(want)
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(p)
		}))
		t.Cleanup(h.Close)
		c := client(t, h.URL, signaling.Config{Patience: time.Hour})
		if _, err := c.ICEServers(t.Context(), signaling.NewTicket("room", signaling.Callee), signaling.Forever); !errors.Is(err, want) || asked.Load() != 1 {
			t.Errorf("%d: %v, after %d requests", status, err, asked.Load())
		}
	}
}

func TestBadAddresses(t *testing.T) {
	for _, base := range []string{
		"", "/", "localhost:3000", "chat.example.org", "ftp://host", "http://", "http:///path", "http://:3000", "http://host?x=1", "http://host?", "http://host/#x",
		"http://host#", "http://user:pass@host", "http://ho st", "http://[::1", "http://host:port", "://", "http://host\n",
	} {
		if _, err := signaling.NewClient(base, signaling.Config{}); !errors.Is(err, signaling.ErrInvalid) {
			t.Errorf("%q: %v", base, err)
		}
	}
	for _, base := range []string{"http://host", "HTTPS://host:443/", "http://[::1]:3000", "https://host/under/a/path/"} {
		if _, err := signaling.NewClient(base, signaling.Config{}); err != nil {
			t.Errorf("%q: %v", base, err)
		}
	}
}

// A room that is closed between two requests of a read is closed for its reader, too.
func TestARoomClosedBetweenTwoRequests(t *testing.T) {
	for name, found := range map[string]http.HandlerFunc{
		"of a list": says(200, "application/json", "[]"), "of an offer": problem(signaling.ErrUnchanged), "of an offer, without If-None-Match": good,
	} {
		virtually(t, name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			gone, read := problem(signaling.ErrNoOffer), func(c *signaling.Client) error {
				_, _, err := c.Description(ctx, secret, signaling.Caller, "v1", signaling.Forever)
				return err
			}
			if name == "of a list" {
				gone, read = problem(signaling.ErrNoRoom), func(c *signaling.Client) error {
					_, err := c.Candidates(ctx, secret, signaling.Caller, 0, signaling.Forever)
					return err
				}
			}
			b := bad(t, gone, found, gone, good)
			if err := read(b.client(t, signaling.Config{Poll: time.Second})); !errors.Is(err, signaling.ErrClosed) || len(b.times()) != 3 {
				t.Errorf("after %d requests: %v", len(b.times()), err)
			}
		})
	}
}
