package server

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	codeOffer  = `{"type":"offer","sdp":"v=0 the caller","p2pchat":{"v":2}}`
	anOffer    = `{"type":"offer","sdp":"v=0 the caller"}`
	anAnswer   = `{"type":"answer","sdp":"v=0 the callee"}`
	aCandidate = `{"candidate":"candidate:1 1 UDP 1 192.0.2.1 9 typ host"}`

	patience = 10 * time.Second // far less than any wait=60 that must end at once
)

// A site is a server on loopback, and its client, which holds whatever passes
// against openapi.yaml.
type site struct {
	*Server
	t      testing.TB
	url    string
	client *http.Client
	seen   *contract
}

// open returns a site that a test may do with as it likes.
func open(t testing.TB, limits memstore.Limits, config Config) *site {
	return openStore(t, memstore.New(limits), config)
}

func openStore(t testing.TB, store signaling.Store, config Config) *site {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	s := New(store, config)
	h := httptest.NewServer(s)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	seen := &contract{t: t, next: transport}
	t.Cleanup(func() {
		s.Drain()
		transport.CloseIdleConnections()
		h.Close()
	})
	return &site{Server: s, t: t, url: h.URL, client: &http.Client{Transport: seen}, seen: seen}
}

// in is the same site, whose complaints are those of t.
func (s *site) in(t testing.TB) *site {
	seen := &contract{t: t, next: s.seen.next}
	return &site{Server: s.Server, t: t, url: s.url, client: &http.Client{Transport: seen}, seen: seen}
}

// send makes one request; a header is written "Name: value".
func (s *site) send(method, path, body string, header ...string) reply {
	s.t.Helper()
	r, err := s.try(s.t.Context(), method, path, body, header...)
	if err != nil {
		s.t.Errorf("%s %s: %v", method, path, err)
	}
	return r
}

func (s *site) get(path string, header ...string) reply {
	s.t.Helper()
	return s.send(http.MethodGet, path, "", header...)
}

func (s *site) post(path, body string, header ...string) reply {
	s.t.Helper()
	return s.send(http.MethodPost, path, body, header...)
}

func (s *site) try(ctx context.Context, method, path, body string, header ...string) (reply, error) {
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, from)
	if err != nil {
		return reply{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	if req.Header.Get("Transfer-Encoding") == "chunked" {
		req.ContentLength = -1
	}
	res, err := s.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	return reply{t: s.t, request: method + " " + path, status: res.StatusCode, header: res.Header, body: string(got)}, err
}

// park sends a read that waits, and returns once the server has it waiting.
func (s *site) park(path string, header ...string) <-chan reply {
	s.t.Helper()
	want := s.Waiting() + 1
	heard := make(chan reply, 1)
	go func() {
		r, err := s.try(context.WithoutCancel(s.t.Context()), http.MethodGet, path, "", append(header, "Prefer: wait=60")...)
		if err != nil {
			s.t.Errorf("GET %s: %v", path, err)
		}
		heard <- r
	}()
	s.untilWaiting(want)
	return heard
}

// untilWaiting returns once n reads wait. It polls, because the server reports no such event.
func (s *site) untilWaiting(n int) {
	s.t.Helper()
	s.until(n, s.Waiting, "wait")
}

// untilParked returns once n reads are parked.
func (s *site) untilParked(n int) {
	s.t.Helper()
	s.until(n, s.parker.Len, "are parked")
}

func (s *site) until(n int, count func() int, what string) {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for over := time.After(patience); count() != n; {
		select {
		case <-tick.C:
		case <-over:
			s.t.Fatalf("%d reads %s, not %d", count(), what, n)
		}
	}
}

// heard is the reply to a parked read, which must come at once.
func (s *site) heard(from <-chan reply) reply {
	s.t.Helper()
	select {
	case r := <-from:
		return r
	case <-time.After(patience):
		s.t.Fatal("a parked read has heard nothing")
		return reply{}
	}
}

// A reply checks itself.
type reply struct {
	t       testing.TB
	request string
	status  int
	header  http.Header
	body    string
}

func (r reply) is(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Errorf("%s: %d %s, want %d", r.request, r.status, r.body, status)
	}
	return r
}

func (r reply) says(body string) reply {
	r.t.Helper()
	if r.body != body {
		r.t.Errorf("%s: the body is %q, want %q", r.request, r.body, body)
	}
	return r
}

// has wants a header; an empty value wants none of that name.
func (r reply) has(name, value string) reply {
	r.t.Helper()
	if got := r.header.Get(name); got != value {
		r.t.Errorf("%s: %s is %q, want %q", r.request, name, got, value)
	}
	return r
}

// problem wants a refusal, and returns its detail.
func (r reply) problem(status int, name string) string {
	r.t.Helper()
	r.is(status).has("Content-Type", "application/problem+json")
	var p signaling.Problem
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		r.t.Errorf("%s: %q is no problem: %v", r.request, r.body, err)
	}
	if p.Type != "urn:p2pchat:"+name || p.Status != status || p.Title == "" || p.Detail == "" {
		r.t.Errorf("%s: %+v, want a whole %s", r.request, p, name)
	}
	return p.Detail
}

// token is what the reply hands out.
func (r reply) token() string {
	r.t.Helper()
	var body struct{ Token string }
	if err := json.Unmarshal([]byte(r.body), &body); err != nil || len(body.Token) < 22 {
		r.t.Errorf("%s: %q has no token of 128 bits", r.request, r.body)
	}
	return body.Token
}

func (r reply) etag() string { return r.header.Get("ETag") }

func bearing(token string) string { return "Authorization: Bearer " + token }
