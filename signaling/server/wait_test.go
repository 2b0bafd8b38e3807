package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling/memstore"
)

func TestWaiting(t *testing.T) {
	for _, test := range []struct {
		says    string
		prefer  []string
		applied string
		lasts   time.Duration
	}{
		{"who does not ask is answered at once", nil, "", 0},
		{"who asks for 0 seconds is answered at once", []string{"wait=0"}, "wait=0", 0},
		{"who asks for 7 seconds waits 7 seconds", []string{"wait=7"}, "wait=7", 7 * time.Second},
		{"who asks for 60 seconds waits 60 seconds", []string{"wait=60"}, "wait=60", time.Minute},
		{"who asks for 61 seconds waits 60 seconds", []string{"wait=61"}, "wait=60", time.Minute},
		{"who asks in quotes waits", []string{`wait="7"`}, "wait=7", 7 * time.Second},
		{"who prefers other things too waits", []string{`respond-async, wait=7; x="y"`, "foo"}, "wait=7", 7 * time.Second},
		{"who asks for x is answered at once", []string{"wait=x"}, "", 0},
		{"who asks for -1 is answered at once", []string{"wait=-1"}, "", 0},
		{"who asks for nothing in particular is answered at once", []string{"wait"}, "", 0},
	} {
		t.Run(test.says, func(t *testing.T) {
			for path, refusal := range map[string]string{"/offer": "no-offer", "/answer": "no-answer", "/offer-candidates": "no-room", "/answer-candidates": "no-room"} {
				// The bubble's clock is not that of a network: here is none.
				synctest.Test(t, func(t *testing.T) {
					s := New(memstore.New(memstore.Limits{}), Config{Log: slog.New(slog.DiscardHandler)})
					req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
					req.Header["Prefer"] = test.prefer
					asked, rec := time.Now(), httptest.NewRecorder()
					s.ServeHTTP(rec, req)
					if lasted := time.Since(asked); lasted != test.lasts {
						t.Errorf("%s took %v, want %v", path, lasted, test.lasts)
					}
					reply{t: t, request: "GET " + path, status: rec.Code, header: rec.Header(), body: rec.Body.String()}.
						has("Preference-Applied", test.applied).problem(404, refusal)
				})
			}
		})
	}

	t.Run("an empty list is what there is when the wait is over", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.post("/offer", anOffer).is(201)
		s.get("/offer-candidates", "Prefer: wait=1").is(200).says("[]").has("Preference-Applied", "wait=1")
	})

	t.Run("who asks for what is there does not wait", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.post("/offer", anOffer).is(201)
		s.get("/offer", "Prefer: wait=60").is(200).says(anOffer).has("Preference-Applied", "wait=60")
	})

	t.Run("everybody who is parked on a document hears of it", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		var parked []<-chan reply
		for range 5 {
			parked = append(parked, s.park("/rooms/blue/offer"))
		}
		s.post("/rooms/blue/offer", anOffer).is(201)
		for _, p := range parked {
			s.heard(p).is(200).says(anOffer)
		}
		s.untilWaiting(0)
	})

	t.Run("a parked read of a list wakes for what is after its index only", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.post("/offer", anOffer).is(201)
		second := s.park("/offer-candidates?after=1")
		first := s.park("/offer-candidates")
		s.post("/offer-candidate", candidate("caller", 0)).is(201)
		s.heard(first).is(200).says("[" + candidate("caller", 0) + "]")
		s.untilWaiting(1)
		s.post("/offer-candidate", candidate("caller", 1)).is(201)
		s.heard(second).is(200).says("[" + candidate("caller", 1) + "]")
	})

	t.Run("a reader that is parked in a room that is closed is answered 404 at once", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		caller := bearing(s.post("/rooms/blue/offer", anOffer).token())
		var parked []<-chan reply
		for _, path := range []string{"/offer", "/answer", "/offer-candidates", "/answer-candidates"} {
			parked = append(parked, s.park("/rooms/blue"+path, "If-None-Match: *"), s.park("/rooms/blue"+path, "If-None-Match: *", caller))
		}
		s.send("DELETE", "/rooms/blue", "", caller).is(204)
		for _, p := range parked {
			s.heard(p).problem(404, "closed")
		}
	})

	t.Run("a client that hangs up leaves nothing behind", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		ctx, hangUp := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := s.try(ctx, http.MethodGet, "/rooms/blue/offer", "", "Prefer: wait=60")
			failed <- err
		}()
		s.untilWaiting(1)
		hangUp()
		if err := <-failed; err == nil {
			t.Error("the client has an answer")
		}
		s.untilWaiting(0)
	})
}

func TestVersions(t *testing.T) {
	for _, test := range []struct{ path, first, second string }{
		{"/offer", anOffer, description("offer", 2)},
		{"/answer", anAnswer, description("answer", 2)},
	} {
		begin := func(t *testing.T) (s *site, etag string) {
			s = open(t, memstore.Limits{}, Config{})
			s.post("/offer", anOffer).is(201)
			etag = s.post(test.path, test.first).is(201).etag()
			s.get(test.path).is(200).has("ETag", etag)
			return s, etag
		}

		t.Run(test.path+" is not sent again to a reader that has it", func(t *testing.T) {
			s, etag := begin(t)
			for _, had := range []string{etag, "W/" + etag, `"another", ` + etag, "*"} {
				s.get(test.path, "If-None-Match: "+had).is(304).says("").has("ETag", etag).has("Content-Type", "").has("Preference-Applied", "")
			}
			s.get(test.path, `If-None-Match: "another"`, "If-None-Match: "+etag).is(304)
			s.get(test.path, "If-None-Match: "+etag, "Prefer: wait=1").is(304).has("ETag", etag).has("Preference-Applied", "wait=1")
		})

		t.Run(test.path+" is sent to a reader that has another one", func(t *testing.T) {
			s, etag := begin(t)
			for _, had := range []string{`"another"`, `"another", "one"`, `""`} {
				s.get(test.path, "If-None-Match: "+had, "Prefer: wait=60").is(200).says(test.first).has("ETag", etag)
			}
		})

		t.Run(test.path+" is sent as soon as it differs", func(t *testing.T) {
			s, etag := begin(t)
			parked := s.park(test.path, "If-None-Match: "+etag)
			replaced := s.post(test.path, test.second).is(201)
			s.heard(parked).is(200).says(test.second).has("ETag", replaced.etag())
		})
	}

	t.Run("an ETag of a room that is gone does not fit the next one of that name", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		etag := s.post("/offer", anOffer).is(201).etag()
		s.send("DELETE", "/rooms/lobby", "").is(204)
		s.post("/offer", anOffer).is(201)
		s.get("/offer", "If-None-Match: "+etag).is(200)
	})
}
