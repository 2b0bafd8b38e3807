package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"p2pchat/peer"
	"p2pchat/signaling"
)

type peerBenchOptions struct {
	count int
	json  bool
}

// A peerBench measures two peers of this process and, for comparison, two bare PeerConnections with
// the same settings: the limit.
type peerBench struct {
	name, short, long string
	count             int // default of --count
	run               func(ctx context.Context, n int) (comparison, error)
}

var peerBenches = []peerBench{
	{"connect", "Measure how long two peers take to connect", `Measure the time from the callee's start until both peers can chat, verified, over a
signaling server on loopback. For comparison: two bare PeerConnections that exchange
their descriptions in memory.`, 50, measureConnect},
	{"message", "Measure the round trip of a message", `Measure the round trip of 64 bytes on loopback. For comparison: the same over a bare
DataChannel.`, 5000, measureMessage},
	{"transfer", "Measure the throughput in one direction", `Measure the throughput of 64 KiB messages on loopback, 16 MiB at a time. For
comparison: the same over a bare DataChannel.`, 10, measureTransfer},
}

func (b peerBench) command(std stdio) *cobra.Command {
	var o peerBenchOptions
	c := &cobra.Command{
		Use: b.name, Short: b.short, Long: b.long, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.count < 1 {
				return &usageError{err: errors.New("--count must be greater than 0")}
			}
			r, err := b.run(c.Context(), o.count)
			if err != nil {
				return err
			}
			return r.print(std.out, b.name, o.json)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.IntVar(&o.count, "count", b.count, "number of measurements")
	f.BoolVar(&o.json, "json", false, "print the result as one JSON object")
	return c
}

// A comparison is printed as JSON, too. Times are in milliseconds.
type comparison struct {
	Count int     `json:"count"`
	Ours  summary `json:"ours"`
	Bare  summary `json:"bare"`
	Ratio float64 `json:"ratio"` // of the medians
	// Of a transfer: MB/s.
	Speed     float64 `json:"mb_per_second,omitempty"`
	BareSpeed float64 `json:"bare_mb_per_second,omitempty"`
}

func compared(n int, ours, bare *histogram) comparison {
	c := comparison{Count: n, Ours: ours.summary(), Bare: bare.summary()}
	c.Ratio = c.Ours.P50 / c.Bare.P50
	return c
}

func (c comparison) print(out io.Writer, name string, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(c)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%-24s %9s %9s %9s %9s\n", fmt.Sprintf("%s, %d times", name, c.Count), "p50", "p90", "p99", "most")
	for _, row := range []struct {
		name string
		summary
	}{{"p2pchat", c.Ours}, {"bare DataChannel", c.Bare}} {
		fmt.Fprintf(&text, "%-24s %9s %9s %9s %9s\n", row.name, ms(row.P50), ms(row.P90), ms(row.P99), ms(row.Most))
	}
	fmt.Fprintf(&text, "\n%.2f × the p50 of the bare DataChannel\n", c.Ratio)
	if c.Speed > 0 {
		fmt.Fprintf(&text, "%.0f MB/s; bare %.0f MB/s\n", c.Speed, c.BareSpeed)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func benchConfig() peer.Config {
	return peer.Config{Log: slog.New(slog.DiscardHandler)}
}

// A meeting is two sessions that have met at their own server.
type meeting struct {
	at        signaling.Store
	stop      context.CancelFunc
	served    chan struct{}
	near, far *peer.Pipe
	sessions  []*peer.Session
}

func newMeeting(ctx context.Context) (*meeting, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at, err := signaling.NewClient("http://"+l.Addr().String(), signaling.Config{})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	m := &meeting{at: at, stop: stop, served: make(chan struct{})}
	go func() {
		defer close(m.served)
		_ = serveWithin(ctx, l, slog.New(slog.DiscardHandler)) // all it could say is that a connection was still open
	}()
	return m, nil
}

// meet waits until both may chat; each time it is another room.
func (m *meeting) meet(ctx context.Context, number int) (err error) {
	code := peer.Code{Room: strconv.Itoa(100 + number), Secret: "amber-falcon"} // the server has no other clients
	m.sessions = []*peer.Session{peer.Call(m.at, code, benchConfig()), peer.Answer(m.at, code, benchConfig())}
	if m.near, err = m.sessions[0].Pipe(ctx); err == nil {
		m.far, err = m.sessions[1].Pipe(ctx)
	}
	return err
}

func (m *meeting) part() {
	for _, s := range m.sessions {
		s.Close()
	}
	m.sessions = nil
}

func (m *meeting) end() {
	m.part()
	m.stop()
	<-m.served
}

func measureConnect(ctx context.Context, n int) (c comparison, err error) {
	m, err := newMeeting(ctx)
	if err != nil {
		return c, err
	}
	defer m.end()
	var ours, bare histogram
	for i := range n {
		began := time.Now()
		err := m.meet(ctx, i)
		ours.add(time.Since(began))
		m.part()
		if err != nil {
			return c, err
		}
		began = time.Now()
		_, _, hangUp, err := peer.Bare(ctx, benchConfig())
		bare.add(time.Since(began))
		if err != nil {
			return c, err
		}
		hangUp()
	}
	return compared(n, &ours, &bare), nil
}

// beside runs one measure over a Session's pipes and over a bare channel by turns, n times.
func beside(ctx context.Context, n int, ours func(near, far *peer.Pipe) error, bare func(near, far io.ReadWriter) error) (c comparison, err error) {
	m, err := newMeeting(ctx)
	if err != nil {
		return c, err
	}
	defer m.end()
	if err := m.meet(ctx, 0); err != nil {
		return c, err
	}
	near, far, hangUp, err := peer.Bare(ctx, benchConfig())
	if err != nil {
		return c, err
	}
	defer hangUp()
	var sessions, channels histogram
	for range n {
		began := time.Now()
		if err := ours(m.near, m.far); err != nil {
			return c, err
		}
		sessions.add(time.Since(began))
		began = time.Now()
		if err := bare(near, far); err != nil {
			return c, err
		}
		channels.add(time.Since(began))
	}
	return compared(n, &sessions, &channels), nil
}

func measureMessage(ctx context.Context, n int) (comparison, error) {
	message, buffer := make([]byte, 64), make([]byte, 1024)
	return beside(ctx, n, func(near, far *peer.Pipe) error {
		for _, way := range [][2]*peer.Pipe{{near, far}, {far, near}} {
			if err := way[0].Send(ctx, message); err != nil {
				return err
			}
			if _, err := way[1].Recv(ctx); err != nil {
				return err
			}
		}
		return nil
	}, func(near, far io.ReadWriter) error {
		for _, way := range [][2]io.ReadWriter{{near, far}, {far, near}} {
			if _, err := way[0].Write(message); err != nil {
				return err
			}
			if _, err := way[1].Read(buffer); err != nil {
				return err
			}
		}
		return nil
	})
}

func measureTransfer(ctx context.Context, n int) (comparison, error) {
	const size, count = 64 << 10, 256
	message, buffer := make([]byte, size), make([]byte, size)
	flow := func(write, read func() error) error {
		written := make(chan error, 1)
		go func() {
			for range count {
				if err := write(); err != nil {
					written <- err
					return
				}
			}
			written <- nil
		}()
		for range count {
			if err := read(); err != nil {
				return err
			}
		}
		return <-written
	}
	c, err := beside(ctx, n, func(near, far *peer.Pipe) error {
		return flow(func() error { return near.Send(ctx, message) }, func() error { _, err := far.Recv(ctx); return err })
	}, func(near, far io.ReadWriter) error {
		return flow(func() error { _, err := near.Write(message); return err }, func() error { _, err := far.Read(buffer); return err })
	})
	c.Speed, c.BareSpeed = size*count/1e3/c.Ours.P50, size*count/1e3/c.Bare.P50
	return c, err
}
