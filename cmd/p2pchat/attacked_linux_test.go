package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"p2pchat/cmd/p2pchat/internal/bench"
	"p2pchat/signaling"
)

// served is `p2pchat serve` as a process. The variable P2PCHATTEST_SERVER names another build of the program to measure.
type served struct {
	*process
	t       testing.TB
	address string
}

func serves(t testing.TB, env []string, flags ...string) *served {
	t.Helper()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath(cmp.Or(os.Getenv("P2PCHATTEST_SERVER"), "p2pchat"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, append([]string{"serve", "--listen", address}, flags...)...) //nolint:gosec // the program under test
	s := &served{process: launchCommand(t, command, t.TempDir(), append(os.Environ(), env...)), t: t, address: address}
	s.notes(t, "listening on ")
	return s
}

// status is a value in KB of /proc/PID/status.
func (s *served) status(name string) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), name+":")
	n, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// from dials as another address of loopback.
func (s *served) from(a byte) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, a)}, Timeout: 10 * time.Second}
	return d.Dial("tcp", s.address)
}

// parks opens a read that waits for the offer in a room, on a bare connection.
func (s *served) parks(room string) net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "GET /rooms/%s/offer HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n\r\n", room); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// A server that is attacked in every way at once serves its callers: one that waits during the whole attack, and
// others that arrive.
func TestAttacked(t *testing.T) {
	inFull(t)
	t.Parallel()
	const silent, crowd, slow, allowed = 8000, 2000, 50, 1000 // allowed: --connections' default
	s := serves(t, nil)
	offer := signaling.Description(bench.Script()[0].Body)
	waiting := s.parks("waiting")
	defer func() { _ = waiting.Close() }()

	var open sync.WaitGroup
	var cut atomic.Int64
	// attack sends begin and then, again and again, more, until the server ends it.
	attack := func(address byte, begin, more string, every time.Duration) {
		open.Go(func() {
			c, err := s.from(address)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = io.Copy(io.Discard, c)
			}()
			tick := time.NewTicker(max(every, 1))
			defer tick.Stop()
			over := time.After(25 * time.Second)
			for _, err = io.WriteString(c, begin); err == nil; _, err = io.WriteString(c, more) {
				select {
				case <-tick.C:
				case <-ended:
					cut.Add(1)
					return
				case <-over:
					t.Errorf("%.20q… is still taken", begin)
					return
				}
			}
			cut.Add(1)
		})
	}
	for range slow {
		attack(1, "GET / HTTP/1.1\r\nHost: he", "r", 100*time.Millisecond)
		attack(1, "POST /offer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n", " ", 100*time.Millisecond)
		attack(1, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ", strings.Repeat("x", 4<<10), 0)
		attack(1, "POST /offer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", "1000\r\n"+strings.Repeat(" ", 0x1000)+"\r\n", 0)
	}
	// One address opens all that it can, many others a few each.
	var silents []net.Conn
	defer func() {
		for _, c := range silents {
			_ = c.Close()
		}
	}()
	for i := range silent {
		a := byte(2)
		if i >= crowd {
			a = byte(3 + i%100)
		}
		c, err := s.from(a)
		if err != nil {
			t.Fatal(err)
		}
		silents = append(silents, c)
	}
	turnedAway := 0
	for _, c := range silents[allowed:crowd] {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		text, err := io.ReadAll(c)
		if !bytes.Contains(text, []byte("429 ")) {
			t.Fatalf("more than %d connections of one address are open: %q, %v", allowed, text, err)
		}
		turnedAway++
	}
	// The server serves other clients during the attack.
	calls := bench.Load{Servers: []string{"http://" + s.address}, Concurrency: 1, Calls: 10, Rate: 2} // 32 requests a second
	r := calls.Run(t.Context())
	if r.Failed > 0 || r.Served != 10 {
		t.Errorf("of 10 calls %d were served: %v", r.Served, r.Errors)
	}
	most := s.status("VmHWM")
	if most > 512<<10 {
		t.Errorf("the server took %d KB", most)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client, err := signaling.NewClient("http://"+s.address, signaling.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ticket := signaling.NewTicket("waiting", signaling.Caller)
	if _, err := client.Offer(ctx, ticket, offer); err != nil {
		t.Error(err)
	}
	_ = waiting.SetReadDeadline(time.Now().Add(10 * time.Second))
	if text := make([]byte, 15); true {
		if _, err := io.ReadFull(waiting, text); err != nil || string(text) != "HTTP/1.1 200 OK" {
			t.Errorf("the waiting read receives %q, %v", text, err)
		}
	}
	// The silent ones are closed when they have been silent for 10 s, the slow ones too.
	for _, c := range silents[crowd:] {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Read(make([]byte, 1)); os.IsTimeout(err) {
			t.Fatal("a silent connection is still open")
		}
	}
	open.Wait()
	if n := cut.Load(); n != 4*slow {
		t.Errorf("%d of %d attacks were cut off", n, 4*slow)
	}
	// After the attack, the server serves the attacker's address at once.
	c, err := s.from(2)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if text, err := io.ReadAll(c); !bytes.HasPrefix(text, []byte("HTTP/1.1 200 ")) {
		t.Errorf("afterwards it says %q, %v", text, err)
	}
	t.Logf("%d turned away; a request took %.1f ms in the middle, %.1f ms at p99; %d KB resident at most, %d KB now",
		turnedAway, r.Request.P50, r.Request.P99, most, s.status("VmRSS"))
}
