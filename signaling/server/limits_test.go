package server

import (
	"fmt"
	"strings"
	"testing"

	"p2pchat/signaling/internal/ratelimit"
	"p2pchat/signaling/memstore"
)

// What a client is told about a limit is true of that limit.
func TestWhatLimitsSay(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{MaxWaiting: 1, Rate: Rate{All: 1e6}})
	s.post("/rooms/blue/offer", anOffer).is(201)
	waiting := s.park("/rooms/green/offer")
	said := map[string]string{"waiting": s.get("/rooms/red/offer", "Prefer: wait=9").problem(503, "server-full")}
	for range guestBurst {
		s.get("/rooms/blue/ice-servers").is(200)
	}
	said["guests"] = s.get("/rooms/blue/ice-servers").problem(429, "too-many")
	s.rates.all = ratelimit.New[struct{}](1e-9, 1, ratelimit.Bounds{Keys: 1})
	s.rates.all.Allow(struct{}{})
	said["all"] = s.get("/offer").problem(429, "too-many")
	s.Drain()
	s.heard(waiting).is(503)
	for limit, want := range map[string]string{"waiting": "many requests wait", "guests": "ICE servers of this room too often", "all": "All clients together"} {
		if !strings.Contains(said[limit], want) {
			t.Errorf("%s: %q, which has no %q", limit, said[limit], want)
		}
	}
	for limit, want := range map[string]string{limitConnections: "connections are open", limitClientConnections: "open connections"} {
		if text := string(turnedAway()[limit]); !strings.Contains(text, want) {
			t.Errorf("%s: %q, which has no %q", limit, text, want)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Run("a body at the limit passes, and one byte more does not", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		const limit = 64 << 10
		for _, length := range []string{"Content-Length: of net/http", "Transfer-Encoding: chunked"} {
			s.post("/offer", ofSize("offer", limit), length).is(201)
			s.get("/offer").is(200).says(ofSize("offer", limit))
			s.post("/answer", ofSize("answer", limit), length).is(201)
			s.send("PUT", "/offer", ofSize("offer", limit), length).is(200)
			s.post("/offer-candidate", ofSize("any", limit), length).is(201)

			s.post("/offer", ofSize("offer", limit+1), length).problem(413, "too-large")
			s.post("/answer", ofSize("answer", limit+1), length).problem(413, "too-large")
			s.send("PUT", "/offer", ofSize("offer", limit+1), length).problem(413, "too-large")
			s.post("/offer-candidate", ofSize("any", limit+1), length).problem(413, "too-large")
			s.get("/offer").is(200).says(ofSize("offer", limit))
		}
	})

	t.Run("a list that is full takes no more, of an array not even a part", func(t *testing.T) {
		s := open(t, memstore.Limits{Candidates: 3}, Config{})
		s.post("/offer", anOffer).is(201)
		s.post("/offer-candidates", "[{},{}]").is(201)
		s.post("/offer-candidates", "[{},{}]").problem(409, "candidates-full")
		s.post("/offer-candidate", "{}").is(201)
		s.post("/offer-candidate", "{}").problem(409, "candidates-full")
		s.post("/offer-candidates?at=0", "[{},{},{}]").is(201) // a repetition is none too many
		s.get("/offer-candidates").is(200).says("[{},{},{}]")
		s.post("/answer-candidate", "{}").is(201) // the other list is another
	})

	t.Run("a list with too many bytes takes no more", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.post("/offer", anOffer).is(201)
		for range 2 {
			s.post("/offer-candidate", ofSize("any", 64<<10)).is(201)
		}
		if detail := s.post("/offer-candidate", "{}").problem(409, "candidates-full"); !strings.Contains(detail, "bytes") {
			t.Errorf("the detail is %q", detail)
		}
		s.post("/answer-candidate", "{}").is(201)
	})

	t.Run("a server that is full of rooms opens no other", func(t *testing.T) {
		s := open(t, memstore.Limits{Rooms: 2}, Config{})
		caller := bearing(s.post("/rooms/one/offer", anOffer).token())
		s.post("/rooms/two/offer", anOffer).is(201)
		s.post("/rooms/three/offer", anOffer).has("Retry-After", "1").problem(503, "server-full")
		s.post("/offer", anOffer).has("Retry-After", "1").problem(503, "server-full")
		s.post("/rooms/one/answer", anAnswer).is(201)
		s.send("DELETE", "/rooms/one", "", caller).is(204)
		s.post("/rooms/three/offer", anOffer).is(201)
	})

	t.Run("a server where too many wait parks no other, but answers who does not wait", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{MaxWaiting: 2})
		one, two := s.park("/offer"), s.park("/rooms/blue/offer-candidates")
		for _, path := range []string{"/offer", "/rooms/red/answer", "/answer-candidates"} {
			s.get(path, "Prefer: wait=60").has("Retry-After", "1").has("Preference-Applied", "").problem(503, "server-full")
			s.get(path).is(404)
			s.get(path, "Prefer: wait=0").is(404)
		}
		s.post("/offer", anOffer).is(201)
		s.heard(one).is(200)
		s.untilWaiting(1)
		three := s.park("/answer")
		s.Drain()
		s.heard(two).is(503)
		s.heard(three).is(503)
	})
}

// ofSize is a description or a candidate of n bytes.
func ofSize(kind string, n int) string {
	frame := fmt.Sprintf(`{"type":%q,"sdp":""}`, kind)
	return frame[:len(frame)-2] + strings.Repeat("v", n-len(frame)) + frame[len(frame)-2:]
}
