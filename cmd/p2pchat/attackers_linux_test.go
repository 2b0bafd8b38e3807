package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"p2pchat/cmd/p2pchat/internal/bench"
	"p2pchat/signaling"
)

// A mallory attacks a server from an address of its own.
type mallory struct {
	url    string
	client *http.Client
	asked  atomic.Int64
}

func (s *served) attacker(a byte) *mallory {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, a)}, Timeout: 10 * time.Second}
	transport := &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 1000}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &mallory{url: "http://" + s.address, client: &http.Client{Transport: transport}}
}

// asks makes one request, and returns its status, or 0 when ctx has ended.
func (m *mallory) asks(ctx context.Context, method, path, body string, header ...string) int {
	m.asked.Add(1)
	r, err := http.NewRequestWithContext(ctx, method, m.url+path, strings.NewReader(body))
	if err != nil {
		return 0
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := m.client.Do(r)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body) // or it breaks off
	return res.StatusCode
}

// burns waits in a room again and again, and answers each caller there with junk.
func (m *mallory) burns(ctx context.Context, room int, answered *atomic.Int64) {
	path := "/rooms/" + strconv.Itoa(room)
	for ctx.Err() == nil {
		status := m.asks(ctx, "GET", path+"/offer", "", "Prefer: wait=30")
		if status == http.StatusOK {
			status = m.asks(ctx, "POST", path+"/answer", `{"type":"answer","sdp":"v=0"}`)
		}
		pause := time.Duration(0)
		switch status {
		case http.StatusCreated:
			answered.Add(1)
		case http.StatusConflict: // the caller has not replaced its offer yet
			pause = 30 * time.Millisecond
		case http.StatusTooManyRequests:
			pause = time.Second
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// calls has two programs call each other, and returns how long it took the callee to be
// verified, or 0 if it was not.
func (s *served) calls(t *testing.T, digits int) time.Duration {
	t.Helper()
	least := 1
	for range digits - 1 {
		least *= 10
	}
	code := fmt.Sprintf("%d-falcon-zebra", least+rand.IntN(9*least)) //nolint:gosec // a test's
	caller := launch(t, "call", code, "--server", "http://"+s.address)
	caller.notes(t, `^p2pchat: code: `)
	<-time.After(time.Second) // people say it
	began := time.Now()
	callee := launch(t, "answer", code, "--server", "http://"+s.address)
	defer func() {
		for _, p := range []*process{caller, callee} {
			_ = p.cmd.Process.Kill() // it may have ended
			<-p.ended
		}
	}()
	over := time.After(10 * time.Second)
	for {
		select {
		case <-callee.ended:
			return 0
		case <-caller.ended:
			return 0
		case <-over:
			return 0
		case <-time.After(time.Millisecond):
			if strings.Contains(callee.err.String(), "p2pchat: Verified") {
				return time.Since(began)
			}
		}
	}
}

// legitimate makes calls, and returns how many got through, and what is worth a line in
// docs/figures.md.
func (s *served) legitimate(t *testing.T) (through int, figures string) {
	t.Helper()
	const n = legitimateCalls
	began, computed := time.Now(), s.processor()
	client, err := signaling.NewClient("http://"+s.address, signaling.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	var took []time.Duration
	for range n {
		if _, err := client.ICEServers(t.Context(), signaling.Ticket{}, 0); err != nil {
			t.Fatal(err)
		}
		if d := s.calls(t, client.RoomDigits()); d > 0 {
			took = append(took, d)
		}
	}
	slices.Sort(took)
	share := float64(s.processor()-computed) / float64(time.Since(began))
	server := fmt.Sprintf("the server took %.0f %% of a core, and %d MB at most", 100*share, s.status("VmHWM")>>10)
	if len(took) == 0 {
		return 0, fmt.Sprintf("0 of %d calls got through; %s", n, server)
	}
	return len(took), fmt.Sprintf("%d of %d calls got through, in %d ms (p50), %d ms (p99); %s", len(took), n,
		took[len(took)/2].Milliseconds(), took[len(took)*99/100].Milliseconds(), server)
}

const legitimateCalls = 20

// What the attacks are compared with.
func TestAttackedByNone(t *testing.T) {
	attacking(t)
	through, figures := serves(t, nil).legitimate(t)
	t.Log(figures)
	if through < legitimateCalls {
		t.Error("calls fail without an attack")
	}
}

// Eight clients of the relay ask for 3,000,000 permissions, and go on with those of the last
// round while others call.
func TestAttackedByPermissions(t *testing.T) {
	attacking(t)
	s := serves(t, nil, "--relay", "--relay-listen", "127.0.0.1:0")
	s.notes(t, "relaying at ")
	var attack sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer attack.Wait()
	defer cancel()
	const clients, requests, each = 8, 3750, 100
	for n, c := range s.turners(t, clients) {
		attack.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				_, _ = c.conn.Write(c.permissions((n*requests+min(i, requests))*each, each)) // what is lost is lost
			}
		})
	}
	through, figures := s.legitimate(t)
	t.Log(figures)
	if through < legitimateCalls || s.status("VmHWM") > 128<<10 {
		t.Error("clients of the relay take the server's memory or its time")
	}
}

// attacking skips a test that takes long unless it was asked for.
func attacking(t *testing.T) {
	t.Helper()
	if os.Getenv("P2PCHATTEST_ATTACK") == "" {
		t.Skip("task test:attack runs it")
	}
}

// One address waits in every room of three digits, and answers junk at once.
func TestAttackedByAnswers(t *testing.T) {
	attacking(t)
	s := serves(t, nil)
	m := s.attacker(9)
	ctx, cancel := context.WithCancel(t.Context())
	var attack sync.WaitGroup
	var answered atomic.Int64
	defer attack.Wait()
	defer cancel()
	for room := 100; room < 1000; room++ {
		attack.Go(func() { m.burns(ctx, room, &answered) })
	}
	<-time.After(15 * time.Second) // --rate lets 900 reads in by then
	through, figures := s.legitimate(t)
	t.Logf("%s; %d answers were junk", figures, answered.Load())
	if through < legitimateCalls-1 {
		t.Error("one address burns calls")
	}
}

// One address opens all rooms that it can.
func TestAttackedByRooms(t *testing.T) {
	attacking(t)
	s := serves(t, nil)
	m := s.attacker(10)
	var opened atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var attack sync.WaitGroup
	defer attack.Wait()
	defer cancel()
	for i := range 20 {
		attack.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if m.asks(ctx, "POST", fmt.Sprintf("/rooms/x%d.%d/offer", i, n), bench.Script()[0].Body) == http.StatusCreated {
					opened.Add(1)
				}
			}
		})
	}
	through, figures := s.legitimate(t)
	t.Logf("%s; the attacker has %d rooms, and asked %d times", figures, opened.Load(), m.asked.Load())
	if through < legitimateCalls || opened.Load() > 200 {
		t.Error("one address takes the server's rooms")
	}
}

