package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"p2pchat/signaling/memstore"
)

// scrape is what /metrics says, a sample a line.
func (s *site) scrape() map[string]string {
	s.t.Helper()
	client := &http.Client{Transport: s.seen.next} // it stands in no contract
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	h := &http.Server{Handler: s.Metrics(), ReadHeaderTimeout: time.Second}
	go func() { _ = h.Serve(l) }()
	defer func() { _ = h.Close() }()
	return scrape(s.t, client, "http://"+l.Addr().String()+"/metrics")
}

func scrape(t testing.TB, client *http.Client, url string) map[string]string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, res.Status, err)
	}
	samples := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if i := strings.LastIndex(line, " "); i > 0 && !strings.HasPrefix(line, "#") {
			samples[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return samples
}

func TestMetrics(t *testing.T) {
	wants := func(t *testing.T, got map[string]string, want map[string]string) {
		t.Helper()
		for sample, value := range want {
			if got[sample] != value {
				t.Errorf("%s is %q, want %s", sample, got[sample], value)
			}
		}
	}

	t.Run("a call is counted", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		caller, callee := bearing("caller"), bearing("callee")
		waiting := s.park("/rooms/blue/offer")
		wants(t, s.scrape(), map[string]string{"p2pchat_parked_reads": "1", "p2pchat_ready": "1"})
		s.post("/rooms/blue/offer", anOffer, caller).is(201)
		s.heard(waiting).is(200)
		s.post("/rooms/blue/answer", anAnswer, callee).is(201)
		s.post("/rooms/blue/answer", anAnswer).is(409)
		s.send("PUT", "/rooms/blue/offer", description("offer", 2), caller).is(200)
		s.get("/rooms/blue/offer").is(200)
		s.send("DELETE", "/rooms/blue", "", caller).is(204)
		s.untilWaiting(0)
		wants(t, s.scrape(), map[string]string{
			"p2pchat_parked_reads":                                                      "0",
			`p2pchat_calls_total{event="opened"}`:                                       "1",
			`p2pchat_calls_total{event="answered"}`:                                     "1",
			`p2pchat_calls_total{event="turned_down"}`:                                  "1",
			`p2pchat_calls_total{event="closed"}`:                                       "1",
			`p2pchat_requests_total{code="201",route="POST /rooms/:room/answer"}`:       "1",
			`p2pchat_requests_total{code="409",route="POST /rooms/:room/answer"}`:       "1",
			`p2pchat_request_seconds_count{route="GET /rooms/:room/offer",waits="yes"}`: "1",
			`p2pchat_request_seconds_count{route="GET /rooms/:room/offer",waits="no"}`:  "1",
			`p2pchat_store_seconds_count{operation="answer"}`:                           "2",
			`p2pchat_store_seconds_count{operation="read_description"}`:                 "1",
			`p2pchat_store_failures_total{operation="answer"}`:                          "0",
		})
	})

	t.Run("each limit is counted when it is hit", func(t *testing.T) {
		s := open(t, memstore.Limits{Rooms: 1, Candidates: 1}, Config{MaxBody: 1 << 10, MaxWaiting: 1})
		waiting := s.park("/offer")
		s.get("/offer", "Prefer: wait=1").is(503)
		s.post("/offer", anOffer).is(201)
		s.heard(waiting)
		s.post("/rooms/blue/offer", anOffer).is(503)
		s.post("/offer-candidates", "[{},{}]").is(409)
		s.post("/offer", ofSize("offer", 2<<10)).is(413)
		for range guestBurst + 1 {
			s.get("/rooms/lobby/ice-servers")
		}
		got := s.scrape()
		for _, limit := range []string{"waiting", "rooms", "candidates", "body", "guest_rate"} {
			wants(t, got, map[string]string{`p2pchat_limit_hits_total{limit="` + limit + `"}`: "1"})
		}
		for limit, rate := range map[string]Rate{"client_rate": {Client: 1e-3, Burst: 1}, "all_rate": {All: 1e-3}} {
			s := open(t, memstore.Limits{}, Config{Rate: rate})
			s.get("/offer").is(404)
			s.get("/offer").is(429)
			wants(t, s.scrape(), map[string]string{`p2pchat_limit_hits_total{limit="` + limit + `"}`: "1"})
		}
	})

	t.Run("a store that fails is counted", func(t *testing.T) {
		s := openStore(t, failing{memstore.New(memstore.Limits{})}, Config{Ready: func() error { return errors.New("no") }})
		s.send("DELETE", "/rooms/blue", "").is(500)
		wants(t, s.scrape(), map[string]string{`p2pchat_store_failures_total{operation="close"}`: "1", "p2pchat_ready": "0"})
		s = openStore(t, gone{}, Config{})
		s.get("/offer").is(503)
		wants(t, s.scrape(), map[string]string{`p2pchat_store_failures_total{operation="read_description"}`: "1"})
	})

	t.Run("no label has a room, a token, an address, or what a stranger chose", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.post("/rooms/SECRET/offer", anOffer, bearing("SECRET")).is(201)
		s.get("/rooms/SECRET/nothing").is(404)
		s.get("/SECRET?SECRET").is(404)
		s.send("SECRET", "/offer", "").is(405)
		s.send("SECRET", "/SECRET", "").is(404)
		s.get("/rooms/SECRET-/offer").is(400)
		for sample := range s.scrape() {
			if strings.Contains(sample, "SECRET") || strings.Contains(sample, "127.0.0.1") {
				t.Error(sample)
			}
		}
	})

	t.Run("what others measure stands among them", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{Measures: []Measure{
			{Name: "p2pchat_relay_bytes_total", Help: "Bytes.", Labels: map[string]string{"direction": "in"}, Counts: true, Value: func() float64 { return 7 }},
			{Name: "p2pchat_relay_bytes_total", Help: "Bytes.", Labels: map[string]string{"direction": "out"}, Counts: true, Value: func() float64 { return 8 }},
		}})
		wants(t, s.scrape(), map[string]string{`p2pchat_relay_bytes_total{direction="in"}`: "7", `p2pchat_relay_bytes_total{direction="out"}`: "8"})
		w := httptest.NewRecorder()
		s.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for _, lines := range []string{
			"# HELP p2pchat_relay_bytes_total Bytes.\n# TYPE p2pchat_relay_bytes_total counter\np2pchat_relay_bytes_total{direction=\"in\"} 7\np2pchat_relay_bytes_total{direction=\"out\"} 8\n",
			"# HELP p2pchat_parked_reads Waiting reads.\n# TYPE p2pchat_parked_reads gauge\np2pchat_parked_reads 0\n",
			"# TYPE p2pchat_store_seconds histogram\np2pchat_store_seconds_bucket{operation=",
		} {
			if !strings.Contains(w.Body.String(), lines) {
				t.Errorf("there is no\n%s\nin\n%s", lines, w.Body)
			}
		}
	})

	t.Run("they are served where they should be, and nowhere else", func(t *testing.T) {
		var at [2]net.Listener
		for i := range at {
			var err error
			if at[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
		}
		s := New(memstore.New(memstore.Limits{}), Config{Metrics: at[1]})
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, at[0], time.Second) }()
		transport := &http.Transport{}
		client := &http.Client{Transport: transport}
		if got := scrape(t, client, "http://"+at[1].Addr().String()+"/metrics"); got["go_goroutines"] == "" || got["process_open_fds"] == "" {
			t.Errorf("there are %d samples, and none of the runtime", len(got))
		}
		for _, url := range []string{"http://" + at[0].Addr().String() + "/metrics", "http://" + at[1].Addr().String() + "/offer"} {
			res, err := client.Get(url) //nolint:noctx // it answers at once
			if err != nil || res.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %v, %v", url, res, err)
			}
			_ = res.Body.Close()
		}
		transport.CloseIdleConnections()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}
