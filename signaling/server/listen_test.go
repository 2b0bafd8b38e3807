package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"p2pchat/signaling/memstore"
)

// longName is a name that a client may wait for together with others.
func longName(n int) string { return fmt.Sprintf("contacts~meet~here~%05d", n) }

// wants is the body of a read of these rooms' offers, none of which is known.
func wants(rooms ...string) string {
	known := map[string]string{}
	for _, room := range rooms {
		known[room] = ""
	}
	body, _ := json.Marshal(map[string]any{"rooms": known})
	return string(body)
}

// manyNames are the names of n rooms.
func manyNames(n int) (all []string) {
	for i := range n {
		all = append(all, longName(i))
	}
	return all
}

// walkListen provokes whatever can happen to a read of many rooms, and returns it.
func walkListen(t *testing.T) map[string]bool {
	s := open(t, memstore.Limits{}, Config{})
	s.post("/listen", wants(longName(1))).is(200).says("[]")
	for _, body := range []string{"[]", "{}", `{"rooms":{}}`, wants("short"), wants(longName(1) + "-"), wants(manyNames(1025)...), `{"rooms":{"` + longName(1) + `":7}}`} {
		s.post("/listen", body).problem(400, "invalid")
	}
	s.post("/listen", strings.Repeat(" ", 64<<10+1)).problem(413, "too-large")
	s.post("/rooms/"+longName(2)+"/offer", anOffer).is(201)
	s.post("/listen", wants(longName(1), longName(2))).is(200)
	s.Drain()
	s.post("/listen", wants(longName(1)), "Prefer: wait=9").problem(503, "draining")
	return s.seen.seen
}

func TestListen(t *testing.T) {
	t.Run("rooms cost a request for each sixteen", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{Rate: Rate{Client: 1e-3, Burst: 64}})
		s.post("/listen", wants(manyNames(1000)...)).is(200) // 63
		s.post("/listen", wants(manyNames(16)...)).problem(429, "too-many")
	})
	t.Run("they wait as one read and one more for each 16 rooms", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{MaxWaiting: 64})
		heard := make(chan reply, 1)
		go func() { heard <- s.post("/listen", wants(manyNames(1000)...), "Prefer: wait=60") }()
		s.untilWaiting(63)
		s.post("/listen", wants(manyNames(16)...), "Prefer: wait=60").problem(503, "server-full")
		s.post("/rooms/"+longName(999)+"/offer", anOffer).is(201)
		if r := s.heard(heard).is(200); !strings.Contains(r.body, longName(999)) {
			t.Errorf("heard %q", r.body)
		}
		s.untilWaiting(0)
	})
	t.Run("they are not rooms that others have to guess around", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		s := openStore(t, store, Config{})
		heard := make(chan reply, 1)
		go func() { heard <- s.post("/listen", wants(manyNames(1000)...), "Prefer: wait=60") }()
		s.untilWaiting(63)
		if c := store.Counts(); c.Awaited != 0 {
			t.Errorf("the store counts %d rooms", c.Awaited)
		}
		s.Drain()
		s.heard(heard).problem(503, "draining")
	})
}
