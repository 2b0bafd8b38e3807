// Package bench measures a signaling server under load, and two peers of this process against two bare
// PeerConnections with the same settings.
//
//	Load     the requests of many calls  → Result      what the server served, and how fast
//	Connect  two sessions that meet      ┐
//	Message  64 bytes there and back     ├ Comparison  with the bare PeerConnections
//	Transfer 16 MiB in one direction     ┘
package bench

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"p2pchat/signaling"
)

// A Request is one of the requests that two peers send when they meet.
type Request struct {
	By     signaling.Side
	Method string
	Path   string // below the room's own, with its query
	Body   string
}

// Name returns the method and the path without its query.
func (r Request) Name() string {
	path, _, _ := strings.Cut(r.Path, "?")
	if path == "" {
		path = "room"
	}
	return r.Method + " " + path
}

// Script returns the requests of one call in order. The documents have the size of real ones, 5.7 KB in
// all.
func Script() []Request { return script() }

var script = sync.OnceValue(func() (list []Request) {
	description := func(kind string) string {
		return fmt.Sprintf(`{"type":%q,"sdp":%q}`, kind, strings.Repeat("v=0 ", 300))
	}
	candidates := func(n int) string {
		one := `{"candidate":"` + strings.Repeat("c", 143) + `"}`
		return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]"
	}
	caller, callee := signaling.Caller, signaling.Callee
	list = []Request{
		{caller, "POST", "offer", description("offer")},
		{callee, "GET", "offer", ""},
		{callee, "GET", "ice-servers", ""},
		{callee, "POST", "answer", description("answer")},
		{caller, "GET", "answer", ""},
	}
	for i, n := range []int{4, 3, 3} {
		at, after := fmt.Sprintf("?at=%d", 3*i+min(i, 1)), fmt.Sprintf("?after=%d", 3*i+min(i, 1))
		list = append(list, Request{caller, "POST", "offer-candidates" + at, candidates(n)}, Request{callee, "POST", "answer-candidates" + at, candidates(n)})
		if i < 2 {
			list = append(list, Request{callee, "GET", "offer-candidates" + after, ""}, Request{caller, "GET", "answer-candidates" + after, ""})
		}
	}
	return append(list, closeRoom)
})

var closeRoom = Request{signaling.Caller, "DELETE", "", ""}

// requestNames returns the distinct names of the script's requests.
func requestNames() (list []string) {
	for _, r := range script() {
		if !slices.Contains(list, r.Name()) {
			list = append(list, r.Name())
		}
	}
	return list
}

// A Load is a number of calls, several at once.
type Load struct {
	Servers     []string // URLs without a final slash; callers and callees take turns
	Key         string   // access key of the servers; none if empty
	Concurrency int
	Calls       int           // unlimited if zero
	Duration    time.Duration // unlimited if zero
	Rate        float64       // calls to start each second; unlimited if zero

	tls *tls.Config // of tests
}

// A Result is what a Load measured. It is printed as JSON, too; times are in milliseconds.
type Result struct {
	Concurrency       int                `json:"concurrency"`
	Seconds           float64            `json:"seconds"`
	Served            int                `json:"calls"`
	Failed            int                `json:"failed"`
	CallsPerSecond    float64            `json:"calls_per_second"`
	RequestsPerSecond float64            `json:"requests_per_second"`
	Errors            map[string]int     `json:"errors"` // failed calls by the error that ended them
	Call              Summary            `json:"call"`
	Request           Summary            `json:"request"`
	Requests          map[string]Summary `json:"requests"` // by Request.Name
	Histogram         []Bar              `json:"histogram"`
}

// ErrFailed is wrapped by Result.Failures.
var ErrFailed = errors.New("the server did not serve all calls")

// Err returns signaling.ErrUnreachable, with the causes, if every call failed; signaling.ErrTooMany if the server
// limits this machine, or signaling.ErrServerFull.
func (r Result) Err() error {
	if r.Served > 0 || r.Failed == 0 {
		return nil
	}
	return fmt.Errorf("%w: no call was served: %s", cmp.Or(r.refusal(), signaling.ErrUnreachable), r.causes())
}

// Failures returns ErrFailed, with the causes, if some calls failed. It wraps signaling.ErrTooMany or signaling.ErrServerFull, too, if
// that is a cause.
func (r Result) Failures() error {
	if r.Failed == 0 {
		return nil
	}
	err := fmt.Errorf("%w: %d of %d failed: %s", ErrFailed, r.Failed, r.Failed+r.Served, r.causes())
	if why := r.refusal(); why != nil {
		err = fmt.Errorf("%w (%w)", err, why)
	}
	return err
}

func (r Result) causes() string { return strings.Join(slices.Sorted(maps.Keys(r.Errors)), ", ") }

// refusal returns the error of the server that one can do something about, or nil.
func (r Result) refusal() error {
	switch causes := r.causes(); {
	case strings.Contains(causes, ": "+strconv.Itoa(http.StatusTooManyRequests)+" "):
		return signaling.ErrTooMany
	case strings.Contains(strings.ToLower(causes), fmt.Sprintf(": %d %v", http.StatusServiceUnavailable, signaling.ErrServerFull)):
		return signaling.ErrServerFull
	}
	return nil
}

