package natsstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// maxDuplicates bounds how long NATS remembers the ids of messages; mail has none.
const maxDuplicates = time.Minute

// mailPrimary keeps mailboxes in a stream of their own, on disk:
//
//	AddBlock ─▶ stream sigmail.BOX ─▶ feed.sigmail.BOX ─▶ every server's reads that wait
//	            (one message a box, all of its blocks)
//
// Unlike rooms, boxes have no replica in the servers: a request reads its box from the stream. Each
// change of a box replaces what it holds, if the box has not changed in between. A change may be
// tried again after its reply was lost: then it finds itself done.
type mailPrimary struct {
	*Store
	name   string // of the stream
	limits memstore.MailLimits
	stream jetstream.Stream

	mu       sync.Mutex // guards what follows
	usage    usage
	answered time.Time // when NATS last did what a request asked for, or refused it
	away     time.Time // when the first request began that NATS has left without an answer since, or zero
}

// A usage is what all boxes held when NATS was asked last.
type usage struct {
	asked time.Time
	boxes int
	bytes int64
}

// usageAge is how long NATS is not asked again for what all boxes hold.
const usageAge = time.Second

// OpenMail returns the mailboxes in the same NATS, with these limits; give all servers the same. It
// works until Stop.
func (s *Store) OpenMail(ctx context.Context, limits memstore.MailLimits) (*memstore.Mail, error) {
	limits = limits.WithDefaults()
	p := &mailPrimary{Store: s, name: s.config.Name + "mail", limits: limits}
	if boxBytes := int64(limits.BoxBytes + 32*limits.Blocks + 1<<10); s.conn.MaxPayload() < boxBytes {
		return nil, fmt.Errorf("a mailbox may have %d bytes and NATS takes messages of %d: lower the limit of a box, or raise max_payload there", boxBytes, s.conn.MaxPayload())
	}
	m := memstore.NewMailReplica(limits, p)
	ctx, cancel := context.WithTimeout(ctx, s.config.Patience)
	defer cancel()
	if err := s.retry(ctx, p.ensureStream); err != nil {
		return nil, err
	}
	if _, err := s.conn.Subscribe("feed."+p.name+".*", func(message *nats.Msg) {
		m.Changed(strings.TrimPrefix(message.Subject, "feed."+p.name+"."))
	}); err != nil {
		return nil, err
	}
	s.mail.Store(m)
	return m, nil
}

func (p *mailPrimary) ensureStream(ctx context.Context) (err error) {
	p.stream, err = p.createStream(ctx, jetstream.StreamConfig{
		Name:              p.name,
		Description:       "Mailboxes of p2pchat: one message each",
		Subjects:          []string{p.name + ".*"},
		Storage:           jetstream.FileStorage,
		Replicas:          copies,
		Discard:           jetstream.DiscardNew,
		MaxMsgsPerSubject: 1,
		MaxBytes:          p.limits.Bytes,
		MaxAge:            p.limits.Life + time.Second,
		Duplicates:        min(maxDuplicates, p.limits.Life),
		RePublish:         &jetstream.RePublish{Source: p.name + ".>", Destination: "feed." + p.name + ".>", HeadersOnly: true},
	})
	return err
}

// Load implements [memstore.MailPrimary].
func (p *mailPrimary) Load(ctx context.Context, box string) (encoded []byte, revision uint64, err error) {
	err = p.attempt(ctx, func(ctx context.Context) error {
		m, err := p.stream.GetLastMsgForSubject(ctx, p.name+"."+box)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			encoded, revision = nil, 0
			return nil
		case err == nil:
			encoded, revision = m.Data, m.Sequence
		}
		return err
	})
	return encoded, revision, err
}

// Save implements [memstore.MailPrimary].
func (p *mailPrimary) Save(ctx context.Context, box string, revision uint64, encoded []byte) error {
	subject := p.name + "." + box
	if len(encoded) == 0 {
		return p.attempt(ctx, func(ctx context.Context) error { return p.remove(ctx, subject, revision) })
	}
	return p.attempt(ctx, func(ctx context.Context) error {
		_, err := p.js.Publish(ctx, subject, encoded, jetstream.WithExpectLastSequencePerSubject(revision), jetstream.WithRetryAttempts(0))
		switch code := errorCode(err); {
		case isConflict(err):
			return permanentError{memstore.ErrConflict}
		case errors.Is(err, nats.ErrMaxPayload), code == jetstream.JSErrCodeStreamMessageExceedsMaximum:
			return permanentError{fmt.Errorf("%w: %w", signaling.ErrTooLarge, err)}
		case code == errNoMemory, code == errNoResources, code == errStoreFailed:
			return permanentError{fmt.Errorf("%w: %w", signaling.ErrMailFull, err)}
		}
		return err
	})
}

// remove deletes a box's message with that revision, or returns ErrConflict if the box has a later one.
func (p *mailPrimary) remove(ctx context.Context, subject string, revision uint64) error {
	if err := p.stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(revision+1)); err != nil {
		return err
	}
	switch _, err := p.stream.GetLastMsgForSubject(ctx, subject); {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil
	case err == nil:
		return permanentError{memstore.ErrConflict}
	default:
		return err
	}
}

// attempt calls do until it succeeds, fails for good, or NATS was away for Config.Patience. If NATS was away for so long before, a
// request waits no longer than one attempt may take. It does not ask whether the replica of the rooms is suspended: their
// stream may be without a leader while that of the boxes has one.
func (p *mailPrimary) attempt(caller context.Context, do func(context.Context) error) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(caller, p.patience(began))
	defer cancel()
	var final permanentError
	err := p.retry(ctx, func(ctx context.Context) error {
		err := do(ctx)
		_ = errors.As(err, &final)
		return err
	})
	switch {
	case err == nil, final.error != nil:
		p.noteAnswer()
		return err
	case caller.Err() != nil:
		return caller.Err()
	}
	p.noteSilence(began)
	return fmt.Errorf("%w: %w", signaling.ErrUnavailable, err)
}

// patience returns how long a request that begins now waits for NATS.
func (p *mailPrimary) patience(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.away.IsZero() && now.Sub(p.away) >= p.config.Patience {
		return min(requestTimeout, p.config.Patience)
	}
	return p.config.Patience
}

func (p *mailPrimary) noteAnswer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered, p.away = time.Now(), time.Time{}
}

// noteSilence notes that NATS left a request without an answer.
func (p *mailPrimary) noteSilence(began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away.IsZero() && began.After(p.answered) {
		p.away = began
	}
}

// Usage returns the number of boxes of all servers and their bytes, as NATS said usageAge ago at most if it answers: one caller asks,
// and others need not wait. Before the first answer it returns zeros.
func (p *mailPrimary) Usage() (boxes int, bytes int64) {
	p.mu.Lock()
	known, fresh := p.usage, time.Since(p.usage.asked) < usageAge
	if !fresh {
		p.usage.asked = time.Now()
	}
	p.mu.Unlock()
	if fresh {
		return known.boxes, known.bytes
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	info, err := p.stream.Info(ctx)
	if err != nil {
		return known.boxes, known.bytes
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.usage.boxes, p.usage.bytes = int(info.State.Msgs), int64(info.State.Bytes) //nolint:gosec // bounded by the stream's limits
	return p.usage.boxes, p.usage.bytes
}
