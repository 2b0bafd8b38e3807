package transfer

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	stripes      = 4                     // of a file
	stripesFrom  = 4 << 20               // bytes that are left to send: fewer are not worth the handshakes
	stripesTrip  = 10 * time.Millisecond // a round trip: on a shorter one, an association soon recovers from a loss
	stripesTries = 3                     // on a pipe: where stripes keep ending, files go on without

	pieceMost = 8 << 10 // bytes: a long one, of many packets, would wait for a lost one of them too often

	lateTrips = 3                     // round trips after which a piece is late: a lost packet that is sent again takes two
	lateLeast = 60 * time.Millisecond // after which it is: a busy processor is no loss
)

// Stripes says which files are spread over stripes.
type Stripes int

// Both sides have to allow stripes.
const (
	StripesAuto   Stripes = iota // large ones, if the round trip takes 10 ms or more
	StripesNever                 // none
	StripesAlways                // all
)

// A spread carries the stream of a file: over the file's channel or, once there are any, over stripes. A stripe is a channel
// with an association, and so a congestion window, of its own. It takes the next piece when it has sent the one
// before, so that a fast one carries more. What is lost with a stripe goes out again on the file's next channel.
//
// An association whose packet is lost twice waits for a second, and so would the whole file soon: the receiver holds little
// that is out of order. So the piece that the receiver is waiting for goes out once more, over another stripe, when it is late.
type spread struct {
	m      *Manager
	f      *file
	pipe   Pipe
	own    io.Writer
	end    context.CancelFunc // ends the file's channel
	moved  chan struct{}      // has something when the receiver has more
	wg     sync.WaitGroup
	pieces chan []byte
	open   atomic.Int32 // stripes

	// Owned by stream:
	asked bool        // for stripes
	sent  []sentPiece // over stripes, that the receiver may lack, in order
}

// A sentPiece is a message with a piece of the stream.
type sentPiece struct {
	message []byte
	from    int64 // its place in the stream
	to      int64
	when    time.Time // it last went out
}

// write sends the message of a piece, in which room for its head comes first. It returns errChannel, or the error
// of ctx, if the channel ends.
func (s *spread) write(ctx context.Context, message []byte, offset int64) error {
	if s.open.Load() == 0 {
		message = message[pieceHead-1:]
		message[0] = fileData
		if _, err := s.own.Write(message); err != nil {
			return errChannel
		}
		return nil
	}
	message[0] = filePiece
	binary.BigEndian.PutUint64(message[1:], s.f.id)
	binary.BigEndian.PutUint64(message[1+8:], uint64(offset)) //nolint:gosec // not negative
	message = bytes.Clone(message)
	s.sent = append(s.sent, sentPiece{message, offset, offset + int64(len(message)-pieceHead), time.Now()})
	return s.put(ctx, message)
}

func (s *spread) put(ctx context.Context, piece []byte) error {
	select {
	case s.pieces <- piece:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await waits until ready returns true, which may be when the receiver has more. It sends the piece that
// the receiver is waiting for once more when that is late.
func (s *spread) await(ctx context.Context, ready func() bool) error {
	for {
		late, err := s.repeat(ctx)
		if err != nil || ready() {
			return err
		}
		select {
		case <-s.moved:
		case <-late:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// repeat sends the piece that the receiver is waiting for once more if it is late, and returns what fires when it is
// the next time; nil if no piece is on its way.
func (s *spread) repeat(ctx context.Context) (late <-chan time.Time, err error) {
	s.m.mu.Lock()
	has, patience := s.f.bytes, max(lateTrips*s.f.window.least, lateLeast)
	s.m.mu.Unlock()
	for len(s.sent) > 0 && s.sent[0].to <= has {
		s.sent[0].message = nil
		s.sent = s.sent[1:]
	}
	if len(s.sent) == 0 || s.sent[0].from > has {
		return nil, nil
	}
	first := &s.sent[0]
	if now := time.Now(); now.Sub(first.when) >= patience {
		first.when = now
		err = s.put(ctx, first.message)
	}
	return time.After(time.Until(first.when.Add(patience))), err
}

// widen opens stripes if they are worth it, and no other file has them. A round trip takes trip, or what the file has
// measured if that is longer.
func (s *spread) widen(ctx context.Context, left int64, trip time.Duration) {
	if s.asked {
		return
	}
	s.m.mu.Lock()
	worth := s.m.config.Stripes == StripesAlways || left >= stripesFrom && max(trip, s.f.window.least) >= stripesTrip
	s.asked = worth && s.m.stripes > 0 && s.m.striped == nil
	if s.asked {
		s.m.striped = s.f
	}
	s.m.mu.Unlock()
	if !s.asked {
		return
	}
	for range stripes {
		s.wg.Go(func() { s.stripe(ctx) })
	}
}

// stripe opens a stripe, and carries pieces over it until ctx ends.
func (s *spread) stripe(ctx context.Context) {
	ch, err := s.pipe.OpenApart(ctx)
	if err != nil {
		s.m.config.Log.Debug("no stripe for a file", "error", err)
		return
	}
	defer ch.Close()
	defer context.AfterFunc(ctx, func() { ch.Close() })()
	s.wg.Go(func() {
		s.m.receiveHaves(ch, s.f, s.moved, false)
		s.broken(ctx)
	})
	s.opened()
	for {
		select {
		case piece := <-s.pieces:
			if _, err := ch.Write(piece); err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// opened notes that a stripe is open. What the file's own channel has carried says nothing about what stripes can.
func (s *spread) opened() {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.open.Add(1) == 1 {
		s.f.window.restart()
	}
}

// broken ends the file's channel, because a stripe has ended; unless ctx has ended both.
func (s *spread) broken(ctx context.Context) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	s.m.stripes--
	s.m.config.Log.Info("a stripe of a file has ended: it goes on from what has arrived", "tries", s.m.stripes)
	s.end()
}

// close waits until the stripes have ended; their context must have.
func (s *spread) close() {
	s.wg.Wait()
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.asked {
		s.m.striped = nil
	}
}