// Climb doubles the concurrency from 1 on until the throughput grows by less than a tenth, and returns the
// best result. It passes the result of each step to report, and returns the first error of a step or of
// report.
func (l Load) Climb(ctx context.Context, report func(Result) error) (best Result, err error) {
	for l.Concurrency = 1; l.Concurrency <= 4096 && ctx.Err() == nil; l.Concurrency *= 2 {
		r := l.Run(ctx)
		err := r.Err()
		if err == nil {
			err = report(r)
		}
		if err != nil {
			return best, err
		}
		if r.CallsPerSecond < best.CallsPerSecond*1.1 {
			break
		}
		best = r
	}
	return best, nil
}

// A worker makes one call after another, and counts.
type worker struct {
	*Load
	client   *http.Client
	room     string // prefix of its rooms' names
	served   int
	errors   map[string]int
	calls    Histogram
	requests map[string]*Histogram
}

// Run makes the calls. After Duration, and when ctx ends, it starts no more calls and waits for those that
// have begun.
func (l Load) Run(ctx context.Context) Result {
	if l.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.Duration)
		defer cancel()
	}
	transport := &http.Transport{MaxIdleConnsPerHost: l.Concurrency, Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, TLSClientConfig: l.tls, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	workers := make([]*worker, l.Concurrency)
	var started atomic.Int64
	var all sync.WaitGroup
	begin := time.Now()
	for i := range workers {
		w := &worker{
			Load: &l, client: &http.Client{Transport: transport, Timeout: 30 * time.Second},
			room: "bench" + rand.Text()[:12], errors: map[string]int{}, requests: map[string]*Histogram{},
		}
		for _, name := range requestNames() {
			w.requests[name] = &Histogram{}
		}
		workers[i] = w
		all.Go(func() { w.run(ctx, begin, &started) })
	}
	all.Wait()
	return l.sum(workers, time.Since(begin))
}

// run makes calls until ctx ends or all workers together have started as many as the Load has.
func (w *worker) run(ctx context.Context, begin time.Time, started *atomic.Int64) {
	for n := started.Add(1); ctx.Err() == nil && (w.Calls == 0 || n <= int64(w.Calls)); n = started.Add(1) {
		due := time.Now()
		if w.Rate > 0 { // waiting for a free worker counts as part of the call
			due = begin.Add(time.Duration(float64(n-1) / w.Rate * float64(time.Second)))
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(due)):
			}
		}
		w.call(ctx, n, due)
	}
}

// call makes call n, which was due to begin at due.
func (w *worker) call(ctx context.Context, n int64, due time.Time) {
	room := fmt.Sprint(w.room, n)
	ctx = context.WithoutCancel(ctx) // a call that has begun is completed
	for _, r := range script() {
		sent := time.Now()
		err := w.Send(ctx, w.client, r, room, int(n)+int(r.By))
		w.requests[r.Name()].Add(time.Since(sent))
		if err != nil {
			w.errors[r.Name()+": "+err.Error()]++
			_ = w.Send(ctx, w.client, closeRoom, room, int(n)) // the room may exist
			return
		}
	}
	w.calls.Add(time.Since(due))
	w.served++
}

// Send sends one request for a room to the server with that number, modulo their count. Its errors name no
// room, because Result counts them by their text.
func (l Load) Send(ctx context.Context, client *http.Client, r Request, room string, server int) error {
	address := l.Servers[server%len(l.Servers)] + strings.TrimSuffix("/rooms/"+room+"/"+r.Path, "/")
	req, err := http.NewRequestWithContext(ctx, r.Method, address, strings.NewReader(r.Body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.By.String()+room)
	req.Header.Set("Content-Type", "application/json")
	if r.Method == http.MethodGet {
		req.Header.Set("Prefer", "wait=20") // the other server's copy of the room may lag
	}
	if l.Key != "" && r.By == signaling.Caller {
		req.Header.Set(signaling.KeyHeader, l.Key)
	}
	res, err := client.Do(req)
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

// sum adds up what the workers counted.
func (l Load) sum(workers []*worker, took time.Duration) Result {
	r := Result{Concurrency: l.Concurrency, Seconds: took.Seconds(), Errors: map[string]int{}, Requests: map[string]Summary{}}
	var calls, requests Histogram
	byName := map[string]*Histogram{}
	for _, w := range workers {
		r.Served += w.served
		calls.merge(&w.calls)
		for text, n := range w.errors {
			r.Errors[text] += n
			r.Failed += n
		}
		for name, h := range w.requests {
			if byName[name] == nil {
				byName[name] = &Histogram{}
			}
			byName[name].merge(h)
			requests.merge(h)
		}
	}
	for name, h := range byName {
		r.Requests[name] = h.Summary()
	}
	r.Call, r.Request, r.Histogram = calls.Summary(), requests.Summary(), requests.bars()
	r.CallsPerSecond = float64(r.Served) / r.Seconds
	r.RequestsPerSecond = float64(requests.n) / r.Seconds
	return r
}
