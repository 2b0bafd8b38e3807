package bench

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"p2pchat/peer"
)

// Errors of Path.Run, beside those of the Pipe.
var (
	ErrConversation = errors.New("the other side wants to chat, and measures nothing")
	ErrOther        = errors.New("the other side measures something else")
	ErrForeign      = errors.New("the other side is a plain WebRTC program, which cannot measure")
	ErrSilent       = errors.New("the other side does not say that it measures: it may run call or answer")
	ErrOverrun      = errors.New("the other side did not finish in time")
	ErrGreedy       = errors.New("the other side sent more than the two sides had agreed on")
)

const (
	pingInterval = 10 * time.Millisecond // as long as replies come sooner
	idleTime     = time.Second           // of pings before data flows
	greetLimit   = 10 * time.Second      // for the other side's hello
	grace        = 5 * time.Second       // for what is on its way when the time of a phase is over
	chunkSize    = 64 << 10              // bytes
	reportEvery  = time.Second
)

// A Path measures the connection of two people, of whom each runs one. It reads nothing of the other side
// but what these measurements need, and ends when the agreed time or number of bytes is over.
//
//	caller                                          callee
//	  | hello: purpose, seconds, bytes ───────────▶ |
//	  | ◀─────────── hello: the less of both counts |
//	  | ping ─────▶ ◀───── pong, in both directions | all the time
//	  | data on a channel of its own ─────────────▶ | bench transfer
//	  | ◀──────────────── report, each second: MB/s |
//	  | ◀───────────── data the other way, reported |
//	  | end ──────────────────────────────────────▶ |
//	  | ◀────────────────────────────────────── end |
type Path struct {
	Kind     string        // message or transfer
	Caller   bool          // this side sends first
	Duration time.Duration // of the pings of bench message, and of each direction of bench transfer
	MaxBytes int64         // in each direction
	Progress func(string)  // gets a line each second, perhaps from several goroutines; may be nil
}

// A RoundTrip sums up pings. Times are in milliseconds.
type RoundTrip struct {
	Pings   int     `json:"pings"`
	Min     float64 `json:"min"`
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
	Most    float64 `json:"most"`
	Pauses  int     `json:"pauses"` // pings that took over twice the median and 50 ms: lost packets do that
	Longest float64 `json:"longest_pause"`
}

// A Flow is what the receiving side measured of one direction. Times are in milliseconds.
type Flow struct {
	Bytes   int64   `json:"bytes"`
	Time    float64 `json:"ms"` // from the first bytes to the last ones
	Speed   float64 `json:"mb_per_second"`
	Pauses  int     `json:"pauses"` // times without data over twice the median round trip and 50 ms
	Longest float64 `json:"longest_pause"`
	Last    bool    `json:"-"`
}

// A PathResult is what one side measured, and what the other side reported of the data that this side sent. It is
// printed as JSON, too; times are in milliseconds.
type PathResult struct {
	Bench    string     `json:"bench"`
	Path     string     `json:"path"` // host, srflx, prflx or relay
	Verified bool       `json:"verified"`
	Connect  float64    `json:"connect"`
	Idle     RoundTrip  `json:"round_trip"`
	Loaded   *RoundTrip `json:"round_trip_loaded,omitempty"` // while data flowed
	Sent     *Flow      `json:"sent,omitempty"`
	Received *Flow      `json:"received,omitempty"`
}

// A run is one Path that is measured.
type run struct {
	Path
	link  *peer.Pipe
	ended chan struct{} // closed by receive: the other side has finished
	last  chan Flow     // the final report of the other side
	pongs chan uint64
	seq   uint64 // of the last ping; owned by ping

	sending sync.Mutex // lets one goroutine at a time send

	// owned by receive:
	shown    time.Time // when a report of the other side was last shown
	reported bool      // last has been sent
}

