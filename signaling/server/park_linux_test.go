package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A parkingSite is a site whose server parks every read at once, or none.
type parkingSite struct {
	*site
	address string
	stop    func() error // ends Serve, and returns its error
}

func openParking(t *testing.T, parks bool, config Config) parkingSite {
	t.Helper()
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	server := New(memstore.New(memstore.Limits{}), config)
	server.parkAfter = 0
	if !parks {
		server.parker = nil
	}
	address, stop := serve(t, server, patience)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	seen := &contract{t: t, next: transport}
	return parkingSite{&site{Server: server, t: t, url: "http://" + address, client: &http.Client{Transport: seen}, seen: seen}, address, stop}
}

// untilWaiting returns once n reads wait, parked if the server parks reads.
func (s parkingSite) untilWaiting(n int) {
	s.t.Helper()
	s.site.untilWaiting(n)
	if s.parker != nil {
		s.untilParked(n)
	}
}

// A server does the same whether it parks reads or they wait in their handlers.
func TestWaitingReads(t *testing.T) {
	t.Run("parked", func(t *testing.T) {
		testWaitingReads(t, func(t *testing.T, config Config) parkingSite { return openParking(t, true, config) })
	})
	t.Run("in their handlers", func(t *testing.T) {
		testWaitingReads(t, func(t *testing.T, config Config) parkingSite { return openParking(t, false, config) })
	})
}

// A hastyCaller is a Store whose caller closes the room as soon as a read has looked and is to be parked.
type hastyCaller struct {
	*memstore.Store
	t      *testing.T
	caller signaling.Ticket
}

func (h hastyCaller) Watch(t signaling.Ticket, of signaling.Side, what signaling.Document, notify func(error)) (stop func()) {
	if err := h.Close(h.t.Context(), h.caller); err != nil {
		h.t.Error(err)
	}
	return h.Store.Watch(t, of, what, notify)
}

func TestARoomClosedBeforeItsReadIsParked(t *testing.T) {
	s := openParking(t, true, Config{})
	h := hastyCaller{s.watcher.(*memstore.Store), t, signaling.NewTicket("blue", signaling.Caller)}
	if _, err := h.Offer(t.Context(), h.caller, signaling.Description(anOffer)); err != nil {
		t.Fatal(err)
	}
	s.watcher = h
	s.get("/rooms/blue/offer-candidates", "Prefer: wait=60").problem(404, "closed")
}

// A brief Store is one whose caller closes the room as soon as its offer was looked at.
type brief struct {
	*memstore.Store
	t      *testing.T
	caller signaling.Ticket
}

func (b brief) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	d, v, err := b.Store.Description(ctx, t, of, known, wait)
	if closed := b.Close(ctx, b.caller); closed != nil && !errors.Is(closed, signaling.ErrNoRoom) {
		b.t.Error(closed)
	}
	return d, v, err
}

func TestARoomClosedWhileItsOfferIsLookedAt(t *testing.T) {
	for _, had := range []string{`"VERSION"`, `"another", "VERSION"`, `*`} {
		t.Run(had, func(t *testing.T) {
			s := openParking(t, true, Config{})
			b := brief{s.watcher.(*memstore.Store), t, signaling.NewTicket("blue", signaling.Caller)}
			v, err := b.Offer(t.Context(), b.caller, signaling.Description(anOffer))
			if err != nil {
				t.Fatal(err)
			}
			s.store = b
			s.get("/rooms/blue/offer", "Prefer: wait=60", "If-None-Match: "+strings.ReplaceAll(had, "VERSION", string(v))).problem(404, "closed")
		})
	}
}

