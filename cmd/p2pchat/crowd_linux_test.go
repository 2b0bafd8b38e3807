package main

import (
	"context"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"p2pchat/cmd/p2pchat/internal/bench"
)

// TestCrowd has two hundred attackers of a dozen kinds attack a server behind nginx for P2PCHATTEST_CROWD (10m), each from an address of its
// own, while programs call each other. nginx has the configuration of docs/nginx.conf. It fails if a call fails, or if the
// server does not give back what the crowd has made it take.
func TestCrowd(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("P2PCHATTEST_CROWD"))
	if err != nil {
		t.Skip("it takes ten minutes: 'task test:attack'")
	}
	if os.Getuid() != 0 {
		t.Skip("NOT RUN: nginx with docs/nginx.conf needs root")
	}
	c := newCrowd(t, min(2*time.Minute, max(length/2, 15*time.Second)))
	c.warmUp()
	before := c.scrape()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var attack, calls sync.WaitGroup
	c.attack(ctx, &attack)
	for _, l := range c.callers {
		calls.Go(func() { l.callsUntil(ctx) })
	}
	var probed bench.Histogram
	calls.Go(func() { c.probe(ctx, &probed) })
	most := c.watch(ctx)
	attack.Wait()
	calls.Wait()
	for _, l := range c.callers {
		l.close()
	}
	after := c.settle(before)
	c.report(length, before, most, after, probed.Summary())
}

// A crowd is what takes part in TestCrowd.
type crowd struct {
	t       *testing.T
	dir     string
	server  *served
	metrics string // the address that has them
	nginx   string // its address
	life    time.Duration
	callers []*callers
	kinds   []*kind
}

// newCrowd starts the server, and nginx in front of it. Rooms and mail live for life.
func newCrowd(t *testing.T, life time.Duration) *crowd {
	t.Helper()
	c := &crowd{t: t, dir: t.TempDir(), life: life}
	var err error
	if c.metrics, err = freeAddress(); err != nil {
		t.Fatal(err)
	}
	c.server = serves(t, nil, "--trusted-proxy", "127.0.0.1", "--metrics-listen", c.metrics, "--mail", "--room-ttl", life.String(), "--mail-ttl", life.String())
	c.nginx = startNginx(t, c.dir, c.server.address)
	c.callers = []*callers{
		c.newCallers("at an address of its own", net.IPv4(127, 0, 200, 1), true),
		c.newCallers("in the attackers' network", net.IPv4(127, 0, 1, 250), true),
		c.newCallers("at the address of one that guesses codes", c.addressOf("guesses at codes", 0), true),
		c.newCallers("at the address of one that floods", c.addressOf("floods of candidates", 0), false),
	}
	return c
}

// client returns an HTTP client that asks nginx from an address of loopback.
func (c *crowd) client(from net.IP, http2 bool) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: 10 * time.Second}
	transport := &http.Transport{
		DialContext: dialer.DialContext, MaxIdleConnsPerHost: 4, ForceAttemptHTTP2: http2, ResponseHeaderTimeout: 90 * time.Second,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test's own certificate
	}
	c.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// warmUp makes a call, so that the server and nginx have what they keep in any case.
func (c *crowd) warmUp() {
	c.t.Helper()
	for _, l := range c.callers {
		if err := l.call(); err != nil {
			c.t.Fatalf("a call before the attack: %v", err)
		}
		l.made, l.first, l.opened = 0, nil, nil
	}
}

// probe makes requests, one after the other, from an address of its own.
func (c *crowd) probe(ctx context.Context, took *bench.Histogram) {
	client := c.client(net.IPv4(127, 0, 201, 1), true)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		res, err := client.Get("https://" + c.nginx + "/rooms/417/offer") //nolint:gosec // the test's own nginx
		if err != nil {
			c.t.Errorf("a request of one client: %v", err)
			continue
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if took.Add(time.Since(began)); res.StatusCode >= 429 {
			c.t.Errorf("a request of one client is answered %s", res.Status)
		}
	}
}

// holdings are what the server has, by the names of its metrics.
type holdings map[string]float64

const heapBytes, residentBytes, goroutines, descriptors = "go_memstats_heap_alloc_bytes", "process_resident_memory_bytes", "go_goroutines", "process_open_fds"

