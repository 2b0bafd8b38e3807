package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/peer/contact"
	"p2pchat/signaling/memstore"
)

// A contact whose connection ends while it rings, and who is back at once, has the answer that was given in between. One who has hung up
// is not waited for.
func TestAnAnswerWhileTheConnectionMoves(t *testing.T) {
	t.Parallel()
	key, store := make([]byte, contact.KeySize), memstore.New(memstore.Limits{})
	meet := func(side contact.Side) *peer.Session {
		keys := contact.Keep(side, key, nil, nil)
		s := peer.Meet(store, peer.Contact{Keys: func() contact.Keys { return keys }, Calls: side == contact.First}, peer.Config{Moves: true, Log: slog.New(slog.DiscardHandler)})
		t.Cleanup(s.Close)
		return s
	}
	pipe := func(s *peer.Session) *peer.Pipe {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		p, err := s.Pipe(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	caller, callee := meet(contact.First), meet(contact.Second)
	at := pipe(callee)
	pipe(caller)
	r := &incomingCall{session: callee, first: at}
	ctx, answer := context.WithCancel(t.Context())
	rung := make(chan error, 1)
	go func() { rung <- r.ring(ctx) }()
	caller.Close()
	<-at.Ended()
	answer()
	caller = meet(contact.First)
	if err := <-rung; err != nil {
		t.Fatalf("the answer counts as missed: %v", err)
	}
	if r.first == at || r.rung == nil {
		t.Error("the call goes on over the connection that has ended")
	}

	ctx, answer = context.WithCancel(t.Context())
	defer answer()
	go func() { rung <- r.ring(ctx) }()
	hangsUp := chat.New(chat.Config{})
	ended := make(chan error, 1)
	go func() {
		ended <- hangsUp.Run(t.Context(), func(context.Context) (chat.Link, error) { return chat.Link{Pipe: pipe(caller)}, nil })
	}()
	hangsUp.Leave()
	if err := <-rung; !errors.Is(err, chat.ErrHungUp) {
		t.Errorf("a contact that hangs up: %v", err)
	}
	caller.Close()
	hangsUp.Close()
	for range hangsUp.Events() {
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
