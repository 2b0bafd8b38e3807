package natsstore

import (
	"context"
	"errors"
	"time"

	"p2pchat/signaling"
)

// A peer may write at one server and then ask another, before the feed has brought the write to
// the other server's replica. So before a server refuses a peer, it asks NATS whether its replica
// has all of the room. If not, the replica catches up, and the server looks at the request again.
// It does not ask for readers without a token of the room: they wait for the feed.

// retryIfBehind calls an operation, and calls it again if it was refused with an error that
// mayBeStale accepts while the replica was behind. It returns ErrUnavailable or the context's error in place of a
// refusal that could not be checked: a peer would believe it.
func (s *Store) retryIfBehind(ctx context.Context, room string, mayBeStale func(error) bool, do func() error) error {
	before := s.lastApplied()
	err := do()
	if err == nil || !mayBeStale(err) {
		return err
	}
	last, unknown := s.lastSequence(ctx, s.subject(room))
	switch {
	case unknown != nil:
		return unavailable(ctx, unknown)
	case last <= before:
		return err
	}
	if unknown = s.waitFor(ctx, last); unknown != nil {
		return unknown
	}
	return do()
}

// staleWrite reports whether err depends on the state of a room.
func staleWrite(err error) bool {
	for _, refusal := range []error{
		signaling.ErrNoRoom, signaling.ErrNoOffer, signaling.ErrClosed, signaling.ErrTurnedDown, signaling.ErrOccupied, signaling.ErrAnswered,
		signaling.ErrSuperseded, signaling.ErrWrongToken, signaling.ErrGap,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// staleRead returns whether an error ends a read with ticket t and depends on the state of the
// room. An error after a wait comes from the feed, so the replica is not behind: therefore a read
// first looks without waiting, and then waits.
func staleRead(t signaling.Ticket) func(error) bool {
	return func(err error) bool { return t.Token != "" && !errors.Is(err, signaling.ErrNoOffer) && staleWrite(err) }
}

// Offer implements [signaling.Store].
func (s *Store) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (v signaling.Version, err error) {
	err = s.retryIfBehind(ctx, t.Room, staleWrite, func() (err error) {
		v, err = s.Store.Offer(ctx, t, d)
		return err
	})
	return v, err
}

// Reoffer implements [signaling.Store].
func (s *Store) Reoffer(ctx context.Context, t signaling.Ticket, d signaling.Description) (v signaling.Version, err error) {
	err = s.retryIfBehind(ctx, t.Room, staleWrite, func() (err error) {
		v, err = s.Store.Reoffer(ctx, t, d)
		return err
	})
	return v, err
}

// Answer implements [signaling.Store].
func (s *Store) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (v signaling.Version, err error) {
	err = s.retryIfBehind(ctx, t.Room, staleWrite, func() (err error) {
		v, err = s.Store.Answer(ctx, t, to, d)
		return err
	})
	return v, err
}

// AddCandidates implements [signaling.Store].
func (s *Store) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (n int, err error) {
	err = s.retryIfBehind(ctx, t.Room, staleWrite, func() (err error) {
		n, err = s.Store.AddCandidates(ctx, t, at, c...)
		return err
	})
	return n, err
}

// Close implements [signaling.Store].
func (s *Store) Close(ctx context.Context, t signaling.Ticket) error {
	return s.retryIfBehind(ctx, t.Room, staleWrite, func() error { return s.Store.Close(ctx, t) })
}

// Description implements [signaling.Store].
func (s *Store) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (d signaling.Description, v signaling.Version, err error) {
	err = s.retryIfBehind(ctx, t.Room, staleRead(t), func() (err error) {
		d, v, err = s.Store.Description(ctx, t, of, known, 0)
		return err
	})
	if err != nil && wait > 0 {
		return s.Store.Description(ctx, t, of, known, wait)
	}
	return d, v, err
}

// Candidates implements [signaling.Store].
func (s *Store) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) (list []signaling.Candidate, err error) {
	err = s.retryIfBehind(ctx, t.Room, staleRead(t), func() (err error) {
		list, err = s.Store.Candidates(ctx, t, of, after, 0)
		return err
	})
	if wait > 0 && len(list) == 0 {
		return s.Store.Candidates(ctx, t, of, after, wait)
	}
	return list, err
}
