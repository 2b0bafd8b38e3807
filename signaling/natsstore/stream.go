package natsstore

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	copies     = 3   // of the stream, if the cluster has as many nodes
	epochToken = "@" // takes a room's place in the subject of the epoch: no room has this name

	// Errors of JetStream that the client has no name for.
	errNotClustered = 10074 // more than one copy on a single server
	errNoPeers      = 10005 // fewer nodes than copies
	errInProcess    = 10158 // NATS is storing a message of the same id
	errNoMemory     = 10028 // for another message
	errNoResources  = 10023 // memory or storage
	errStoreFailed  = 10077 // a limit of the stream
)

// subject returns the subject of a room's messages. It replaces dots, which separate a subject's
// tokens.
func (s *Store) subject(room string) string {
	return s.config.Name + "." + strings.ReplaceAll(room, ".", "-")
}

// room is the inverse of subject.
func (s *Store) room(subject string) string {
	_, token, _ := strings.Cut(subject, ".")
	return strings.ReplaceAll(token, "-", ".")
}

// ensureStream creates the stream, or updates its configuration.
func (s *Store) ensureStream(ctx context.Context) error {
	all := s.config.Name + ".>"
	config := jetstream.StreamConfig{
		Name:              s.config.Name,
		Description:       "Rooms of p2pchat: one message each",
		Subjects:          []string{s.config.Name + ".*"},
		Storage:           jetstream.MemoryStorage,
		Replicas:          copies,
		Discard:           jetstream.DiscardOld,
		MaxMsgsPerSubject: 1,
		MaxAge:            max(maxAge, 2*s.roomLife),
		AllowMsgTTL:       true,
		Duplicates:        2 * s.config.Patience, // a repeated write has the same id
		RePublish:         &jetstream.RePublish{Source: all, Destination: "feed." + all},
	}
	stream, err := s.createStream(ctx, config)
	if err != nil {
		return err
	}
	s.stream = stream
	return nil
}

// createStream creates a stream, or updates its configuration. Where NATS has too few nodes for its
// copies, it creates one of one copy.
func (s *Store) createStream(ctx context.Context, config jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := s.js.CreateOrUpdateStream(ctx, config)
	if code := errorCode(err); code == errNotClustered || code == errNoPeers {
		if stream, err = s.js.Stream(ctx, config.Name); errors.Is(err, jetstream.ErrStreamNotFound) {
			s.config.Log.Warn("NATS has fewer than three nodes: what is kept there is kept on one, and lost with it", "stream", config.Name)
			config.Replicas = 1
			stream, err = s.js.CreateStream(ctx, config)
		}
	}
	return stream, err
}

// readEpoch returns the name of the stream's contents, and makes one if there is none: another
// name means that NATS has lost the contents in between.
func (s *Store) readEpoch(ctx context.Context) (string, error) {
	subject := s.subject(epochToken)
	for {
		m, err := s.stream.GetLastMsgForSubject(ctx, subject)
		if err == nil {
			return string(m.Data), nil
		}
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return "", err
		}
		first := nats.NewMsg(subject)
		first.Data = []byte(rand.Text())
		first.Header.Set("Nats-TTL", "never")
		if _, err = s.js.PublishMsg(ctx, first, jetstream.WithExpectLastSequencePerSubject(0)); err != nil && !isConflict(err) {
			return "", err
		}
	}
}

// lastSequence asks the stream's leader for the sequence of the last message of subject. It
// returns 0 if there is none.
func (s *Store) lastSequence(ctx context.Context, subject string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m, err := s.stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return m.Sequence, nil
}

func errorCode(err error) jetstream.ErrorCode {
	if refusal := (*jetstream.APIError)(nil); errors.As(err, &refusal) {
		return refusal.ErrorCode
	}
	return 0
}

// isConflict reports whether NATS refused a message because the subject's last message is not the
// expected one.
func isConflict(err error) bool {
	code := errorCode(err)
	return code == jetstream.JSErrCodeStreamWrongLastSequence || code == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}

// localTime returns when a message of the stream was written by this machine's clock, which is
// ahead of the stream's by that much. It is never after now.
func localTime(written, now time.Time, ahead time.Duration) time.Time {
	if at := written.Add(ahead); at.Before(now) {
		return at
	}
	return now
}
