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
type spread struct {
	m      *Manager
	f      *file
	pipe   Pipe
	own    io.Writer
	end    context.CancelFunc // ends the file's channel
	wg     sync.WaitGroup
	pieces chan []byte
	open   atomic.Int32 // stripes
	asked  bool         // for stripes; owned by stream
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
	select {
	case s.pieces <- bytes.Clone(message):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// widen opens stripes if they are worth it, and no other file has them.
func (s *spread) widen(ctx context.Context, left int64) {
	if s.asked {
		return
	}
	s.m.mu.Lock()
	worth := s.m.config.Stripes == StripesAlways || left >= stripesFrom && s.f.window.least >= stripesTrip
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
	s.wg.Go(func() { // the receiver sends nothing: a Read returns when the stripe ends
		_, _ = ch.Read(make([]byte, 1))
		s.broken(ctx)
	})
	s.open.Add(1)
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
