package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"p2pchat/signaling"
)

// script is a call: the requests of two peers, from the first to the last. The documents have the size
// of real ones, 5.7 KB in all.
var script = sync.OnceValue(func() (s []step) {
	description := func(kind string) string {
		return fmt.Sprintf(`{"type":%q,"sdp":%q}`, kind, strings.Repeat("v=0 ", 300))
	}
	candidates := func(n int) string {
		one := `{"candidate":"` + strings.Repeat("c", 143) + `"}`
		return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]"
	}
	caller, callee := signaling.Caller, signaling.Callee
	s = []step{
		{caller, "POST", "offer", description("offer")},
		{callee, "GET", "offer", ""},
		{callee, "GET", "ice-servers", ""},
		{callee, "POST", "answer", description("answer")},
		{caller, "GET", "answer", ""},
	}
	for i, n := range []int{4, 3, 3} {
		at, after := fmt.Sprintf("?at=%d", 3*i+min(i, 1)), fmt.Sprintf("?after=%d", 3*i+min(i, 1))
		s = append(s, step{caller, "POST", "offer-candidates" + at, candidates(n)}, step{callee, "POST", "answer-candidates" + at, candidates(n)})
		if i < 2 {
			s = append(s, step{callee, "GET", "offer-candidates" + after, ""}, step{caller, "GET", "answer-candidates" + after, ""})
		}
	}
	return append(s, step{caller, "DELETE", "", ""})
})

type step struct {
	by           signaling.Side
	method, path string
	body         string
}

// kind returns the method and path of the step, without its query.
func (s step) kind() string {
	path, _, _ := strings.Cut(s.path, "?")
	if path == "" {
		path = "room"
	}
	return s.method + " " + path
}

func kinds() (list []string) {
	for _, s := range script() {
		if !slices.Contains(list, s.kind()) {
			list = append(list, s.kind())
		}
	}
	return list
}

// A workload makes calls, several at once, until their number or the duration is reached.
type workload struct {
	servers     []string // callers and callees take turns
	key         string
	concurrency int
	calls       int           // 0: until duration has passed
	duration    time.Duration // 0: until all calls are made
	rate        float64       // calls to start each second; 0: no limit
}

// A result is printed as JSON, too. Times are in milliseconds.
type result struct {
	Concurrency       int                `json:"concurrency"`
	Seconds           float64            `json:"seconds"`
	Served            int                `json:"calls"`
	Failed            int                `json:"failed"`
	CallsPerSecond    float64            `json:"calls_per_second"`
	RequestsPerSecond float64            `json:"requests_per_second"`
	Errors            map[string]int     `json:"errors"`
	Call              summary            `json:"call"`
	Request           summary            `json:"request"`
	Requests          map[string]summary `json:"requests"`
	Histogram         []bar              `json:"histogram"`
}

type summary struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Most float64 `json:"most"`
}

// A bar counts the requests that took so long, and longer than those of the bar before.
type bar struct {
	Milliseconds float64 `json:"ms"`
	Requests     uint64  `json:"requests"`
}

// A worker makes one call after the other, and keeps count.
type worker struct {
	*workload
	client   *http.Client
	room     string // prefix of its rooms' names
	served   int
	errors   map[string]int
	calls    histogram
	requests map[string]*histogram
}

// run ends early with ctx.
func (w *workload) run(ctx context.Context) result {
	if w.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.duration)
		defer cancel()
	}
	transport := &http.Transport{MaxIdleConnsPerHost: w.concurrency, Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second}
	defer transport.CloseIdleConnections()
	workers := make([]*worker, w.concurrency)
	var started atomic.Int64
	var all sync.WaitGroup
	begin := time.Now()
	for i := range workers {
		k := &worker{
			workload: w, client: &http.Client{Transport: transport, Timeout: 30 * time.Second},
			room: "bench" + rand.Text()[:12], errors: map[string]int{}, requests: map[string]*histogram{},
		}
		for _, kind := range kinds() {
			k.requests[kind] = &histogram{}
		}
		workers[i] = k
		all.Go(func() {
			for n := started.Add(1); ctx.Err() == nil && (w.calls == 0 || n <= int64(w.calls)); n = started.Add(1) {
				due := time.Now()
				if w.rate > 0 { // a call that has to wait for a worker is late, which counts
					due = begin.Add(time.Duration(float64(n-1) / w.rate * float64(time.Second)))
				}
				if wait(ctx, time.Until(due)) == nil {
					k.call(ctx, n, due)
				}
			}
		})
	}
	all.Wait()
	return w.sum(workers, time.Since(begin))
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// call makes call n, which should have begun when it was due.
func (k *worker) call(ctx context.Context, n int64, due time.Time) {
	room := fmt.Sprint(k.room, n)
	ctx = context.WithoutCancel(ctx) // what has begun is ended
	for _, s := range script() {
		started := time.Now()
		err := k.send(ctx, s, room, int(n)+int(s.by))
		k.requests[s.kind()].add(time.Since(started))
		if err != nil {
			k.errors[s.kind()+": "+err.Error()]++
			_ = k.send(ctx, script()[len(script())-1], room, int(n)) // the room may exist
			return
		}
	}
	k.calls.add(time.Since(due))
	k.served++
}

