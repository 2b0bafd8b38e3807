package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"p2pchat/signaling"
)

// pingPatience bounds how long bench and doctor try a server that does not answer.
const pingPatience = 3 * time.Second

type benchOptions struct {
	servers     []string
	calls       int
	duration    time.Duration
	concurrency int
	rate        float64
	ramp        bool
	json        bool
	keyFile     string
}

func benchCommand(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure a server, or two peers on this machine",
		Args: func(*cobra.Command, []string) error {
			return errors.New("say what to measure: p2pchat bench signaling, connect, message or transfer")
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	c.AddCommand(signalingBenchCommand(std))
	for _, b := range peerBenches {
		c.AddCommand(b.command(std))
	}
	return c
}

func signalingBenchCommand(std stdio) *cobra.Command {
	var o benchOptions
	c := &cobra.Command{
		Use:   "signaling",
		Short: "Measure how many calls a server handles, and how fast",
		Long: `Measure how many calls a server handles, and how fast.

A call is the 16 requests of two peers who meet: the offer, the answer, three lists of
candidates from each side, the requests that read them, and the end. With several
servers, which must share their rooms, the caller uses one and the callee the next.

A server limits the requests of one address. Start it with --rate client=0 to measure
its full capacity.`,
		Example: `  p2pchat bench signaling --server http://localhost:3000
  p2pchat bench signaling --rate 100 --duration 1m     100 calls a second
  p2pchat bench signaling --ramp                       double the load step by step`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return bench(c.Context(), o, std) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringArrayVar(&o.servers, "server", nil, "`URL` of a signaling server (repeatable; default "+defaultServer+")")
	f.IntVar(&o.concurrency, "concurrency", 64, "simultaneous calls")
	f.IntVar(&o.calls, "calls", 2000, "number of calls")
	f.DurationVar(&o.duration, "duration", 0, "length of the measurement, instead of --calls")
	f.Float64Var(&o.rate, "rate", 0, "calls to start each second; 0 means no limit")
	f.BoolVar(&o.ramp, "ramp", false, "double the simultaneous calls until throughput stops growing, for --duration each (default 5s)")
	f.BoolVar(&o.json, "json", false, "print the result as one JSON object per line")
	f.StringVar(&o.keyFile, "access-key-file", "", "`FILE` with the server's access key (or P2PCHAT_ACCESS_KEY)")
	return c
}

func bench(ctx context.Context, o benchOptions, std stdio) error {
	if len(o.servers) == 0 {
		o.servers = []string{defaultServer}
	}
	for i, s := range o.servers {
		whole, err := serverURL(s)
		if err != nil {
			return err
		}
		o.servers[i] = strings.TrimRight(whole, "/")
	}
	if o.concurrency < 1 || o.calls < 1 || o.duration < 0 || o.rate < 0 {
		return &usageError{err: errors.New("--concurrency and --calls must be greater than 0")}
	}
	key, err := accessKey(o.keyFile)
	if err != nil {
		return err
	}
	for _, s := range o.servers { // one that is not there would cost each worker its time-out
		if err := ping(ctx, s); err != nil {
			return err
		}
	}
	w := workload{servers: o.servers, key: key, concurrency: o.concurrency, calls: o.calls, rate: o.rate}
	if o.duration > 0 {
		w.calls, w.duration = 0, o.duration
	}
	if o.ramp {
		return o.climb(ctx, w, std.out)
	}
	r := w.run(ctx)
	if err := r.failure(); err != nil {
		return err
	}
	return o.print(std.out, r)
}

// ping returns an error if no p2pchat server answers at that URL.
func ping(ctx context.Context, server string) error {
	client, err := signaling.NewClient(server, signaling.Config{Patience: pingPatience})
	if err != nil {
		return err
	}
	defer client.CloseIdle()
	if _, err = client.Ping(ctx); err != nil {
		return fmt.Errorf("%s: %w", server, err)
	}
	return nil
}

// climb doubles the concurrency until the throughput grows by less than a tenth.
func (o benchOptions) climb(ctx context.Context, w workload, out io.Writer) error {
	w.calls, w.duration = 0, o.duration
	if w.duration == 0 {
		w.duration = 5 * time.Second
	}
	best := result{}
	for w.concurrency = 1; w.concurrency <= 4096 && ctx.Err() == nil; w.concurrency *= 2 {
		r := w.run(ctx)
		if err := r.failure(); err != nil {
			return err
		}
		if err := o.print(out, r); err != nil {
			return err
		}
		if r.CallsPerSecond < best.CallsPerSecond*1.1 {
			break
		}
		best = r
	}
	if !o.json {
		_, err := fmt.Fprintf(out, "\nthe knee: %d calls at once, %.0f calls a second\n", best.Concurrency, best.CallsPerSecond)
		return err
	}
	return nil
}

// failure returns an error if no call was served.
func (r result) failure() error {
	if r.Served > 0 || r.Failed == 0 {
		return nil
	}
	return fmt.Errorf("%w: no call was served: %s", signaling.ErrUnreachable, strings.Join(slices.Sorted(maps.Keys(r.Errors)), ", "))
}

func (o benchOptions) print(out io.Writer, r result) error {
	if o.json {
		return json.NewEncoder(out).Encode(r)
	}
	if o.ramp {
		_, err := fmt.Fprintf(out, "%5d at once: %6.0f calls a second, %d failed, a request p50 %s, p99 %s\n",
			r.Concurrency, r.CallsPerSecond, r.Failed, ms(r.Request.P50), ms(r.Request.P99))
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d calls of %d requests in %.1f s, %d at once\n\n", r.Served+r.Failed, len(script()), r.Seconds, r.Concurrency)
	fmt.Fprintf(&b, "%-24s %8.0f a second, %d failed\n", "calls", r.CallsPerSecond, r.Failed)
	fmt.Fprintf(&b, "%-24s %8.0f a second\n\n", "requests", r.RequestsPerSecond)
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(&b, "%8d × %s\n", r.Errors[kind], kind)
	}
	if len(r.Errors) > 0 {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%-24s %9s %9s %9s %9s %9s\n", "", "p50", "p90", "p99", "p99.9", "most")
	row := func(name string, s summary) {
		fmt.Fprintf(&b, "%-24s %9s %9s %9s %9s %9s\n", name, ms(s.P50), ms(s.P90), ms(s.P99), ms(s.P999), ms(s.Most))
	}
	row("a call", r.Call)
	row("a request", r.Request)
	for _, name := range kinds() {
		row("  "+name, r.Requests[name])
	}
	b.WriteByte('\n')
	most := uint64(0)
	for _, bar := range r.Histogram {
		most = max(most, bar.Requests)
	}
	for _, bar := range r.Histogram {
		fmt.Fprintf(&b, "≤ %9s %9d %s\n", ms(bar.Milliseconds), bar.Requests, strings.Repeat("█", int(40*bar.Requests/most))) //nolint:gosec // 40 at most
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func ms(n float64) string { return fmt.Sprintf("%.3g ms", n) }
