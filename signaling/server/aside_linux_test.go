package server

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// aparts is a server that sets every read aside at once.
func aparts(t *testing.T, config Config) (s *site, address string, stop func() error) {
	t.Helper()
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	server := New(memstore.New(memstore.Limits{}), config)
	server.asideAfter = 0
	address, stop = serve(t, server, patience)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	seen := &contract{t: t, next: transport}
	return &site{Server: server, t: t, url: "http://" + address, client: &http.Client{Transport: seen}, seen: seen}, address, stop
}

func TestAside(t *testing.T) {
	const read = "GET /rooms/blue/offer HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n"

	t.Run("what comes is told on the same connection, which goes on", func(t *testing.T) {
		s, address, _ := aparts(t, Config{})
		l := dial(t, address)
		for i := range 3 {
			l.say(read+"X-Request-Id: mine", "", "")
			s.untilAside(1)
			token := s.post("/rooms/blue/offer", anOffer).is(201).token()
			l.hear().is(200).says(anOffer).has("Preference-Applied", "wait=60").has("X-Request-Id", "mine").
				has("Cache-Control", "no-store").has("X-Content-Type-Options", "nosniff").has("Content-Type", "application/json")
			s.untilParked(0)
			l.say(fmt.Sprintf("GET /rooms/blue/offer-candidates?after=%d HTTP/1.1", i), "Host: localhost", "", "")
			l.hear().is(200).says("[]")
			s.send("DELETE", "/rooms/blue", "", bearing(token)).is(204)
		}
	})

	t.Run("a request that came behind it is answered next", func(t *testing.T) {
		s, address, _ := aparts(t, Config{})
		l := dial(t, address)
		l.say(read, "GET /healthz HTTP/1.1", "Host: localhost", "", "")
		s.untilAside(1)
		l.say("GET /readyz HTTP/1.1", "Host: localhost", "", "")
		s.post("/rooms/blue/offer", anOffer).is(201)
		l.hear().is(200).says(anOffer)
		l.hear().is(200).says("ok\n")
		l.hear().is(200).says("ready\n")
	})

	t.Run("who asks for the connection to be closed has it closed", func(t *testing.T) {
		s, address, _ := aparts(t, Config{})
		l := dial(t, address)
		l.say(read+"Connection: close", "", "")
		s.untilAside(1)
		s.post("/rooms/blue/offer", anOffer).is(201)
		l.hear().is(200).says(anOffer)
		l.cutOff()
	})

	t.Run("it ends with its time", func(t *testing.T) {
		_, address, _ := aparts(t, Config{})
		l := dial(t, address)
		l.say("GET /rooms/blue/offer HTTP/1.1", "Host: localhost", "Prefer: wait=1", "", "")
		l.hear().has("Preference-Applied", "wait=1").problem(404, "no-offer")
		l.say("GET /healthz HTTP/1.1", "Host: localhost", "", "")
		l.hear().is(200)
	})

	t.Run("it goes on if it was woken for nothing", func(t *testing.T) {
		s, address, _ := aparts(t, Config{})
		s.post("/offer", anOffer).is(201)
		l := dial(t, address)
		l.say("GET /offer-candidates?after=2 HTTP/1.1", "Host: localhost", "Prefer: wait=60", "", "")
		for n := range 3 {
			s.untilAside(1)
			s.post("/offer-candidate", candidate("caller", n)).is(201)
		}
		l.hear().is(200).says("[" + candidate("caller", 2) + "]")
		s.untilParked(0)
	})

	t.Run("a closed room is told", func(t *testing.T) {
		s, address, _ := aparts(t, Config{})
		caller := bearing(s.post("/rooms/blue/offer", anOffer).token())
		l := dial(t, address)
		l.say("GET /rooms/blue/answer HTTP/1.1", "Host: localhost", "Prefer: wait=60", caller, "", "")
		s.untilAside(1)
		s.send("DELETE", "/rooms/blue", "", caller).is(204)
		l.hear().has("Preference-Applied", "wait=60").problem(404, "closed")
	})

	t.Run("a client that hangs up leaves nothing behind", func(t *testing.T) {
		ended := make(onRecord, 2)
		s, address, _ := aparts(t, Config{Log: slog.New(ended)})
		l := dial(t, address)
		l.say(read+"X-Request-Id: mine", "", "")
		s.untilAside(1)
		_ = l.Close()
		s.untilParked(0)
		s.untilAside(0)
		if census := s.watcher.(*memstore.Store).Counts(); census.Awaited != 0 {
			t.Errorf("%d rooms are still waited in", census.Awaited)
		}
		says := map[string]string{}
		(<-ended).Attrs(func(a slog.Attr) bool { says[a.Key] = a.Value.String(); return true })
		if says["status"] != "499" || says["route"] != "/rooms/:room/offer" || says["request_id"] != "mine" {
			t.Errorf("the log says %v", says)
		}
	})

	t.Run("a server that stops answers it at once", func(t *testing.T) {
		s, address, stop := aparts(t, Config{})
		l := dial(t, address)
		l.say(read, "")
		s.untilAside(1)
		if err := stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
		l.hear().has("Retry-After", "1").problem(503, "draining")
		l.cutOff()
	})

	t.Run("it is one request, whatever wakes it", func(t *testing.T) {
		s, address, _ := aparts(t, Config{MaxWaiting: 1, Rate: Rate{Client: 0.001, Burst: 5}})
		l := dial(t, address)
		l.say("GET /offer-candidates?after=2 HTTP/1.1", "Host: localhost", "Prefer: wait=60", "", "")
		s.untilAside(1)
		ticket := signaling.Ticket{Room: signaling.Lobby}
		if _, err := s.store.Offer(t.Context(), ticket, signaling.Description(anOffer)); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			s.untilAside(1)
			if _, err := s.store.AddCandidates(t.Context(), ticket, -1, signaling.Candidate(aCandidate)); err != nil {
				t.Fatal(err)
			}
		}
		l.hear().is(200)
		s.untilParked(0)
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

	t.Run("many who come, hear and leave at once", func(t *testing.T) {
		s, address, stop := aparts(t, Config{})
		var all sync.WaitGroup
		for i := range 40 {
			room := fmt.Sprint("r", i%10)
			all.Go(func() {
				for range 10 {
					c, err := net.Dial("tcp", address)
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
		s.untilParked(0)
		if err := stop(); err != nil {
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

// Where nothing would tell of a client that hangs up, a read waits in its handler.
func TestAsideWithoutHangups(t *testing.T) {
	s, address, _ := aparts(t, Config{})
	s.get("/healthz").is(200) // so it has begun
	if err := s.asides.epoll.Close(); err != nil {
		t.Fatal(err)
	}
	l := dial(t, address)
	l.say("GET /rooms/blue/offer HTTP/1.1", "Host: localhost", "Prefer: wait=60", "", "")
	s.untilParked(1)
	s.post("/rooms/blue/offer", anOffer).is(201)
	l.hear().is(200).says(anOffer)
	s.asides.mu.Lock()
	defer s.asides.mu.Unlock()
	if s.asides.last > 1 {
		t.Errorf("it was set aside %d times", s.asides.last)
	}
}
