package peer_test

import (
	"context"
	"time"

	"p2pchat/signaling"
)

// A distant Store is a round trip away from its one user.
type distant struct {
	signaling.Store
	rtt time.Duration
}

func (d distant) travel(ctx context.Context) {
	select {
	case <-time.After(d.rtt / 2):
	case <-ctx.Done():
	}
}

func (d distant) Offer(ctx context.Context, t signaling.Ticket, b signaling.Description) (signaling.Version, error) {
	d.travel(ctx)
	defer d.travel(ctx)
	return d.Store.Offer(ctx, t, b)
}

func (d distant) Reoffer(ctx context.Context, t signaling.Ticket, b signaling.Description) (signaling.Version, error) {
	d.travel(ctx)
	defer d.travel(ctx)
	return d.Store.Reoffer(ctx, t, b)
}

func (d distant) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, b signaling.Description) (signaling.Version, error) {
	d.travel(ctx)
	defer d.travel(ctx)
	return d.Store.Answer(ctx, t, to, b)
}

func (d distant) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	d.travel(ctx)
	defer d.travel(ctx)
	return d.Store.Description(ctx, t, of, known, wait)
}

func (d distant) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	d.travel(ctx)
	defer d.travel(ctx)
	return d.Store.AddCandidates(ctx, t, at, c...)
}

func (d distant) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	d.travel(ctx)
	defer d.travel(ctx)
	return d.Store.Candidates(ctx, t, of, after, wait)
}

func (d distant) Close(ctx context.Context, t signaling.Ticket) error {
	d.travel(ctx)
	defer d.travel(ctx)
	return d.Store.Close(ctx, t)
}
