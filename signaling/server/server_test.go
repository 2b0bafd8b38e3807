package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

func TestEveryResponse(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{})
	opened := s.post("/rooms/blue/offer", anOffer).is(201)
	replies := []reply{
		opened,
		s.get("/rooms/blue/offer").is(200),
		s.get("/rooms/blue/offer", "If-None-Match: *").is(304),
		s.get("/openapi.yaml").is(200).has("Content-Type", "application/yaml"),
		s.get("/healthz").is(200),
		s.get("/ice-servers").is(200),
		s.send("DELETE", "/rooms/blue", "", bearing(opened.token())).is(204),
	}
	refusals := []reply{
		s.get("/nothing"), s.get("/assets"), s.get("/rooms/blue"), s.get("/offer-candidate"), s.post("/rooms/blue", ""),
		s.send("DELETE", "/offer", ""), s.send("PATCH", "/offer", anOffer), s.send("PUT", "/healthz", ""),
		s.get("/offer"), s.post("/offer", "null"), s.post("/offer", ofSize("offer", 1<<17)), s.send("DELETE", "/rooms/a-b", ""),
	}

	t.Run("is not to be stored, has an id, and keeps browsers from mischief", func(t *testing.T) {
		ids := map[string]bool{}
		for _, r := range append(replies, refusals...) {
			r.has("Cache-Control", "no-store").
				has("X-Content-Type-Options", "nosniff").
				has("X-Frame-Options", "DENY").
				has("Referrer-Policy", "no-referrer").
				has("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
			id := r.header.Get("X-Request-Id")
			if len(id) < 16 || ids[id] {
				t.Errorf("%s: the request's id is %q", r.request, id)
			}
			ids[id] = true
		}
	})

	t.Run("carries the request's own id, if it has one", func(t *testing.T) {
		s := s.in(t)
		s.get("/healthz", "X-Request-Id: mine").has("X-Request-Id", "mine")
	})

	t.Run("is a problem that a person can read, if it is a refusal", func(t *testing.T) {
		for _, r := range refusals {
			want := map[int]string{400: "invalid", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}[r.status]
			if r.request == "GET /offer" {
				want = "no-offer"
			}
			if detail := r.problem(r.status, want); !strings.HasSuffix(detail, ".") {
				t.Errorf("%s: the detail is no sentence: %q", r.request, detail)
			}
		}
	})

	t.Run("to a wrong method says which are right", func(t *testing.T) {
		allow := s.send("PATCH", "/offer", anOffer).header.Get("Allow")
		for _, method := range []string{"GET", "POST", "PUT"} {
			if !strings.Contains(allow, method) {
				t.Errorf("Allow is %q, without %s", allow, method)
			}
		}
	})
}

// A logbook is a log that may be read while it is written.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestLog(t *testing.T) {
	var book logbook
	s := open(t, memstore.Limits{}, Config{Log: book.logger()})
	mine := bearing("MYTOKEN")
	id := s.post("/rooms/SECRET/offer", anOffer, mine).is(201).header.Get("X-Request-Id")
	s.post("/rooms/SECRET/offer", anOffer).is(409)
	s.get("/rooms/SECRET/offer?room=SECRET", mine).is(200)
	s.get("/rooms/SECRET/nothing", mine).is(404)
	s.get("/SECRET").is(404)
	s.send("PATCH", "/rooms/SECRET", "", mine).is(405)
	s.post("/rooms/SECRET/offer", ofSize("offer", 1<<17), mine).is(413)
	s.post("/rooms/SECRET-/offer", anOffer, mine).is(400)
	ctx, hangUp := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := s.try(ctx, http.MethodGet, "/rooms/SECRET/answer", "", "Prefer: wait=60", mine)
		gone <- err
	}()
	s.untilWaiting(1)
	hangUp()
	if err := <-gone; err == nil {
		t.Error("who has hung up has an answer")
	}
	s.untilWaiting(0)
	s.send("DELETE", "/rooms/SECRET", "", mine).is(204)
	text := book.String()

	t.Run("says of each request its route and its outcome", func(t *testing.T) {
		for _, want := range []string{
			"level=INFO msg=request method=POST route=/rooms/:room/offer status=201", "status=409", "status=413", "status=204", "request_id=" + id,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in the log:\n%s", want, text)
			}
		}
	})

	t.Run("names no room and no token", func(t *testing.T) {
		for _, secret := range []string{"SECRET", "MYTOKEN"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in the log:\n%s", secret, text)
			}
		}
	})

	t.Run("calls nothing of that an error", func(t *testing.T) {
		if strings.Contains(text, "level=ERROR") {
			t.Errorf("the log has an error:\n%s", text)
		}
	})
}

// A failing store panics or breaks where a well one works.
type failing struct{ signaling.Store }

func (failing) Offer(context.Context, signaling.Ticket, signaling.Description) (signaling.Version, error) {
	panic("the store has a bug")
}

func (failing) Close(context.Context, signaling.Ticket) error {
	return errors.New("the disk of SECRET is full")
}

func TestFailing(t *testing.T) {
	var book logbook
	s := openStore(t, failing{memstore.New(memstore.Limits{})}, Config{Log: book.logger()})

	t.Run("a store that panics is a 500 to the client and an error in the log", func(t *testing.T) {
		r := s.post("/offer", anOffer).is(500).has("Content-Type", "application/problem+json").has("Cache-Control", "no-store")
		if !strings.Contains(r.body, `"type":"about:blank"`) || strings.Contains(r.body, "bug") {
			t.Errorf("the body is %s", r.body)
		}
		for _, want := range []string{"level=ERROR", "the store has a bug", "status=500"} {
			if !strings.Contains(book.String(), want) {
				t.Errorf("%q is not in the log:\n%s", want, book.String())
			}
		}
	})

	t.Run("a store that breaks does not tell the client how", func(t *testing.T) {
		if r := s.send("DELETE", "/rooms/lobby", "").is(500); strings.Contains(r.body, "disk") {
			t.Errorf("the body is %s", r.body)
		}
	})

	t.Run("the server goes on", func(t *testing.T) {
		s := s.in(t)
		s.get("/offer").problem(404, "no-offer")
		s.get("/healthz").is(200)
	})
}

func TestHealth(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{})
	s.get("/healthz").is(200).says("ok\n")
	s.get("/readyz").is(200).says("ready\n")
	s.Drain()
	s.get("/healthz").is(200).says("ok\n")
	s.get("/readyz").has("Retry-After", "1").problem(503, "draining")
	s.get("/offer", "Prefer: wait=60").has("Retry-After", "1").problem(503, "draining")
	s.get("/offer").problem(404, "no-offer") // who does not wait is served to the end
}

// An asking store asks another machine before it refuses, and gives up when the read has ended.
type asking struct{ signaling.Store }

func (s asking) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	select {
	case <-ctx.Done():
		return nil, "", ctx.Err()
	default:
		return s.Store.Description(ctx, t, of, known, wait)
	}
}

func TestDrainOfAStoreThatAsks(t *testing.T) {
	s := openStore(t, asking{memstore.New(memstore.Limits{})}, Config{})
	s.Drain()
	s.get("/offer", "Prefer: wait=60").has("Retry-After", "1").problem(503, "draining")
	s.get("/offer").problem(404, "no-offer")
}
