package natsstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A primary is the stream, as the replica writes to it.
type primary struct{ *Store }

// Write implements [memstore.Primary].
func (p primary) Write(ctx context.Context, room string, revision uint64, state []byte) error {
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, p.config.Patience)
	defer cancel()
	err := p.write(ctx, room, revision, state)
	if err == nil || errors.Is(err, memstore.ErrConflict) || errors.Is(err, signaling.ErrServerFull) || errors.Is(err, signaling.ErrTooLarge) {
		return err
	}
	return unavailable(caller, err)
}

// unavailable returns the error of a caller for whom NATS did not do its part: the context's if that has ended, or
// else ErrUnavailable.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", signaling.ErrUnavailable, err)
}

func (p primary) write(ctx context.Context, room string, revision uint64, state []byte) error {
	m := nats.NewMsg(p.subject(room))
	m.Data = state
	id, expected := rand.Text(), revision
	p.setWriting(id)
	defer p.endWriting(id)
	for {
		seq, err := p.publish(ctx, m, id, expected)
		switch {
		case err == nil:
			return p.waitFor(ctx, seq)
		case len(state) == 0 && expected > 0 && errors.Is(err, signaling.ErrServerFull):
			// The tombstone needs the space that the room takes.
			if err := p.stream.Purge(ctx, jetstream.WithPurgeSubject(m.Subject), jetstream.WithPurgeSequence(expected+1)); err != nil {
				return err
			}
			expected = 0
		case isConflict(err):
			expected, err = p.resolveConflict(ctx, room, revision, expected)
			// A single NATS server compares the sequence before it looks for a message with the same
			// id (a cluster does the opposite). So an attempt may conflict with an earlier one whose
			// reply was late.
			if p.hasWritten(id) {
				return nil
			}
			if err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// resolveConflict is called if the room's last message has another sequence than the expected
// one. It returns the sequence to expect in the next attempt, or ErrConflict if the room is not as
// the writer saw it.
func (p primary) resolveConflict(ctx context.Context, room string, revision, expected uint64) (uint64, error) {
	last, err := p.lastSequence(ctx, p.subject(room))
	switch {
	case err != nil:
		if pause(ctx) != nil {
			return 0, err
		}
		return expected, nil
	case last > p.lastApplied():
		if err := p.waitFor(ctx, last); err != nil {
			return 0, err
		}
	case p.Revision(room) != revision:
	case revision == 0 && last != expected:
		// The replica has applied all of this room's messages, and the room does not exist: it was
		// closed, or has just expired.
		return last, nil
	case last == 0:
		p.Forget(room, revision)
	default: // another write is still under way
		if err := pause(ctx); err != nil {
			return 0, err
		}
	}
	return 0, memstore.ErrConflict
}

func (p primary) setWriting(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writing[id] = false
}

func (p primary) endWriting(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.writing, id)
}

// hasWritten reports whether the replica has applied this server's message with that id.
func (p primary) hasWritten(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writing[id]
}

// publish sends m until NATS has stored or refused it, and returns its sequence.
func (p primary) publish(ctx context.Context, m *nats.Msg, id string, expected uint64) (uint64, error) {
	life := p.roomLife
	if len(m.Data) == 0 {
		life = tombstoneLife
	}
	for {
		once, cancel := context.WithTimeout(ctx, publishTimeout)
		ack, err := p.js.PublishMsg(once, m, jetstream.WithMsgID(id), jetstream.WithExpectLastSequencePerSubject(expected),
			jetstream.WithMsgTTL(life), jetstream.WithRetryAttempts(0))
		cancel()
		switch code := errorCode(err); {
		case err == nil:
			return ack.Sequence, nil
		case isConflict(err):
			return 0, err
		case errors.Is(err, nats.ErrMaxPayload), code == jetstream.JSErrCodeStreamMessageExceedsMaximum:
			return 0, fmt.Errorf("%w: %w", signaling.ErrTooLarge, err)
		case code == errNoMemory, code == errNoResources, code == errStoreFailed:
			return 0, fmt.Errorf("%w: %w", signaling.ErrServerFull, err)
		case code != errInProcess:
			p.requestAudit()
		}
		if pause(ctx) != nil {
			return 0, err
		}
	}
}

// runRenewals writes rooms in use again before the stream drops them.
func (s *Store) runRenewals(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case room := <-s.RenewalsDue():
			if err := s.Renew(ctx, room); err != nil {
				s.config.Log.Debug("a room was not renewed", "error", err)
			}
		}
	}
}
