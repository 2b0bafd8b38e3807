package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// from makes a request come from another client, by way of a proxy that is trusted.
func from(address string) string { return "X-Forwarded-For: " + address }

var behindProxy = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func TestAnswersThatAreTurnedDown(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{TrustedProxies: behindProxy, AccessKey: "sesame"})
	const caller, key = "Authorization: Bearer caller", "X-P2PChat-Key: sesame"
	alice, mallory, carol := from("192.0.2.1"), from("2001:db8:0:1::6"), from("192.0.2.3")
	n := 0
	room := func(opener string) string {
		n++
		r := fmt.Sprint("/rooms/room", n)
		s.post(r+"/offer", codeOffer, caller, key, opener).is(201)
		return r
	}
	guess := func(who string, end func(room string)) {
		t.Helper()
		r := room(alice)
		s.post(r+"/answer", anAnswer, who).is(201)
		end(r)
	}
	reoffers := func(r string) { s.send("PUT", r+"/offer", description("offer", n), caller, key, alice).is(200) }
	closes := func(r string) { s.send("DELETE", r, "", caller, alice).is(204) }
	accepts := func(r string) {
		s.post(r+"/offer-candidates", aCandidate, caller, alice).is(201)
		closes(r)
	}
	for range 5 {
		guess(mallory, accepts) // calls that take place
	}
	for range 5 {
		guess(mallory, closes) // calls of plain programs that sent no candidate
	}
	guess(mallory, reoffers)
	guess(mallory, reoffers)
	guess(mallory, reoffers)
	r := s.post(room(alice)+"/answer", anAnswer, mallory)
	r.problem(429, "guesses")
	if after, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || after < 590 || after > 600 {
		t.Errorf("Retry-After is %q", r.header.Get("Retry-After"))
	}
	s.post(room(alice)+"/answer", anAnswer, from("2001:db8:0:1:ffff::1")).problem(429, "guesses") // one customer's network
	// Others, and a pair behind the same NAT.
	s.post(room(alice)+"/answer", anAnswer, carol).is(201)
	s.post(room(alice)+"/answer", anAnswer, from("2001:db8:0:2::6")).is(201)
	s.post(room(from("2001:db8:0:1::7"))+"/answer", anAnswer, mallory).is(201)
	s.post(room(alice)+"/answer", anAnswer, mallory, key).is(201)
	// The lobby is open, and has no secrets.
	for range 4 {
		s.post("/offer", anOffer, caller, key, alice).is(201)
		s.post("/answer", anAnswer, from("192.0.2.4")).is(201)
		s.send("DELETE", "/rooms/lobby", "", alice).is(204)
	}
	s.post(room(alice)+"/answer", anAnswer, from("192.0.2.4")).is(201)
}

// Answers to many rooms at once are as many guesses, before any is turned down.
func TestAnswersThatWait(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{TrustedProxies: behindProxy})
	room := func(n int) string {
		r := fmt.Sprint("/rooms/room", n)
		s.post(r+"/offer", codeOffer, "Authorization: Bearer caller", from("192.0.2.1")).is(201)
		return r
	}
	taken := 0
	for n := range 50 {
		r := s.post(room(n)+"/answer", anAnswer, from("192.0.2.66"))
		if r.status == 201 {
			taken++
			continue
		}
		if detail := r.problem(429, "too-many"); !strings.Contains(detail, "wait until callers check them") || r.header.Get("Retry-After") != "1" {
			t.Errorf("it says %q, Retry-After %q", detail, r.header.Get("Retry-After"))
		}
	}
	if taken != 10 {
		t.Errorf("%d answers to rooms at once were taken", taken)
	}
	s.post(room(50)+"/answer", anAnswer, from("192.0.2.3")).is(201)
	if got := s.scrape()[`p2pchat_limit_hits_total{limit="client_answers"}`]; got != "40" {
		t.Errorf("%s refusals were counted", got)
	}
}

