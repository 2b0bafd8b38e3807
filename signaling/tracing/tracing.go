// Package tracing tells an OpenTelemetry collector what a server did with each request,
// where the standard variables ask for it: spans, over OTLP (the OpenTelemetry protocol),
// in protobuf over HTTP. It has what that takes and no more, because OpenTelemetry's own
// library would cost every start of the program a quarter of a millisecond.
package tracing

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Tracer collects spans and sends them. A nil one does nothing, and costs nothing.
type Tracer struct {
	settings settings
	client   *http.Client
	log      *slog.Logger
	queue    chan *Span
	lost     atomic.Int64
	failing  bool // of send alone: the log says it once
}

// A Span is one thing that was done, and how long it took. A nil one is not recorded.
type Span struct {
	tracer       *Tracer
	trace        [16]byte
	id, parent   [8]byte
	server       bool // what came from outside; else what was done for it
	name         string
	began, ended time.Time
	failed       bool
	details      []slog.Attr
}

// New returns the tracer that the environment asks for; version is the program's. It is nil
// if none is asked for. An error says what cannot be done as it is asked.
func New(version string, getenv func(string) string, log *slog.Logger) (*Tracer, error) {
	s, err := read(getenv, version)
	if err != nil || s.url == "" {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = s.tls
	return &Tracer{settings: s, client: &http.Client{Transport: transport, Timeout: s.timeout}, log: log, queue: make(chan *Span, s.queue)}, nil
}

// Start sends what ends from now on; stop sends the rest, for as long as ctx allows, and
// waits.
func (t *Tracer) Start() (stop func(ctx context.Context)) {
	if t == nil {
		return func(context.Context) {}
	}
	var last context.Context
	ctx, cancel := context.WithCancel(context.Background())
	var sending sync.WaitGroup
	sending.Go(func() {
		batch := t.run(ctx)
		for len(t.queue) > 0 {
			batch = append(batch, <-t.queue)
		}
		t.send(last, batch)
	})
	return func(ctx context.Context) {
		last = ctx
		cancel()
		sending.Wait()
		t.client.CloseIdleConnections()
	}
}

// run sends batch after batch until ctx ends; it returns what is not sent then.
func (t *Tracer) run(ctx context.Context) (batch []*Span) {
	due := time.NewTicker(t.settings.delay)
	defer due.Stop()
	for {
		select {
		case s := <-t.queue:
			if batch = append(batch, s); len(batch) < t.settings.batch {
				continue
			}
		case <-due.C:
		case <-ctx.Done():
			return batch
		}
		if !t.send(ctx, batch) {
			return batch
		}
		batch = nil
	}
}

// Request begins the span of a request, which Operation finds in its context. What the
// request says of a trace that it belongs to counts if trusted: a stranger could have
// everything recorded, or nothing.
func (t *Tracer) Request(r *http.Request, trusted bool) (*http.Request, *Span) {
	s := &Span{tracer: t, server: true, began: time.Now()}
	random(s.id[:])
	recorded, known := false, false
	if trusted {
		recorded, known = s.follow(r.Header.Get("Traceparent"))
	}
	if !known {
		random(s.trace[:])
	}
	if !t.settings.sampler.takes(s.trace, known, recorded) {
		return r, nil
	}
	return r.WithContext(context.WithValue(r.Context(), spanKey{}, s)), s
}

type spanKey struct{}

// Operation begins the span of what is done for a request.
func Operation(ctx context.Context) *Span {
	request, _ := ctx.Value(spanKey{}).(*Span)
	if request == nil {
		return nil
	}
	s := &Span{tracer: request.tracer, trace: request.trace, parent: request.id, began: time.Now()}
	random(s.id[:])
	return s
}

// End ends the span: failed if the server could not do what it should. Details are strings,
// numbers and truth values; never a room's name, a token, a code or an address.
func (s *Span) End(name string, failed bool, details ...slog.Attr) {
	if s == nil {
		return
	}
	s.name, s.ended, s.failed, s.details = name, time.Now(), failed, details
	select {
	case s.tracer.queue <- s:
	default: // the collector is too slow, or away: a request must not wait for it
		s.tracer.lost.Add(1)
	}
}

// follow makes s part of the trace that a header names (W3C Trace Context, section 3.2).
func (s *Span) follow(traceparent string) (recorded, known bool) {
	parts := strings.Split(traceparent, "-")
	if len(parts) < 4 || len(parts[0]) != 2 || parts[0] == "ff" || len(parts[1]) != 32 || len(parts[2]) != 16 || len(parts[3]) != 2 || parts[0] == "00" && len(parts) > 4 {
		return false, false
	}
	all, err := hex.DecodeString(strings.Join(parts[:4], ""))
	if err != nil || strings.ToLower(traceparent) != traceparent || [16]byte(all[1:17]) == [16]byte{} || [8]byte(all[17:25]) == [8]byte{} {
		return false, false
	}
	s.trace, s.parent = [16]byte(all[1:17]), [8]byte(all[17:25])
	return all[25]&1 != 0, true
}

func random(id []byte) { _, _ = rand.Read(id) } // it never fails

// A sampler says which traces are recorded.
type sampler struct {
	follows bool    // what the request's trace says, where it is known
	ratio   float64 // of the others, or of all: 0 to 1
}

// takes decides by the trace's id, so that every program that sees the trace decides alike.
func (s sampler) takes(trace [16]byte, known, recorded bool) bool {
	if s.follows && known {
		return recorded
	}
	return float64(binary.BigEndian.Uint64(trace[8:])>>1) < s.ratio*(1<<63)
}