// One address has 900 reads wait for what never comes, and changes it 25 times a second.
func TestAttackedByWakes(t *testing.T) {
	attacking(t)
	s := serves(t, nil)
	m := s.attacker(11)
	ctx, cancel := context.WithCancel(t.Context())
	var attack sync.WaitGroup
	defer attack.Wait()
	defer cancel()
	const token = "Authorization: Bearer mallory-mallory-mallory"
	m.asks(ctx, "POST", "/rooms/own/offer", bench.Script()[0].Body, token)
	for range 900 {
		attack.Go(func() {
			for ctx.Err() == nil {
				if m.asks(ctx, "GET", "/rooms/own/offer-candidates?after=99", "", "Prefer: wait=60") != http.StatusOK {
					select {
					case <-time.After(time.Second):
					case <-ctx.Done():
					}
				}
			}
		})
	}
	<-time.After(15 * time.Second)
	attack.Go(func() {
		tick := time.NewTicker(time.Second / 25)
		defer tick.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			if n%90 == 0 { // the list is full
				m.asks(ctx, "PUT", "/rooms/own/offer", fmt.Sprintf(`{"type":"offer","sdp":"v=%d"}`, n), token)
			}
			m.asks(ctx, "POST", "/rooms/own/offer-candidates", `{"candidate":""}`, token)
			<-tick.C
		}
	})
	began, computed := time.Now(), s.processor()
	through, figures := s.legitimate(t)
	share := float64(s.processor()-computed) / float64(time.Since(began))
	t.Log(figures)
	if through < legitimateCalls || share > 0.25 {
		t.Error("one address keeps the server busy")
	}
}
