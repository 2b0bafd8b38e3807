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

// Few messages are asked for one by one, from the stream's leader; many come from a
// consumer, which may be behind the leader.
const few, batch = 16, 500

// hear takes a message of the feed. If messages before it are missing, it fetches them first,
// and the feed waits for that.
func (s *Store) hear(m *nats.Msg) {
	seq, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return // of another program
	}
	s.feed.Lock()
	defer s.feed.Unlock()
	switch at := s.at(); {
	case s.epoch == "" || seq <= at:
	case seq == at+1:
		s.take(m.Header.Get("Nats-Subject"), seq, m.Data, time.Now())
	default:
		ctx, cancel := context.WithTimeout(context.Background(), request)
		defer cancel()
		if err := s.catchUp(ctx); err != nil {
			s.want()
		}
	}
}

// take puts a message into the mirror.
func (s *Store) take(subject string, seq uint64, data []byte, written time.Time) {
	if room := s.room(subject); room != epochOf {
		if err := s.Set(room, seq, data, written); err != nil {
			s.config.Log.Warn("a message of the stream makes no sense", "sequence", seq, "error", err)
		}
	}
	s.reach(seq)
}

// keep looks every audit whether the feed has left messages out, because no later message shows
// that the last one is missing. It also finds out by that whether NATS can be reached.
func (s *Store) keep(ctx context.Context) {
	for {
		if err := s.look(ctx); err != nil {
			s.want() // and soon again
			_ = pause(ctx)
		}
		timer := time.NewTimer(audit)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.wanted:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (s *Store) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, request)
	defer cancel()
	s.feed.Lock()
	defer s.feed.Unlock()
	err := s.catchUp(ctx)
	switch lost := s.lost.Load(); {
	case err == nil && lost:
		s.config.Log.Info("the rooms in NATS are reached again")
		s.lost.Store(false)
		s.Suspend(nil)
	case err != nil && !lost && time.Since(s.met) > s.config.Patience:
		s.config.Log.Error("the rooms in NATS cannot be reached", "error", err)
		s.lost.Store(true)
		s.Suspend(signaling.ErrUnavailable)
	}
	return err
}

// catchUp brings the mirror to where the stream is now.
func (s *Store) catchUp(ctx context.Context) error {
	info, err := s.stream.Info(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err = s.ensure(ctx); err == nil {
			info, err = s.stream.Info(ctx)
		}
	}
	if err != nil {
		return err
	}
	epoch, err := s.contents(ctx)
	if err != nil {
		return err
	}
	// A mirror that was cut off for long may have missed the end of rooms: see tombstone.
	if epoch != s.epoch || s.lost.Load() {
		s.Reset()
		s.epoch = epoch
		s.reach(0)
	}
	if err := s.replay(ctx, info); err != nil {
		return err
	}
	s.met = time.Now()
	return nil
}

// replay takes the messages of the stream from the mirror's position to the end.
func (s *Store) replay(ctx context.Context, info *jetstream.StreamInfo) error {
	target, ahead := info.State.LastSeq, time.Since(info.TimeStamp)
	if target > s.at()+few {
		if err := s.bulk(ctx, ahead); err != nil {
			return err
		}
	}
	for target > s.at() {
		m, err := s.stream.GetMsg(ctx, s.at()+1, jetstream.WithGetMsgSubject(s.config.Name+".*"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			s.reach(target) // what there was has been replaced, or is due
			break
		}
		if err != nil {
			return err
		}
		s.take(m.Subject, m.Sequence, m.Data, since(m.Time, time.Now(), ahead))
	}
	return nil
}

func (s *Store) bulk(ctx context.Context, ahead time.Duration) error {
	consumer, err := s.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.at() + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: s.config.Patience,
	})
	if err != nil {
		return err
	}
	for {
		messages, err := consumer.FetchNoWait(batch)
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
			s.take(m.Subject(), meta.Sequence.Stream, m.Data(), since(meta.Timestamp, time.Now(), ahead))
		}
		if err := messages.Error(); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
}