func TestRoomsOfOneClient(t *testing.T) {
	s := open(t, memstore.Limits{Client: 2}, Config{TrustedProxies: behindProxy})
	const token = "Authorization: Bearer caller"
	s.post("/offer", anOffer, from("192.0.2.1")).is(201) // the lobby counts for no client
	s.post("/rooms/a/offer", anOffer, token, from("192.0.2.1")).is(201)
	s.post("/rooms/b/offer", anOffer, token, from("192.0.2.1")).is(201)
	s.post("/rooms/c/offer", anOffer, token, from("192.0.2.1")).has("Retry-After", "1").problem(429, "too-many-rooms")
	s.post("/rooms/c/offer", anOffer, token, from("192.0.2.2")).is(201)
	s.send("PUT", "/rooms/a/offer", anOffer, token, from("192.0.2.1")).is(200)
	s.send("DELETE", "/rooms/a", "", token, from("192.0.2.1")).is(204)
	s.post("/rooms/d/offer", anOffer, token, from("192.0.2.1")).is(201)
}

// Reads that wait in rooms without a caller are bounded for each client, those of calls are not.
func TestWaitingWhereNobodyCalls(t *testing.T) {
	var book logbook
	s := open(t, memstore.Limits{}, Config{TrustedProxies: behindProxy, ClientWaiting: 2, Log: slog.New(slog.NewTextHandler(&book, nil))})
	l := listen(t)
	serveSite(t, s.Server, l)
	wait := func(room, client string) (net.Conn, func() string) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		fmt.Fprintf(c, "GET /rooms/%s/offer HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n%s\r\n\r\n", room, client)
		return c, func() string {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			b := make([]byte, 12)
			_, _ = c.Read(b)
			return string(b)
		}
	}
	mallory := from("192.0.2.1")
	_, first := wait("a", mallory)
	gone, _ := wait("b", mallory)
	s.untilParked(2)
	if detail := s.get("/rooms/c/offer", "Prefer: wait=60", mallory).problem(429, "too-many"); !strings.Contains(detail, "rooms that no one has opened") {
		t.Errorf("a third read is told %q", detail)
	}
	if _, third := wait("c", mallory); third() != "HTTP/1.1 429" {
		t.Error("a third read waits")
	}
	_, other := wait("c", from("192.0.2.2"))
	s.untilParked(3)
	s.post("/rooms/a/offer", anOffer, "Authorization: Bearer caller").is(201)
	if got := first(); got != "HTTP/1.1 200" {
		t.Errorf("the first read hears %q", got)
	}
	_ = gone.Close()
	s.untilParked(1)
	wait("d", mallory)
	wait("e", mallory)
	s.untilParked(3)
	s.post("/rooms/c/offer", anOffer).is(201)
	if got := other(); got != "HTTP/1.1 200" {
		t.Errorf("another client's read hears %q", got)
	}
	if text := book.String(); strings.Count(text, "limit=client_waiting") != 1 {
		t.Errorf("the log has %q", text)
	}
}

// A countingWatcher counts the calls of Watch: one each time that a read is parked.
type countingWatcher struct {
	signaling.Watcher
	calls atomic.Int64
}

func (w *countingWatcher) Watch(t signaling.Ticket, of signaling.Side, what signaling.Document, tell func(error)) (stop func()) {
	w.calls.Add(1)
	return w.Watcher.Watch(t, of, what, tell)
}

func (w *countingWatcher) count() int { return int(w.calls.Load()) }

// To wake many readers for nothing costs their client as many requests.
func TestReadersThatAreWokenForNothing(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{TrustedProxies: behindProxy, Rate: Rate{Client: 1e-3, Burst: 12}})
	watched := &countingWatcher{Watcher: s.watcher}
	s.watcher = watched
	l := listen(t)
	serveSite(t, s.Server, l)
	s.post("/rooms/blue/offer", anOffer, "Authorization: Bearer caller", from("192.0.2.2")).is(201)
	var readers []net.Conn
	read := func(client string) net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		fmt.Fprintf(c, "GET /rooms/blue/offer-candidates?after=50 HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n%s\r\n\r\n", client)
		return c
	}
	for range 10 {
		readers = append(readers, read(from("192.0.2.1")))
	}
	honest := read(from("192.0.2.3"))
	s.untilParked(11)
	for n := range 2 {
		s.until(11*(n+1), watched.count, "were parked in all") // two changes that wake a read once are one
		s.untilParked(11)
		s.post("/rooms/blue/offer-candidates", candidate("caller", n), "Authorization: Bearer caller", from("192.0.2.2")).is(201)
	}
	s.untilParked(3) // two of the ten could pay
	_ = readers
	_ = honest.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := honest.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("another client's read has ended, too")
	}
}

