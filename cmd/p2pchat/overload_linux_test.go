package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"p2pchat/cmd/p2pchat/internal/bench"
)

// TestOverload finds the knee of a server, has another one take on a fortieth of that, and
// asks of it as much as there can be, which is ten times its share and more, beside readers who
// wait. So asking does not end where the machine does, which asker and server share. It
// prints what came of it, and is `task bench:overload`.
func TestOverload(t *testing.T) {
	if os.Getenv("P2PCHATTEST_OVERLOAD") == "" {
		t.Skip("task bench:overload runs this")
	}
	step := durationOf(t, "STEP", "5s")
	duration := durationOf(t, "DURATION", "60s")

	s := serves(t, nil, unlimited...)
	knee, err := bench.Load{Servers: []string{"http://" + s.address}, Duration: step}.Climb(t.Context(), func(bench.Result) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	s.kill()

	share := knee.RequestsPerSecond / 40
	s = serves(t, nil, append([]string{"--rate", fmt.Sprintf("client=0,all=%.0f", share)}, unlimited[2:]...)...)
	calm := (bench.Load{Servers: []string{"http://" + s.address}, Concurrency: 1, Calls: 50, Rate: 2}).Run(t.Context())
	before := s.status("VmRSS")
	readers := s.readers(int(share / 2)) // a second's share is taken on at once
	ctx, cancel := context.WithCancel(t.Context())
	var polite refusals
	var asks sync.WaitGroup
	asks.Go(func() { polite = s.asks(ctx) })
	over := (bench.Load{Servers: []string{"http://" + s.address}, Concurrency: 2000, Duration: duration}).Run(t.Context())
	cancel()
	asks.Wait()
	most := s.status("VmHWM")

	lost := 0
	for _, c := range readers { // who still waits has heard nothing yet
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		first := make([]byte, 12)
		if n, err := io.ReadFull(c, first); n > 0 && string(first) != "HTTP/1.1 404" || n == 0 && !os.IsTimeout(err) {
			lost++ // 404 is what the end of its minute says
		}
		_ = c.Close()
	}
	began := time.Now()
	probe, client := bench.Load{Servers: []string{"http://" + s.address}}, &http.Client{}
	defer client.CloseIdleConnections()
	for probe.Send(t.Context(), client, bench.Script()[0], "recovery", 0) != nil {
		<-time.After(10 * time.Millisecond)
	}
	recovered := time.Since(began)
	after := (bench.Load{Servers: []string{"http://" + s.address}, Concurrency: 1, Calls: 50, Rate: 2}).Run(t.Context())
	fmt.Printf("| overload for %v | |\n| --- | --- |\n", duration)
	row := func(name, format string, args ...any) { fmt.Printf("| "+name+" | "+format+" |\n", args...) }
	row("the knee", "of a server without limits: %d calls at once, %.0f calls, %.0f requests a second", knee.Concurrency, knee.CallsPerSecond, knee.RequestsPerSecond)
	row("the server takes on", "%.0f requests a second (`--rate all`)", share)
	row("asked for, by 2,000 at once", "%.0f requests a second, %.1f times its share", over.RequestsPerSecond, over.RequestsPerSecond/share)
	row("whole calls", "%.0f a second; %d turned away", over.CallsPerSecond, over.Failed)
	for kind, n := range over.Errors {
		row("… "+kind, "%d", n)
	}
	row("asked beside them, once in 20 ms", "%d served, %d told 429 or 503, %d of them without Retry-After, %d neither", polite.served, polite.refused, polite.rude, polite.failed)
	row("resident memory", "%d MB before, %d MB at most", before>>10, most>>10)
	row("readers who waited", "%d, of whom %d were harmed", len(readers), lost)
	row("a request before, and after (p50, p99)", "%.2f ms, %.2f ms; %.2f ms, %.2f ms", calm.Request.P50, calm.Request.P99, after.Request.P50, after.Request.P99)
	row("from the end to the next offer taken", "%.0f ms; of 50 calls after it %d failed", recovered.Seconds()*1000, after.Failed)
	if polite.rude > 0 || polite.failed > 0 || lost > 0 || after.Failed > 0 || most > 1<<20 {
		t.Error("the server did not stand it")
	}
}

func durationOf(t *testing.T, variable, standard string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(cmp.Or(os.Getenv(variable), standard))
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return d
}

// Refusals are how a server answers who asks it while it has too much to do.
type refusals struct{ served, refused, rude, failed int }

// asks makes a request once in 20 ms, on a connection of its own.
func (s *served) asks(ctx context.Context) (r refusals) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext}}
	defer client.CloseIdleConnections()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return r
		case <-tick.C:
		}
		res, err := client.Get("http://" + s.address + "/rooms/elsewhere/offer")
		if err != nil {
			r.failed++
			continue
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		switch {
		case res.StatusCode == http.StatusNotFound: // no caller has opened it
			r.served++
		case res.StatusCode != http.StatusTooManyRequests && res.StatusCode != http.StatusServiceUnavailable:
			r.failed++
		default:
			r.refused++
			if strings.TrimSpace(res.Header.Get("Retry-After")) == "" {
				r.rude++
			}
		}
	}
}