func testWaitingReads(t *testing.T, open func(*testing.T, Config) parkingSite) {
	const read = "GET /rooms/blue/offer HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n"

	t.Run("an offer is the answer of a read of many rooms, whose body is kept", func(t *testing.T) {
		s := open(t, Config{Rate: Rate{Client: 1e-3, Burst: 100}})
		l := dial(t, s.address)
		for n := range 2 {
			body := wants(manyNames(1000)[500*n : 500*n+500]...)
			l.say(fmt.Sprintf("POST /listen HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\nContent-Type: application/json\r\nContent-Length: %d", len(body)), "", body)
			s.site.untilWaiting(32)
			if s.parker != nil {
				s.untilParked(1)
			}
			s.post("/rooms/"+longName(501*n)+"/offer", anOffer).is(201)
			if r := l.hear().is(200).has("Preference-Applied", "wait=60"); !strings.Contains(r.body, longName(501*n)) {
				t.Errorf("heard %q", r.body)
			}
			s.untilWaiting(0)
		}
	})

	t.Run("a block is the answer of a read of its mailbox", func(t *testing.T) {
		s := open(t, mailConfig(memstore.MailLimits{}, 0))
		l := dial(t, s.address)
		for n := range uint64(2) {
			l.say(fmt.Sprintf("GET %s?after=%d HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n%s", aBox.path(), n, aBox.take()), "", "")
			s.untilWaiting(1)
			s.post(aBox.path(), aBlock(n+1), aBox.put()).is(201)
			l.hear().is(200).says("[" + aBlock(n+1) + "]\n")
		}
	})

	t.Run("news is the answer on the same connection, which stays open", func(t *testing.T) {
		s := open(t, Config{})
		l := dial(t, s.address)
		for i := range 3 {
			l.say(read+"X-Request-Id: mine", "", "")
			s.untilWaiting(1)
			token := s.post("/rooms/blue/offer", anOffer).is(201).token()
			l.hear().is(200).says(anOffer).has("Preference-Applied", "wait=60").has("X-Request-Id", "mine").
				has("Cache-Control", "no-store").has("X-Content-Type-Options", "nosniff").has("Content-Type", "application/json")
			s.untilWaiting(0)
			l.say(fmt.Sprintf("GET /rooms/blue/offer-candidates?after=%d HTTP/1.1", i), "Host: localhost", "", "")
			l.hear().is(200).says("[]")
			s.send("DELETE", "/rooms/blue", "", bearing(token)).is(204)
		}
	})

	t.Run("requests that the client sent after it are answered next", func(t *testing.T) {
		s := open(t, Config{})
		l := dial(t, s.address)
		l.say(read, "GET /healthz HTTP/1.1", "Host: localhost", "", "")
		s.untilWaiting(1)
		l.say("GET /readyz HTTP/1.1", "Host: localhost", "", "")
		s.post("/rooms/blue/offer", anOffer).is(201)
		l.hear().is(200).says(anOffer)
		l.hear().is(200).says("ok\n")
		l.hear().is(200).says("ready\n")
	})

	t.Run("the connection is closed if the client asks for that", func(t *testing.T) {
		s := open(t, Config{})
		l := dial(t, s.address)
		l.say(read+"Connection: close", "", "")
		s.untilWaiting(1)
		s.post("/rooms/blue/offer", anOffer).is(201)
		l.hear().is(200).says(anOffer)
		l.cutOff()
	})

	t.Run("it ends when its time is over", func(t *testing.T) {
		s := open(t, Config{})
		l := dial(t, s.address)
		l.say("GET /rooms/blue/offer HTTP/1.1", "Host: localhost", "Prefer: wait=1", "", "")
		l.hear().has("Preference-Applied", "wait=1").problem(404, "no-offer")
		l.say("GET /healthz HTTP/1.1", "Host: localhost", "", "")
		l.hear().is(200)
	})

	t.Run("it waits on if the news is not for it", func(t *testing.T) {
		s := open(t, Config{})
		s.post("/offer", anOffer).is(201)
		l := dial(t, s.address)
		l.say("GET /offer-candidates?after=2 HTTP/1.1", "Host: localhost", "Prefer: wait=60", "", "")
		for n := range 3 {
			s.untilWaiting(1)
			s.post("/offer-candidate", candidate("caller", n)).is(201)
		}
		l.hear().is(200).says("[" + candidate("caller", 2) + "]")
		s.untilWaiting(0)
	})

	t.Run("it is told that the room was closed", func(t *testing.T) {
		s := open(t, Config{})
		caller := bearing(s.post("/rooms/blue/offer", anOffer).token())
		l := dial(t, s.address)
		l.say("GET /rooms/blue/answer HTTP/1.1", "Host: localhost", "Prefer: wait=60", caller, "", "")
		s.untilWaiting(1)
		s.send("DELETE", "/rooms/blue", "", caller).is(204)
		l.hear().has("Preference-Applied", "wait=60").problem(404, "closed")
	})

	t.Run("it is told that the room was closed right after another change", func(t *testing.T) {
		s := open(t, Config{})
		caller := signaling.NewTicket("blue", signaling.Caller)
		for _, change := range []func() error{
			func() error {
				_, err := s.store.AddCandidates(t.Context(), caller, -1, signaling.Candidate(aCandidate))
				return err
			},
			func() error {
				_, err := s.store.Reoffer(t.Context(), caller, signaling.Description(description("offer", 2)))
				return err
			},
		} {
			if _, err := s.store.Offer(t.Context(), caller, signaling.Description(anOffer)); err != nil {
				t.Fatal(err)
			}
			l := dial(t, s.address)
			l.say("GET /rooms/blue/offer-candidates?after=5 HTTP/1.1", "Host: localhost", "Prefer: wait=60", "", "")
			s.untilWaiting(1)
			if err := errors.Join(change(), s.store.Close(t.Context(), caller)); err != nil {
				t.Fatal(err)
			}
			l.hear().problem(404, "closed")
		}
	})

	t.Run("a read of an answer, without a token, is told so, too", func(t *testing.T) {
		s := open(t, Config{})
		caller := signaling.NewTicket("blue", signaling.Caller)
		if _, err := s.store.Offer(t.Context(), caller, signaling.Description(anOffer)); err != nil {
			t.Fatal(err)
		}
		l := dial(t, s.address)
		l.say("GET /rooms/blue/answer HTTP/1.1", "Host: localhost", "Prefer: wait=60", "", "")
		s.untilWaiting(1)
		_, err := s.store.Reoffer(t.Context(), caller, signaling.Description(description("offer", 2)))
		if err = errors.Join(err, s.store.Close(t.Context(), caller)); err != nil {
			t.Fatal(err)
		}
		l.hear().problem(404, "closed")
	})

	t.Run("a client that hangs up leaves nothing behind", func(t *testing.T) {
		ended := make(onRecord, 2)
		s := open(t, Config{Log: slog.New(ended)})
		l := dial(t, s.address)
		l.say(read+"X-Request-Id: mine", "", "")
		s.untilWaiting(1)
		_ = l.Close()
		s.untilWaiting(0)
		if census := s.watcher.(*memstore.Store).Counts(); census.Awaited != 0 {
			t.Errorf("%d rooms are still waited in", census.Awaited)
		}
		r := <-ended
		for r.Message != "request" {
			r = <-ended
		}
		says := map[string]string{}
		r.Attrs(func(a slog.Attr) bool { says[a.Key] = a.Value.String(); return true })
		if says["status"] != "499" || says["route"] != "/rooms/:room/offer" || says["request_id"] != "mine" {
			t.Errorf("the log says %v", says)
		}
	})

	t.Run("a server that stops answers it at once", func(t *testing.T) {
		s := open(t, Config{})
		l := dial(t, s.address)
		l.say(read, "")
		s.untilWaiting(1)
		if err := s.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
		l.hear().has("Retry-After", "1").problem(503, "draining")
		l.cutOff()
	})

	t.Run("it counts as one request, however often it is resumed", func(t *testing.T) {
		s := open(t, Config{MaxWaiting: 1, Rate: Rate{Client: 0.001, Burst: 5}})
		l := dial(t, s.address)
		l.say("GET /offer-candidates?after=2 HTTP/1.1", "Host: localhost", "Prefer: wait=60", "", "")
		s.untilWaiting(1)
		ticket := signaling.Ticket{Room: signaling.Lobby}
		if _, err := s.store.Offer(t.Context(), ticket, signaling.Description(anOffer)); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			s.untilWaiting(1)
			if _, err := s.store.AddCandidates(t.Context(), ticket, -1, signaling.Candidate(aCandidate)); err != nil {
				t.Fatal(err)
			}
		}
		l.hear().is(200)
		s.untilWaiting(0)
		s.get("/offer").is(200)
		m := httptest.NewServer(s.Metrics())
		defer m.Close()
		counted := scrape(t, m.Client(), m.URL+"/metrics")
		for _, name := range []string{`p2pchat_requests_total{code="200",route="GET /offer-candidates"}`, `p2pchat_request_seconds_count{route="GET /offer-candidates",waits="yes"}`} {
			if counted[name] != "1" {
				t.Errorf("%s is %q", name, counted[name])
			}
		}
		for range 3 {
			s.get("/offer").is(200)
		}
		s.get("/offer").problem(429, "too-many")
	})

	t.Run("many clients come, read and leave at once", func(t *testing.T) {
		s := open(t, Config{})
		var all sync.WaitGroup
		for i := range 40 {
			room := fmt.Sprint("r", i%10)
			all.Go(func() {
				for range 10 {
					c, err := net.Dial("tcp", s.address)
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = fmt.Fprintf(c, "GET /rooms/%s/offer HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n\r\n", room)
					if i%4 > 0 {
						_, err = c.Read(make([]byte, 1))
					}
					_ = c.Close()
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		heard, written := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(written)
			for i := 0; !closed(heard); i++ {
				room := fmt.Sprint("/rooms/r", i%10)
				s.post(room+"/offer", anOffer, bearing("me"))
				s.send("DELETE", room, "", bearing("me"))
			}
		}()
		all.Wait()
		close(heard)
		<-written
		s.untilWaiting(0)
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