// Clients that have as many reads wait as they can, in rooms of their own, leave places for others.
func TestWaitsThatACrowdLeaves(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{TrustedProxies: behindProxy, MaxWaiting: 50_000, ClientWaiting: 200})
	var waiting []*requestInfo
	wait := func(client string) error {
		info := &requestInfo{client: netip.MustParseAddr(client), cost: 1}
		err := s.beginWait(info)
		if err == nil {
			waiting = append(waiting, info)
		}
		return err
	}
	alone := 0
	for wait("198.51.100.2") == nil {
		alone++
	}
	if alone != 1000 {
		t.Errorf("a client alone has %d reads wait", alone)
	}
	for n := range 200 { // four times as many as would fill the server with 1,000 each
		mallory := fmt.Sprint("192.0.2.", n)
		err := wait(mallory)
		for err == nil {
			err = wait(mallory)
		}
		if !errors.Is(err, signaling.ErrTooMany) {
			t.Fatalf("client %d: %v", n, err)
		}
	}
	s.get("/rooms/blue/offer", from("192.0.2.7"), "Prefer: wait=1").problem(429, "too-many")
	s.get("/rooms/blue/offer", from("198.51.100.1"), "Prefer: wait=1").problem(404, "no-offer")
	for _, info := range waiting {
		s.endWait(info)
	}
	if s.Waiting() != 0 || len(s.waiters.count) > 0 {
		t.Errorf("%d reads of %d clients are counted, and none waits", s.Waiting(), len(s.waiters.count))
	}
}

func TestDigits(t *testing.T) {
	for rooms, want := range map[int]int{0: 3, 89: 3, 90: 4, 899: 4, 900: 5, 9000: 6, 1 << 40: 9} {
		if got := digits(rooms); got != want {
			t.Errorf("for %d rooms a number has %d digits, want %d", rooms, got, want)
		}
	}
	s := open(t, memstore.Limits{}, Config{Load: func() int { return 100 }})
	s.get("/ice-servers").is(http.StatusOK).has("P2PChat-Room-Digits", "4")
}

// The guests of a room do not share what they may ask.
func TestGuestsOfOneRoom(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{TrustedProxies: behindProxy})
	s.post("/rooms/blue/offer", anOffer).is(201)
	for range guestBurst {
		s.get("/rooms/blue/ice-servers", from("192.0.2.1")).is(200)
	}
	s.get("/rooms/blue/ice-servers", from("192.0.2.1")).is(429)
	s.get("/rooms/blue/ice-servers", from("192.0.2.2")).is(200)
}

// Candidates that come early take no place among the reads that wait for longer than they do.
func TestEarlyCandidatesWhereReadsAreTooMany(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{MaxWaiting: 1})
	waiting := s.park("/rooms/blue/offer")
	for range 5 {
		s.post("/rooms/green/offer-candidate", aCandidate, "Authorization: Bearer "+strings.Repeat("t", strongToken)).problem(404, "no-room")
	}
	s.post("/rooms/blue/offer", anOffer).is(201)
	s.heard(waiting).is(200)
	if n := s.Waiting(); n != 0 {
		t.Errorf("%d reads are counted as waiting, and none does", n)
	}
}

// A client that has another one replace its offers holds their rooms all the same.
func TestRoomsThatAreHandedOn(t *testing.T) {
	s := open(t, memstore.Limits{Client: 2}, Config{TrustedProxies: behindProxy})
	caller := "Authorization: Bearer caller"
	for n := range 2 {
		s.post(fmt.Sprintf("/rooms/room%d/offer", n), anOffer, caller, from("192.0.2.1")).is(201)
		s.send("PUT", fmt.Sprintf("/rooms/room%d/offer", n), description("offer", n), caller, from("192.0.2.2")).is(200)
	}
	s.post("/rooms/room2/offer", anOffer, caller, from("192.0.2.1")).problem(429, "too-many-rooms")
	s.post("/rooms/room3/offer", anOffer, caller, from("192.0.2.2")).is(201)
}
