package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"p2pchat/signaling"
)

// A server that is stopping refuses requests before it stops accepting connections. A caller on the same
// machine takes over all the same.
func TestTakeOverFromAStoppingServer(t *testing.T) {
	t.Parallel()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	problem, _ := signaling.ProblemOf(signaling.ErrDraining)
	refused := make(chan struct{}, 100)
	stopping := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = json.NewEncoder(w).Encode(problem) // the client may be gone
		refused <- struct{}{}
	}))
	_ = stopping.Listener.Close() // l takes its place
	stopping.Listener = l
	stopping.Start()
	t.Cleanup(stopping.Close)

	p, err := start(t.TempDir(), append(os.Environ(), "P2PCHAT_NAME=tester", testAddress+"="+address), "call", "standup")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.ended
	})
	p.notes(t, "The server is stopping; trying again")
	<-refused
	<-refused
	stopping.Close()
	p.notes(t, "No server at")
	p.notes(t, "The server answers")
}