// Run measures the pipe, which nothing else may use. The other side has to run the same.
func (p Path) Run(ctx context.Context, link *peer.Pipe) (r PathResult, err error) {
	if link.Foreign {
		return r, ErrForeign
	}
	m := &run{Path: p, link: link, ended: make(chan struct{}), last: make(chan Flow, 1), pongs: make(chan uint64, 1)}
	if err := m.greet(ctx); err != nil {
		return r, err
	}
	link.Expect(p.Kind == "transfer")
	ctx, cancel := context.WithTimeoutCause(ctx, m.limit(), ErrOverrun)
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer fail(nil)
	wg.Go(func() {
		if err := m.receive(ctx); err != nil {
			fail(err)
		}
	})
	r = PathResult{Bench: p.Kind, Path: link.Path, Verified: link.Verified, Connect: inMilliseconds(link.Took)}
	if p.Kind == "message" {
		r.Idle, err = m.message(ctx)
	} else {
		err = m.transfer(ctx, &r)
	}
	if err == nil {
		err = m.finish(ctx)
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	select {
	case <-link.Relayed():
		r.Path = "relay"
	default:
	}
	return r, err
}

// limit returns how long the measurement may take in all.
func (m *run) limit() time.Duration {
	if m.Kind == "message" {
		return m.Duration + 2*grace
	}
	return idleTime + 2*(m.Duration+grace) + 2*grace
}

// message pings for the whole time.
func (m *run) message(ctx context.Context) (RoundTrip, error) {
	ctx, cancel := context.WithTimeout(ctx, m.Duration)
	defer cancel()
	p := &pings{}
	err := m.ping(ctx, func(rtt time.Duration) {
		p.add(rtt)
		if s, due := p.second(); due {
			m.progress("%d pings, round trip %s, %s and %s (least, median, 99 %%)", s.Pings, ms(s.Min), ms(s.P50), ms(s.P99))
		}
	})
	return p.sum(), err
}

// transfer pings on the idle path, and goes on while first the caller sends and then the callee.
func (m *run) transfer(ctx context.Context, r *PathResult) (err error) {
	idle, loaded := &pings{}, &pings{}
	waiting, stop := context.WithTimeout(ctx, idleTime)
	err = m.ping(waiting, idle.add)
	stop()
	if r.Idle = idle.sum(); err != nil {
		return err
	}
	pinging, stop := context.WithCancel(ctx)
	pinged := make(chan error, 1)
	go func() { pinged <- m.ping(pinging, loaded.add) }()
	defer func() {
		stop()
		err = cmp.Or(err, <-pinged)
		s := loaded.sum()
		r.Loaded = &s
	}()
	quiet := pauseAfter(r.Idle.P50)
	if m.Caller {
		if r.Sent, err = m.stream(ctx); err == nil {
			r.Received, err = m.count(ctx, quiet)
		}
		return err
	}
	if r.Received, err = m.count(ctx, quiet); err == nil {
		r.Sent, err = m.stream(ctx)
	}
	return err
}

// ping sends one ping after another, and passes the round trips to note, until ctx ends or the other side has finished.
func (m *run) ping(ctx context.Context, note func(time.Duration)) error {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		m.seq++
		sent := time.Now()
		switch err := m.say(ctx, kindPing, binary.BigEndian.AppendUint64(nil, m.seq)); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return unless(ctx, err)
		}
		for answered := uint64(0); answered != m.seq; {
			select {
			case answered = <-m.pongs:
			case <-m.ended:
				return nil
			case <-ctx.Done():
				return nil
			}
		}
		note(time.Since(sent))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// stream sends data for the agreed time, and returns the other side's report.
func (m *run) stream(ctx context.Context) (*Flow, error) {
	c, err := m.link.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	chunk := make([]byte, chunkSize)
	_, _ = rand.Read(chunk) // a network may compress; it never fails
	began := time.Now()
	for sent := int64(0); sent+chunkSize <= m.MaxBytes && time.Since(began) < m.Duration; sent += chunkSize {
		if _, err := c.Write(chunk); err != nil {
			return nil, unless(ctx, err)
		}
	}
	if _, err := c.Write(chunk[:1]); err != nil { // a short message is the last one
		return nil, unless(ctx, err)
	}
	select {
	case f := <-m.last:
		return &f, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// count measures the data that the other side sends, and reports it each second. quiet is the least pause.
func (m *run) count(ctx context.Context, quiet time.Duration) (*Flow, error) {
	c, err := m.link.Accept(ctx)
	if err != nil {
		return nil, err
	}
	m.link.Expect(false)
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeoutCause(ctx, m.Duration+grace, ErrOverrun)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	var f Flow
	buffer := make([]byte, chunkSize)
	var began, before, reported time.Time
	for !f.Last {
		n, err := c.Read(buffer)
		if err != nil {
			return nil, unless(ctx, err)
		}
		now := time.Now()
		f.Last = n < chunkSize
		if began.IsZero() { // how long the first bytes took is not known
			began, before, reported = now, now, now
			n = 0
		}
		if f.Bytes += int64(n); f.Bytes > m.MaxBytes {
			return nil, ErrGreedy
		}
		f.note(now, began, before, quiet)
		before = now
		if f.Last || now.Sub(reported) >= reportEvery {
			reported = now
			if !f.Last { // the result has that one
				m.progress("received %s at %.3g MB/s", megabytes(f.Bytes), f.Speed)
			}
			if err := m.report(ctx, f); err != nil {
				return nil, unless(ctx, err)
			}
		}
	}
	return &f, nil
}

// note adds up what has arrived until now.
func (f *Flow) note(now, began, before time.Time, quiet time.Duration) {
	if gap := now.Sub(before); gap > quiet {
		f.Pauses++
		f.Longest = max(f.Longest, inMilliseconds(gap))
	}
	if f.Time = inMilliseconds(now.Sub(began)); f.Time > 0 {
		f.Speed = float64(f.Bytes) / 1e3 / f.Time
	}
}

// finish ends the measurement on both sides. The callee ends last: once the caller has its end, it may hang up.
func (m *run) finish(ctx context.Context) error {
	if m.Caller {
		if err := m.say(ctx, kindEnd, nil); err != nil {
			return err
		}
	}
	select {
	case <-m.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	if m.Caller {
		return nil
	}
	if err := m.say(ctx, kindEnd, nil); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	_ = m.link.Flush(ctx) // the caller may be faster and hang up
	return nil
}

func (m *run) progress(format string, args ...any) {
	if m.Progress != nil {
		m.Progress(fmt.Sprintf(format, args...))
	}
}

// unless returns why ctx has ended if it has, and else err, the error of the pipe or of a channel.
func unless(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return peer.ErrLost
	}
	return err
}
