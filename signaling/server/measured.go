package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/tracing"
)

// operationsOfStore are the values of the label operation.
var operationsOfStore = []string{"offer", "reoffer", "answer", "read_description", "add_candidates", "read_candidates", "close"}

// A measured Store counts and traces the operations of another Store.
type measured struct {
	below   signaling.Store
	metrics *metrics
}

// An operation is one call of a method of the Store.
type operation struct {
	name    string
	started time.Time
	span    *tracing.Span
}

func begin(ctx context.Context, name string) operation {
	return operation{name, time.Now(), tracing.Operation(ctx)}
}

// done counts an operation and, if it succeeded, the event of the call.
func (m measured) done(o operation, event string, wait time.Duration, err error) {
	if wait <= 0 {
		m.metrics.store.WithLabelValues(o.name).Observe(time.Since(o.started).Seconds())
	}
	problem, known := signaling.ProblemOf(err)
	failed := errors.Is(err, signaling.ErrUnavailable) || err != nil && !known && !errors.Is(err, context.Canceled)
	switch {
	case failed:
		m.metrics.failures.WithLabelValues(o.name).Inc()
	case err == nil && event != "":
		m.metrics.calls.WithLabelValues(event).Inc()
	}
	if o.span != nil {
		o.span.End("store."+o.name, failed, slog.String("p2pchat.problem", problem.Type))
	}
}

func (m measured) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	o := begin(ctx, "offer")
	v, err := m.below.Offer(ctx, t, d)
	m.done(o, callOpened, 0, err)
	return v, err
}

func (m measured) Reoffer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	o := begin(ctx, "reoffer")
	v, err := m.below.Reoffer(ctx, t, d)
	m.done(o, callTurnedDown, 0, err)
	return v, err
}

func (m measured) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	o := begin(ctx, "answer")
	v, err := m.below.Answer(ctx, t, to, d)
	m.done(o, callAnswered, 0, err)
	return v, err
}

func (m measured) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	o := begin(ctx, "read_description")
	d, v, err := m.below.Description(ctx, t, of, known, wait)
	m.done(o, "", wait, err)
	return d, v, err
}

func (m measured) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	o := begin(ctx, "add_candidates")
	n, err := m.below.AddCandidates(ctx, t, at, c...)
	m.done(o, "", 0, err)
	return n, err
}

func (m measured) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	o := begin(ctx, "read_candidates")
	list, err := m.below.Candidates(ctx, t, of, after, wait)
	m.done(o, "", wait, err)
	return list, err
}

func (m measured) Close(ctx context.Context, t signaling.Ticket) error {
	o := begin(ctx, "close")
	err := m.below.Close(ctx, t)
	m.done(o, callClosed, 0, err)
	return err
}