// send makes one request. The error names no room, because errors are counted by their text.
func (k *worker) send(ctx context.Context, s step, room string, server int) error {
	address := k.servers[server%len(k.servers)] + strings.TrimSuffix("/rooms/"+room+"/"+s.path, "/")
	req, err := http.NewRequestWithContext(ctx, s.method, address, strings.NewReader(s.body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.by.String()+room)
	req.Header.Set("Content-Type", "application/json")
	if s.method == http.MethodGet {
		req.Header.Set("Prefer", "wait=20") // the other server may lag for a moment
	}
	if k.key != "" && s.by == signaling.Caller {
		req.Header.Set(signaling.KeyHeader, k.key)
	}
	res, err := k.client.Do(req)
	if err != nil {
		return errors.New(strings.TrimPrefix(signaling.Unanswered(ctx, err).Error(), signaling.ErrUnreachable.Error()+": "))
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode/100 == 2 {
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	var p signaling.Problem
	_ = json.NewDecoder(io.LimitReader(res.Body, 1<<16)).Decode(&p) // another server's reply is no problem document
	return fmt.Errorf("%d %s", res.StatusCode, p.Title)
}

func (w *workload) sum(workers []*worker, took time.Duration) result {
	r := result{Concurrency: w.concurrency, Seconds: took.Seconds(), Errors: map[string]int{}, Requests: map[string]summary{}}
	var calls, requests histogram
	byKind := map[string]*histogram{}
	for _, k := range workers {
		r.Served += k.served
		calls.merge(&k.calls)
		for kind, n := range k.errors {
			r.Errors[kind] += n
			r.Failed += n
		}
		for kind, h := range k.requests {
			if byKind[kind] == nil {
				byKind[kind] = &histogram{}
			}
			byKind[kind].merge(h)
			requests.merge(h)
		}
	}
	for kind, h := range byKind {
		r.Requests[kind] = h.summary()
	}
	r.Call, r.Request, r.Histogram = calls.summary(), requests.summary(), requests.bars()
	r.CallsPerSecond = float64(r.Served) / r.Seconds
	r.RequestsPerSecond = float64(requests.n) / r.Seconds
	return r
}

// A histogram counts durations in buckets whose bounds grow by a twentieth, from a
// microsecond on.
type histogram struct {
	counts [420]uint64 // to more than 10 minutes
	n      uint64
	most   time.Duration
}

const growth = 1.05

func (h *histogram) add(d time.Duration) {
	i := int(math.Ceil(math.Log(max(float64(d)/float64(time.Microsecond), 1)) / math.Log(growth)))
	h.counts[min(i, len(h.counts)-1)]++
	h.n++
	h.most = max(h.most, d)
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.n += other.n
	h.most = max(h.most, other.most)
}

// bound is the upper one of a bucket, in milliseconds.
func bound(i int) float64 { return math.Pow(growth, float64(i)) / 1000 }

// quantile is the bound below which that part of the durations lies, or the longest.
func (h *histogram) quantile(q float64) float64 {
	most := float64(h.most) / float64(time.Millisecond)
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += n; n > 0 && float64(seen) >= q*float64(h.n) {
			return min(bound(i), most)
		}
	}
	return most
}

func (h *histogram) summary() summary {
	return summary{h.quantile(.5), h.quantile(.9), h.quantile(.99), h.quantile(.999), float64(h.most) / float64(time.Millisecond)}
}

// bars are the counts in steps that double.
func (h *histogram) bars() (list []bar) {
	const width = 14 // growth^14 is about 2
	for from := 0; from < len(h.counts); from += width {
		b := bar{Milliseconds: bound(from + width - 1)}
		for _, n := range h.counts[from:min(from+width, len(h.counts))] {
			b.Requests += n
		}
		if b.Requests > 0 {
			list = append(list, b)
		}
	}
	return list
}
