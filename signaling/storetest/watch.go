package storetest

import (
	"context"
	"sync"
	"time"

	"p2pchat/signaling"
)

// Observe returns a Store that sends to parked for each read that begins to wait in the Store
// below. It relies on reads calling Done of their context just before they wait.
func Observe(below signaling.Store, parked chan<- struct{}) signaling.Store {
	return observed{below, parked}
}

type observed struct {
	signaling.Store
	parked chan<- struct{}
}

func (o observed) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	return o.Store.Description(o.context(ctx, wait), t, of, known, wait)
}

func (o observed) Offers(ctx context.Context, wanted []signaling.WantedOffer, wait time.Duration) ([]signaling.Offered, error) {
	return o.Store.Offers(o.context(ctx, wait), wanted, wait)
}

func (o observed) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	return o.Store.Candidates(o.context(ctx, wait), t, of, after, wait)
}

func (o observed) context(ctx context.Context, wait time.Duration) context.Context {
	if wait <= 0 {
		return ctx
	}
	return observedContext{ctx, sync.OnceFunc(func() { o.parked <- struct{}{} })}
}

type observedContext struct {
	context.Context
	parked func() // is called by Done
}

func (c observedContext) Done() <-chan struct{} {
	c.parked()
	return c.Context.Done()
}
