package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"p2pchat/signaling"
)

// startWithin starts the server of a caller's program, and returns its URL.
func startWithin(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serveWithin(ctx, l, true, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// One neighbour can neither fill a caller's program with rooms, nor with reads that wait, nor with connections, nor keep it busy.
func TestTheServerInAProgramIsBounded(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, method, url, body string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer 0123456789abcdef0123456789abcdef")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body) // for the next request
		return answer.StatusCode
	}
	t.Run("rooms", func(t *testing.T) {
		t.Parallel()
		at, opened := startWithin(t), 0
		for n := range 150 {
			switch code := ask(t, http.MethodPost, fmt.Sprintf("%s/rooms/%d/offer", at, 100+n), `{"type":"offer","sdp":"v=0"}`); code {
			case http.StatusCreated, http.StatusOK, http.StatusNoContent:
				opened++
			case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			default:
				t.Fatalf("room %d: %d", n, code)
			}
		}
		if opened < 8 || opened > boundsWithin.Client {
			t.Errorf("one address has opened %d rooms", opened)
		}
	})
	t.Run("requests", func(t *testing.T) {
		t.Parallel()
		at, refused := startWithin(t), 0
		for range 3 * clientsWithin.Rate.Burst {
			if ask(t, http.MethodGet, at+"/rooms/417/offer", "") == http.StatusTooManyRequests {
				refused++
			}
		}
		if refused == 0 {
			t.Error("one address may ask without end")
		}
	})
	t.Run("connections", func(t *testing.T) {
		t.Parallel()
		at, refused := strings.TrimPrefix(startWithin(t), "http://"), 0
		for range clientsWithin.Connections.Client + 5 {
			c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: "+at+"\r\n\r\n") // it may be closed already
			first, err := bufio.NewReader(c).ReadString('\n')
			if err != nil || strings.Contains(first, "429") {
				refused++
			}
		}
		if refused != 5 {
			t.Errorf("%d connections of one address are refused", refused)
		}
	})
}

// Two contacts who both call, and a page beside them, fit into the bounds, all from one address.
func TestAnHonestCallFitsTheServerInAProgram(t *testing.T) {
	t.Parallel()
	at := startWithin(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for n := range 4 { // callers
		c, err := signaling.NewClient(at, signaling.Config{OnOutage: func(err error) { t.Errorf("caller %d: %v", n, err) }})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseIdle()
		ticket := signaling.Ticket{Room: fmt.Sprintf("40%d", n), Side: signaling.Caller, Token: strings.Repeat("t", 32)}
		if _, err := c.Offer(ctx, ticket, signaling.Description(`{"type":"offer","sdp":"v=0"}`)); err != nil {
			t.Fatal(err)
		}
		for i := range 15 { // as a trickle has them
			if _, err := c.AddCandidates(ctx, ticket, i, signaling.Candidate(fmt.Sprintf(`{"candidate":"candidate:%d 1 udp 1 192.0.2.1 %d typ host"}`, i, 1000+i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	waits := make(chan error)
	for n := range 12 { // reads in rooms of other hours
		go func() {
			c, err := signaling.NewClient(at, signaling.Config{})
			if err == nil {
				defer c.CloseIdle()
				_, _, err = c.Description(ctx, signaling.Ticket{Room: fmt.Sprintf("50%d", n), Side: signaling.Callee, Token: strings.Repeat("u", 32)}, signaling.Caller, "", time.Second)
			}
			waits <- err
		}()
	}
	for range 12 {
		if err := <-waits; err != nil && !errors.Is(err, signaling.ErrNoOffer) && !errors.Is(err, signaling.ErrNoRoom) {
			t.Error(err)
		}
	}
}
