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
	replicas = 3   // where the cluster has as many nodes
	epochOf  = "@" // in the place of a room's name: no room has it

	// Errors of JetStream that the client has no name for.
	errNotClustered = 10074 // more than one replica on a single server
	errNoPeers      = 10005 // fewer nodes than replicas
	errInProcess    = 10158 // a message of the same id
	errNoMemory     = 10028 // for another message
	errNoResources  = 10023 // or storage
	errStoreFailed  = 10077 // a limit of the stream
)

// subject is the room's; a dot would end a part of it.
func (s *Store) subject(room string) string {
	return s.config.Name + "." + strings.ReplaceAll(room, ".", "-")
}

func (s *Store) room(subject string) string {
	_, token, _ := strings.Cut(subject, ".")
	return strings.ReplaceAll(token, "-", ".")
}

// ensure makes the stream, or makes it what it should be.
func (s *Store) ensure(ctx context.Context) error {
	all := s.config.Name + ".>"
	config := jetstream.StreamConfig{
		Name:              s.config.Name,
		Description:       "Rooms of p2pchat: one message each",
		Subjects:          []string{s.config.Name + ".*"},
		Storage:           jetstream.MemoryStorage,
		Replicas:          replicas,
		Discard:           jetstream.DiscardOld,
		MaxMsgsPerSubject: 1,
		MaxAge:            max(maxAge, 2*s.ttl),
		AllowMsgTTL:       true,
		Duplicates:        2 * s.config.Patience, // a write that is repeated is one
		RePublish:         &jetstream.RePublish{Source: all, Destination: "feed." + all},
	}
	stream, err := s.js.CreateOrUpdateStream(ctx, config)
	if code := codeOf(err); code == errNotClustered || code == errNoPeers {
		if stream, err = s.js.Stream(ctx, config.Name); errors.Is(err, jetstream.ErrStreamNotFound) {
			s.config.Log.Warn("NATS has fewer than three nodes: rooms are kept on one, and lost with it")
			config.Replicas = 1
			stream, err = s.js.CreateStream(ctx, config)
		}
	}
	if err != nil {
		return err
	}
	s.stream = stream
	return nil
}

// contents names what is in the stream now: another name means that all was lost since.
func (s *Store) contents(ctx context.Context) (string, error) {
	subject := s.subject(epochOf)
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

// last is the sequence of the last message of subject, as the stream's leader knows it; 0
// if there is none.
func (s *Store) last(ctx context.Context, subject string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, request)
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

func codeOf(err error) jetstream.ErrorCode {
	if refusal := (*jetstream.APIError)(nil); errors.As(err, &refusal) {
		return refusal.ErrorCode
	}
	return 0
}

func isConflict(err error) bool {
	code := codeOf(err)
	return code == jetstream.JSErrCodeStreamWrongLastSequence || code == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}

// since is when a message of the stream was written, by this machine's clock.
func since(written, now time.Time, ahead time.Duration) time.Time {
	if at := written.Add(ahead); at.Before(now) {
		return at
	}
	return now
}
