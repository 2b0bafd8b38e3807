package natsstore

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"p2pchat/signaling"
)

// The replica fetches few messages one by one, from the stream's leader, and more of them in
// batches, from a consumer, which may be behind the leader.
const (
	fewMessages = 16
	batchSize   = 500
)

// receive applies a message of the feed. If messages before it are missing, it fetches them first,
// and the feed waits for that.
func (s *Store) receive(m *nats.Msg) {
	seq, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return // another program has sent it
	}
	s.feed.Lock()
	defer s.feed.Unlock()
	switch last := s.lastApplied(); {
	case s.epoch == "" || seq <= last:
	case seq == last+1:
		s.applyMessage(m.Header.Get("Nats-Subject"), m.Header, seq, m.Data, time.Now())
	default:
		ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		defer cancel()
		if err := s.catchUp(ctx); err != nil {
			s.requestAudit()
		}
	}
}

// applyMessage applies a message of the stream to the replica.
func (s *Store) applyMessage(subject string, header nats.Header, seq uint64, data []byte, written time.Time) {
	if room := s.room(subject); room != epochToken {
		if err := s.Set(room, seq, data, written); err != nil {
			s.config.Log.Warn("a message of the stream makes no sense", "sequence", seq, "error", err)
		}
	}
	s.noteWritten(header.Get(jetstream.MsgIDHeader))
	s.advance(seq)
}

// noteWritten notes that the replica has applied the message with that id, if this server's write of
// it is under way.
func (s *Store) noteWritten(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, own := s.writing[id]; own {
		s.writing[id] = true
	}
}

// runAudits calls audit every auditInterval and on request, because no later message shows that
// the last one is missing.
func (s *Store) runAudits(ctx context.Context) {
	for {
		if err := s.audit(ctx); err != nil {
			s.requestAudit()
			_ = pause(ctx)
		}
		timer := time.NewTimer(auditInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.auditRequested:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// audit fetches what the feed has left out. It suspends the replica if NATS could not be reached
// for Config.Patience, and resumes it later.
func (s *Store) audit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s.feed.Lock()
	defer s.feed.Unlock()
	err := s.catchUp(ctx)
	switch suspended := s.suspended.Load(); {
	case err == nil && suspended:
		s.config.Log.Info("the rooms in NATS are reached again")
		s.suspended.Store(false)
		s.Suspend(nil)
	case err != nil && !suspended && time.Since(s.completeAt) > s.config.Patience:
		s.config.Log.Error("the rooms in NATS cannot be reached", "error", err)
		s.suspended.Store(true)
		s.Suspend(signaling.ErrUnavailable)
	}
	return err
}

// catchUp applies all messages that are in the stream now.
func (s *Store) catchUp(ctx context.Context) error {
	info, err := s.stream.Info(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err = s.ensureStream(ctx); err == nil {
			info, err = s.stream.Info(ctx)
		}
	}
	if err != nil {
		return err
	}
	epoch, err := s.readEpoch(ctx)
	if err != nil {
		return err
	}
	// A suspended replica may have missed the end of rooms: see tombstoneLife.
	if epoch != s.epoch || s.suspended.Load() {
		s.Reset()
		s.epoch = epoch
		s.advance(0)
	}
	if err := s.replay(ctx, info); err != nil {
		return err
	}
	s.completeAt = time.Now()
	return nil
}

// replay applies the messages after the last applied one, up to the last one that info names.
func (s *Store) replay(ctx context.Context, info *jetstream.StreamInfo) error {
	target, ahead := info.State.LastSeq, time.Since(info.TimeStamp)
	if target > s.lastApplied()+fewMessages {
		if err := s.replayBatches(ctx, ahead); err != nil {
			return err
		}
	}
	for target > s.lastApplied() {
		m, err := s.stream.GetMsg(ctx, s.lastApplied()+1, jetstream.WithGetMsgSubject(s.config.Name+".*"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			s.advance(target) // later messages have replaced those in between, or they have expired
			break
		}
		if err != nil {
			return err
		}
		s.applyMessage(m.Subject, m.Header, m.Sequence, m.Data, localTime(m.Time, time.Now(), ahead))
	}
	return nil
}

func (s *Store) replayBatches(ctx context.Context, ahead time.Duration) error {
	consumer, err := s.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.lastApplied() + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: s.config.Patience,
	})
	if err != nil {
		return err
	}
	for {
		messages, err := consumer.FetchNoWait(batchSize)
		if err != nil {
			return err
		}
		n := 0
		for m := range messages.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			n++
			s.applyMessage(m.Subject(), m.Headers(), meta.Sequence.Stream, m.Data(), localTime(meta.Timestamp, time.Now(), ahead))
		}
		if err := messages.Error(); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
}

// lastApplied returns the sequence of the last message that the replica has applied.
func (s *Store) lastApplied() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applied
}

// waitFor returns once the replica has applied the message with that sequence.
func (s *Store) waitFor(ctx context.Context, seq uint64) error {
	s.mu.Lock()
	if s.applied >= seq {
		s.mu.Unlock()
		return nil
	}
	reached := s.awaited[seq]
	if reached == nil {
		reached = make(chan struct{})
		s.awaited[seq] = reached
	}
	s.mu.Unlock()
	late := time.NewTimer(retryInterval)
	defer late.Stop()
	for {
		select {
		case <-reached:
			return nil
		case <-late.C: // the feed has left it out, or is slow
			s.requestAudit()
			late.Reset(requestTimeout)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// advance notes that the replica has applied all messages up to seq, and ends the waits for them.
func (s *Store) advance(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := seq == s.applied+1
	s.applied = seq
	if reached, ok := s.awaited[seq]; ok && next {
		close(reached)
		delete(s.awaited, seq)
	}
	if next {
		return
	}
	for awaited, reached := range s.awaited {
		if awaited <= seq {
			close(reached)
			delete(s.awaited, awaited)
		}
	}
}

// requestAudit asks runAudits for an audit soon.
func (s *Store) requestAudit() {
	select {
	case s.auditRequested <- struct{}{}:
	default:
	}
}