// scrape reads the server's metrics.
func (c *crowd) scrape() holdings {
	c.t.Helper()
	res, err := http.Get("http://" + c.metrics + "/metrics") //nolint:gosec // the test's own server
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	h := holdings{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			h[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	return h
}

// watch returns the most that the server has of anything until ctx ends.
func (c *crowd) watch(ctx context.Context) holdings {
	most := holdings{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return most
		case <-tick.C:
		}
		for name, value := range c.scrape() {
			most[name] = max(most[name], value)
		}
	}
}

// settle waits until the server has no more than before, but for little, and returns what it has then, or after three minutes and what
// rooms and mail live.
func (c *crowd) settle(before holdings) holdings {
	began := time.Now()
	for limit := time.Now().Add(c.life + 3*time.Minute); ; <-time.After(time.Second) {
		now := c.scrape()
		flat := now[heapBytes] <= before[heapBytes]+8<<20 && now[residentBytes] <= before[residentBytes]+48<<20 && now[goroutines] <= before[goroutines]+16 && now[descriptors] <= before[descriptors]+16
		if flat && now[`p2pchat_rooms{state="offered"}`]+now[`p2pchat_rooms{state="answered"}`] == 0 {
			c.t.Logf("the server had as little as before %.0f s after the attack", time.Since(began).Seconds())
			return now
		}
		if time.Now().After(limit) {
			c.t.Errorf("the server does not give back what the crowd has made it take")
			return now
		}
	}
}

// report prints the figures.
func (c *crowd) report(length time.Duration, before, most, after holdings, probed bench.Summary) {
	t := c.t
	attackers, requests, refused := 0, 0, 0
	t.Logf("%v through nginx; a request of one other client took %.1f ms (p50), %.1f ms (p99)", length, probed.P50, probed.P99)
	for _, k := range c.kinds {
		attackers, requests, refused = attackers+k.attackers, requests+int(k.requests.Load()), refused+k.refused()
		t.Logf("%3d attackers: %-28s %8d requests, %8d refused; %s", k.attackers, k.name, k.requests.Load(), k.refused(), k.statuses())
	}
	t.Logf("%d attackers, %d requests, of which %d were refused", attackers, requests, refused)
	for _, l := range c.callers {
		slices.Sort(l.first)
		slices.Sort(l.opened)
		t.Logf("calls %s: %d of %d succeeded; waiting after %v (p50), %v (p99), the first line %v (p50), %v (p99) after the callee's start",
			l.name, len(l.first), l.made, quantile(l.opened, .5), quantile(l.opened, .99), quantile(l.first, .5), quantile(l.first, .99))
		if l.required && len(l.first) == 0 {
			t.Errorf("there was no call %s", l.name)
		}
	}
	for _, name := range []string{heapBytes, residentBytes, goroutines, descriptors, `p2pchat_rooms{state="offered"}`, "p2pchat_parked_reads", "p2pchat_connections", "p2pchat_mail_bytes"} {
		t.Logf("%-36s %12.0f before, %12.0f at most, %12.0f after", name, before[name], most[name], after[name])
	}
	for _, name := range slices.Sorted(maps.Keys(most)) {
		if strings.HasPrefix(name, "p2pchat_limit_hits_total") && most[name] > 0 {
			t.Logf("%s %.0f", name, most[name])
		}
	}
	c.nginxErrors()
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1)+.5)].Round(time.Millisecond)
}

// nginxErrors prints the kinds of lines in nginx's log, with their numbers.
func (c *crowd) nginxErrors() {
	text, err := os.ReadFile(filepath.Join(c.dir, "errors")) //nolint:gosec // the test's own folder
	if err != nil {
		c.t.Fatal(err)
	}
	count := map[string]int{}
	line := regexp.MustCompile(`(?m)^\S+ \S+ (\[\w+\]) \d+#\d+: (?:\*\d+ )?(.*)$`)
	for _, found := range line.FindAllStringSubmatch(string(text), -1) {
		what, _, _ := strings.Cut(found[2], ", client: ")
		what = regexp.MustCompile(`"[^"]*"|\d+`).ReplaceAllString(what, "N")
		count[found[1]+" "+what[:min(len(what), 160)]]++
	}
	for _, what := range slices.Sorted(maps.Keys(count)) {
		c.t.Logf("nginx %6d × %s", count[what], what)
	}
}
