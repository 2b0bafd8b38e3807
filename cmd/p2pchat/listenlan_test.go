package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"p2pchat/peer"
	"p2pchat/peer/contact"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
)

// A ringingFace passes on for whom it rings, too.
type ringingFace struct {
	notingFace
	rings chan string
}

func (f ringingFace) ringing(name string, _ bool) { f.rings <- name }

// A call at the contact's own server rings at once, though a neighbour has announced the contact and has a server that answers.
func TestATryOnTheLocalNetworkHoldsUpNoCall(t *testing.T) {
	at, rings := serving(t), make(chan string, 10)
	s, _ := listensFor(t, at, 1, func(s *switchboard) { s.face = ringingFace{s.face.(notingFace), rings} })
	asked := make(chan struct{}, 1000)
	silent := server.New(memstore.New(memstore.Limits{}), server.Config{Log: slog.New(slog.DiscardHandler)})
	neighbour := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		silent.ServeHTTP(w, r)
	}))
	t.Cleanup(neighbour.Close)
	list, err := s.book.List()
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	begun := time.Now()
	s.posts <- func() { s.offered(t.Context(), list[0].ID, neighbour.URL) }
	<-asked

	key, nonce := fmt.Appendf(nil, "%032d", 0), make([]byte, contact.NonceSize)
	keys := contact.Keep(contact.Second, key, nonce, nonce)
	caller := peer.Meet(clientOf(t, at), peer.Contact{Keys: func() contact.Keys { return keys }, Calls: true}, peer.Config{Moves: true, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(caller.Close)
	next(t, rings)
	if late := time.Since(begun); late > provingOnLAN {
		t.Errorf("it rings %v after a neighbour was tried", late)
	}
}

// A server of the local network at which a contact proved nothing is left alone, though the contact has letters that keep its line waiting.
func TestAServerIsRefutedBeforeLettersAreRead(t *testing.T) {
	s, _ := listensFor(t, serving(t), 1, func(s *switchboard) { s.letters.round = time.Hour })
	neighbour := httptest.NewServer(server.New(memstore.New(memstore.Limits{}), server.Config{Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(neighbour.Close)
	list, err := s.book.List()
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	s.letters.setBusy(list[0].ID, true)
	s.posts <- func() { s.offered(t.Context(), list[0].ID, neighbour.URL) }
	eventually(t, func() bool {
		s.lan.mu.Lock()
		defer s.lan.mu.Unlock()
		return !s.lan.refuted.last(neighbour.URL).IsZero()
	}, func() string { return "it may be tried again" })
}

// Neighbours who announce more than the switchboard can handle do not make the search wait.
func TestASearchDoesNotWait(t *testing.T) {
	s, _ := listensFor(t, serving(t), 1, func(*switchboard) {})
	begun, hold := make(chan struct{}), make(chan struct{})
	s.posts <- func() {
		close(begun)
		<-hold
	}
	defer close(hold)
	<-begun
	done := make(chan struct{})
	go func() {
		for range 3 * cap(s.posts) {
			s.lan.found("no contact", "http://192.0.2.1:1")
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("it waits")
	}
}

// A neighbour with many servers does not make a program forget those that it has tried last.
func TestServersAreRemembered(t *testing.T) {
	t.Parallel()
	var l serverLog
	for port := range 3 * maxLANTried {
		l.note("http://192.0.2.1:1000")
		l.note(fmt.Sprintf("http://192.0.2.2:%d", port+1))
	}
	if len(l.at) != maxLANTried || l.last("http://192.0.2.1:1000").IsZero() {
		t.Errorf("%d servers are remembered, the first one since %v", len(l.at), l.last("http://192.0.2.1:1000"))
	}
}
