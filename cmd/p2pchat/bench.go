package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"p2pchat/chat/screen"
	"p2pchat/cmd/p2pchat/internal/bench"
	"p2pchat/signaling"
)

// pingPatience bounds how long bench and doctor try a server that does not answer.
const pingPatience = 3 * time.Second

func benchCommand(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure a server, two peers on this machine, or the path to another person",
	}
	c.AddCommand(signalingBenchCommand(std))
	for _, b := range peerBenches {
		c.AddCommand(b.command(std))
	}
	return c
}

// benchOptions are the flags of bench signaling.
type benchOptions struct {
	load    bench.Load
	ramp    bool
	json    bool
	keyFile string
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
its full capacity. The exit code is 0 only if no call failed.`,
		Example: `  p2pchat bench signaling --server http://localhost:3000
  p2pchat bench signaling --rate 100 --duration 1m     100 calls a second
  p2pchat bench signaling --ramp                       double the load step by step`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return benchSignaling(c.Context(), o, std.out) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringArrayVar(&o.load.Servers, "server", nil, "`URL` of a signaling server (repeatable; default "+defaultServer+")")
	f.IntVar(&o.load.Concurrency, "concurrency", 64, "simultaneous calls")
	f.IntVar(&o.load.Calls, "calls", 2000, "number of calls")
	f.DurationVar(&o.load.Duration, "duration", 0, "length of the measurement, instead of --calls")
	f.Float64Var(&o.load.Rate, "rate", 0, "calls to start each second (default 0: no limit)")
	f.BoolVar(&o.ramp, "ramp", false, "double the simultaneous calls until throughput stops growing, for --duration each (default 5s)")
	f.BoolVar(&o.json, "json", false, "print the result as one JSON object per line")
	f.StringVar(&o.keyFile, "access-key-file", "", "`FILE` with the server's access key (or P2PCHAT_ACCESS_KEY)")
	return c
}

func benchSignaling(ctx context.Context, o benchOptions, out io.Writer) error {
	load, err := o.validate()
	if err != nil {
		return err
	}
	for _, s := range load.Servers { // a missing server would cost each worker its time-out
		if err := ping(ctx, s); err != nil {
			return err
		}
	}
	if !o.ramp {
		r := load.Run(ctx)
		if err := printed(out, r, withoutLimit(r.Err()), o.json, r.Write); err != nil {
			return err
		}
		return withoutLimit(r.Failures())
	}
	best, err := load.Climb(ctx, func(r bench.Result) error { return printed(out, r, nil, o.json, r.WriteStep) })
	if err == nil && !o.json {
		_, err = fmt.Fprintf(out, "\nthe knee: %d calls at once, %.0f calls a second\n", best.Concurrency, best.CallsPerSecond)
	}
	return err
}

// withoutLimit adds to err how to start a server without the limit that is why it refused.
func withoutLimit(err error) error {
	switch {
	case errors.Is(err, signaling.ErrTooMany):
		return hintedError{err, "start the server with --rate client=0 for this measurement"}
	case errors.Is(err, signaling.ErrServerFull):
		return hintedError{err, "start the server with more --max-rooms for this measurement, or lower --concurrency"}
	}
	return err
}

// validate returns the load that the flags ask for.
func (o benchOptions) validate() (load bench.Load, err error) {
	load = o.load
	switch {
	case load.Concurrency < 1:
		return load, &usageError{err: errors.New("--concurrency must be greater than 0")}
	case load.Calls < 1:
		return load, &usageError{err: errors.New("--calls must be greater than 0")}
	case load.Duration < 0:
		return load, &usageError{err: errors.New("--duration must not be negative")}
	case load.Rate < 0:
		return load, &usageError{err: errors.New("--rate must not be negative")}
	}
	if load.Servers == nil {
		load.Servers = []string{defaultServer}
	}
	for i, s := range load.Servers {
		whole, err := serverURL(s)
		if err != nil {
			return load, err
		}
		load.Servers[i] = strings.TrimRight(whole, "/")
	}
	if o.ramp && load.Duration == 0 {
		load.Duration = 5 * time.Second
	}
	if load.Duration > 0 {
		load.Calls = 0
	}
	load.Key, err = accessKey(o.keyFile)
	return load, err
}

// ping returns an error if no p2pchat server answers at that URL.
func ping(ctx context.Context, server string) error {
	client, err := signaling.NewClient(server, signaling.Config{Patience: pingPatience})
	if err != nil {
		return err
	}
	defer client.CloseIdle()
	if _, err = client.Ping(ctx); err != nil {
		return withHint(server, fmt.Errorf("%s: %w", server, err))
	}
	return nil
}

// A peerBench is a subcommand that measures two peers of this process or, if it has a path, those of two people.
type peerBench struct {
	name, short, long, example string
	count                      int // default of --count
	measure                    func(ctx context.Context, n int) (bench.Comparison, error)
	path                       bool
	timeline                   bool
}

var peerBenches = []peerBench{
	{name: "connect", short: "Measure how long two peers take to connect", long: `Measure the time from the callee's start until both peers can chat, verified, over a
signaling server on loopback. For comparison: two bare PeerConnections that exchange
their descriptions in memory.`, example: `  p2pchat bench connect
  p2pchat bench connect --timeline call.svg`, count: 50, measure: bench.Connect, timeline: true},
	{name: "message", short: "Measure the round trip of a message, here or to another person", long: `Measure the round trip of 64 bytes on loopback. For comparison: the same over a bare
DataChannel.

To measure the path between two people, one runs it with --call, which prints a code, and
the other one with that code, as with call and answer. Both see the route, the round trip
times and the pauses of the connection.`, example: `  p2pchat bench message
  p2pchat bench message --call
  p2pchat bench message 417-falcon-zebra`, count: 5000, measure: bench.Message, path: true},
	{name: "transfer", short: "Measure the throughput, here or to another person", long: `Measure the throughput of 64 KiB messages on loopback, 16 MiB at a time. For
comparison: the same over a bare DataChannel.

To measure the path between two people, one runs it with --call, which prints a code, and
the other one with that code, as with call and answer. Random bytes go first one way, then
the other, for --duration each. Both see the route, the throughput in each direction, and
the round trip times and pauses of the connection. Nothing is written to disk.`, example: `  p2pchat bench transfer
  p2pchat bench transfer --call --server https://chat.example.org
  p2pchat bench transfer 417-falcon-zebra --server https://chat.example.org`, count: 10, measure: bench.Transfer, path: true},
}

