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

// staleRead reports whether err ends a read with a token and depends on the state of the room.
func staleRead(err error) bool { return !errors.Is(err, signaling.ErrNoOffer) && staleWrite(err) }

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
	if of == signaling.Caller {
		t.Token = "" // any client may read an offer
	}
	err = s.read(ctx, t, wait, func(wait time.Duration, _ bool) (err error) {
		d, v, err = s.Store.Description(ctx, t, of, known, wait)
		return err
	})
	return d, v, err
}

// Candidates implements [signaling.Store].
func (s *Store) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) (list []signaling.Candidate, err error) {
	err = s.read(ctx, t, wait, func(wait time.Duration, found bool) (err error) {
		list, err = s.candidates(ctx, t, of, after, wait, found)
		return err
	})
	if errors.Is(err, signaling.ErrUnchanged) {
		err = nil
	}
	return list, err
}

// candidates is the replica's Candidates, or MoreCandidates if the reader has found the room. Instead of an empty list it returns ErrUnchanged.
func (s *Store) candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration, found bool) ([]signaling.Candidate, error) {
	read := s.Store.Candidates
	if found {
		read = s.MoreCandidates
	}
	list, err := read(ctx, t, of, after, wait)
	if err == nil && len(list) == 0 {
		err = signaling.ErrUnchanged
	}
	return list, err
}

// read calls look, which waits up to wait. With a token it looks without waiting first, because an error after a wait comes from the feed,
// so that the replica is not behind. found tells the second look that the first one has found the room, which may be closed in between. A
// read without a token is refused nothing.
func (s *Store) read(ctx context.Context, t signaling.Ticket, wait time.Duration, look func(wait time.Duration, found bool) error) error {
	if t.Token == "" {
		return look(wait, false)
	}
	err := s.retryIfBehind(ctx, t.Room, staleRead, func() error { return look(0, false) })
	found := errors.Is(err, signaling.ErrUnchanged)
	if wait > 0 && (found || errors.Is(err, signaling.ErrNoRoom) || errors.Is(err, signaling.ErrNoOffer) || errors.Is(err, signaling.ErrNoAnswer)) {
		return look(wait, found)
	}
	return err
}
