package server

import (
	"context"
	"errors"
	"time"

	"p2pchat/signaling"
)

// operationsOfStore are the values of the label operation.
var operationsOfStore = []string{"offer", "reoffer", "answer", "read_description", "add_candidates", "read_candidates", "close"}

// A measured Store is one whose work is counted.
type measured struct {
	below   signaling.Store
	metrics *metrics
}

// done counts one operation, and what it means for the call.
func (m measured) done(operation, event string, started time.Time, wait time.Duration, err error) {
	if wait <= 0 {
		m.metrics.store.WithLabelValues(operation).Observe(time.Since(started).Seconds())
	}
	_, known := signaling.ProblemOf(err)
	switch {
	case err == nil:
		if event != "" {
			m.metrics.calls.WithLabelValues(event).Inc()
		}
	case errors.Is(err, signaling.ErrUnavailable), !known && !errors.Is(err, context.Canceled):
		m.metrics.failures.WithLabelValues(operation).Inc()
	}
}

func (m measured) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	started := time.Now()
	v, err := m.below.Offer(ctx, t, d)
	m.done("offer", callOpened, started, 0, err)
	return v, err
}

func (m measured) Reoffer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	started := time.Now()
	v, err := m.below.Reoffer(ctx, t, d)
	m.done("reoffer", callTurnedDown, started, 0, err)
	return v, err
}

func (m measured) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	started := time.Now()
	v, err := m.below.Answer(ctx, t, to, d)
	m.done("answer", callAnswered, started, 0, err)
	return v, err
}

func (m measured) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	started := time.Now()
	d, v, err := m.below.Description(ctx, t, of, known, wait)
	m.done("read_description", "", started, wait, err)
	return d, v, err
}

func (m measured) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	started := time.Now()
	n, err := m.below.AddCandidates(ctx, t, at, c...)
	m.done("add_candidates", "", started, 0, err)
	return n, err
}

func (m measured) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	started := time.Now()
	list, err := m.below.Candidates(ctx, t, of, after, wait)
	m.done("read_candidates", "", started, wait, err)
	return list, err
}

func (m measured) Close(ctx context.Context, t signaling.Ticket) error {
	started := time.Now()
	err := m.below.Close(ctx, t)
	m.done("close", callClosed, started, 0, err)
	return err
}