func (b peerBench) command(std stdio) *cobra.Command {
	var count int
	var asJSON bool
	var path pathBench
	var timeline string
	c := &cobra.Command{
		Use: b.name, Short: b.short, Long: b.long, Example: b.example, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if b.path && (path.calls || len(args) > 0) {
				r, err := path.run(c, b.name, args, std)
				return printed(std.out, r, err, asJSON, r.Write)
			}
			switch changed := c.Flags().Changed; {
			case count < 1:
				return &usageError{err: errors.New("--count must be greater than 0")}
			case changed("duration"), changed("max-mb"):
				return &usageError{err: errors.New("--duration and --max-mb are for a path to another person"), hint: "add --call, or the code that the other side's --call prints"}
			}
			if timeline != "" {
				if err := drawTimeline(c.Context(), timeline); err != nil {
					return err
				}
			}
			r, err := b.measure(c.Context(), count)
			return printed(std.out, r, err, asJSON, func(to io.Writer) error { return r.Write(to, b.name) })
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.IntVar(&count, "count", b.count, "number of measurements")
	f.BoolVar(&asJSON, "json", false, "print the result as one JSON object")
	if b.timeline {
		f.StringVar(&timeline, "timeline", "", "also draw the phases of one call into this `FILE`, as SVG")
	}
	if b.path {
		c.Use, c.Args = b.name+" [CODE]", cobra.ArbitraryArgs // a code may be written with spaces
		path.register(f, b.name)
	}
	return c
}

// drawTimeline writes the picture of a call to a file.
func drawTimeline(ctx context.Context, name string) error {
	phases, err := bench.Timeline(ctx)
	if err != nil {
		return err
	}
	file, err := os.Create(name) //nolint:gosec // the person names it
	if err != nil {
		return &usageError{err: fmt.Errorf("--timeline: %w", err), hint: "name a file that you can write to, in a folder that exists"}
	}
	return errors.Join(bench.WriteTimeline(file, phases), file.Close())
}

// printed writes what was measured unless err is not nil, as JSON or as text writes it. A server chooses some texts.
func printed(out io.Writer, result any, err error, asJSON bool, text func(io.Writer) error) error {
	if err != nil {
		return err
	}
	if asJSON {
		object, err := json.Marshal(result)
		if err == nil {
			_, err = out.Write(append(screen.Escape(object), '\n'))
		}
		return err
	}
	var b strings.Builder
	if err := text(&b); err != nil {
		return err
	}
	lines := strings.Split(b.String(), "\n")
	for i, line := range lines {
		lines[i] = screen.Clean(line)
	}
	_, err = io.WriteString(out, strings.Join(lines, "\n"))
	return err
}
