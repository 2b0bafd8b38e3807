package natsstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A journal is the stream, to the mirror.
type journal struct{ *Store }

// Write implements memstore.Journal.
func (s journal) Write(ctx context.Context, room string, revision uint64, state []byte) error {
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, s.config.Patience)
	defer cancel()
	err := s.write(ctx, room, revision, state)
	switch {
	case err == nil, errors.Is(err, memstore.ErrConflict), errors.Is(err, signaling.ErrServerFull), errors.Is(err, signaling.ErrTooLarge):
		return err
	case asked.Err() != nil:
		return asked.Err()
	}
	return fmt.Errorf("%w: %w", signaling.ErrUnavailable, err)
}

func (s journal) write(ctx context.Context, room string, revision uint64, state []byte) error {
	m := nats.NewMsg(s.subject(room))
	m.Data = state
	id, expected := rand.Text(), revision
	for {
		seq, err := s.publish(ctx, m, id, expected)
		if err == nil {
			return s.await(ctx, seq)
		}
		if len(state) == 0 && expected > 0 && errors.Is(err, signaling.ErrServerFull) {
			// The end of a room needs what the room takes up.
			if err := s.stream.Purge(ctx, jetstream.WithPurgeSubject(m.Subject), jetstream.WithPurgeSequence(expected+1)); err != nil {
				return err
			}
			expected = 0
			continue
		}
		if !isConflict(err) {
			return err
		}
		last, err := s.last(ctx, m.Subject)
		switch {
		case err != nil:
			if pause(ctx) != nil {
				return err
			}
		case last > s.at():
			if err := s.await(ctx, last); err != nil {
				return err
			}
			return memstore.ErrConflict
		case s.Revision(room) != revision:
			return memstore.ErrConflict
		case revision == 0 && last != expected:
			// The mirror has all of this room and sees none: it was closed, or is just due.
			expected = last
		case last == 0:
			s.Forget(room, revision)
			return memstore.ErrConflict
		default: // another write is not through yet
			if err := pause(ctx); err != nil {
				return err
			}
			return memstore.ErrConflict
		}
	}
}

// publish sends m until NATS has kept it or refused it.
func (s journal) publish(ctx context.Context, m *nats.Msg, id string, expected uint64) (uint64, error) {
	life := s.ttl
	if len(m.Data) == 0 {
		life = tombstone
	}
	for {
		once, cancel := context.WithTimeout(ctx, attempt)
		ack, err := s.js.PublishMsg(once, m, jetstream.WithMsgID(id), jetstream.WithExpectLastSequencePerSubject(expected),
			jetstream.WithMsgTTL(life), jetstream.WithRetryAttempts(0))
		cancel()
		switch code := codeOf(err); {
		case err == nil:
			return ack.Sequence, nil
		case isConflict(err):
			return 0, err
		case errors.Is(err, nats.ErrMaxPayload), code == jetstream.JSErrCodeStreamMessageExceedsMaximum:
			return 0, fmt.Errorf("%w: %w", signaling.ErrTooLarge, err)
		case code == errNoMemory, code == errNoResources, code == errStoreFailed:
			return 0, fmt.Errorf("%w: %w", signaling.ErrServerFull, err)
		case code != errInProcess:
			s.want()
		}
		if pause(ctx) != nil {
			return 0, err
		}
	}
}

// at is the position of the mirror.
func (s *Store) at() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position
}

// await comes back when the mirror has the message of that sequence.
func (s *Store) await(ctx context.Context, seq uint64) error {
	s.mu.Lock()
	if s.position >= seq {
		s.mu.Unlock()
		return nil
	}
	reached := s.awaited[seq]
	if reached == nil {
		reached = make(chan struct{})
		s.awaited[seq] = reached
	}
	s.mu.Unlock()
	late := time.NewTimer(again)
	defer late.Stop()
	for {
		select {
		case <-reached:
			return nil
		case <-late.C: // the feed has left it out, or is slow
			s.want()
			late.Reset(request)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// reach moves the position of the mirror, and ends the waits for it.
func (s *Store) reach(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := seq == s.position+1
	s.position = seq
	if reached, ok := s.awaited[seq]; ok && next {
		close(reached)
		delete(s.awaited, seq)
	}
	if next {
		return
	}
	for due, reached := range s.awaited {
		if due <= seq {
			close(reached)
			delete(s.awaited, due)
		}
	}
}

// renew writes the rooms that are in use before the stream drops them.
func (s *Store) renew(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case room := <-s.Worn():
			if err := s.Renew(ctx, room); err != nil {
				s.config.Log.Debug("a room was not renewed", "error", err)
			}
		}
	}
}
