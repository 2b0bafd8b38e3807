package storetest

import (
	"context"
	"sync"
	"time"

	"p2pchat/signaling"
)

// Watch is the Store below, with one send to parked for every read that begins to
// wait in it: nobody asks a context when it is done but to sleep until then.
func Watch(below signaling.Store, parked chan<- struct{}) signaling.Store {
	return watched{below, parked}
}

type watched struct {
	signaling.Store
	parked chan<- struct{}
}

func (w watched) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	return w.Store.Description(w.watch(ctx, wait), t, of, known, wait)
}

func (w watched) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	return w.Store.Candidates(w.watch(ctx, wait), t, of, after, wait)
}

func (w watched) watch(ctx context.Context, wait time.Duration) context.Context {
	if wait <= 0 {
		return ctx
	}
	return asked{ctx, sync.OnceFunc(func() { w.parked <- struct{}{} })}
}

type asked struct {
	context.Context
	tell func()
}

func (a asked) Done() <-chan struct{} {
	a.tell()
	return a.Context.Done()
}
