package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	aheadMost    = 3 << 20 // bytes of the stream that the sender may be ahead of the last have
	heldMost     = 4 << 20 // bytes that wait for what comes before them
	heldLeast    = 4 << 10 // bytes that each piece counts for at least: many small ones cost more than they hold
	haveInterval = 10 * time.Millisecond
	stripeHaves  = 32 << 10 // bytes from one have over a stripe to the next
)

var (
	errUnordered = errors.New("the sender broke the protocol of transfers")
	errClosed    = errors.New("the file's channel has closed")
)

// An arrival puts in order what arrives of a file over its channel and over stripes, and says when
// to tell the sender. It lasts as long as the file's channel.
type arrival struct {
	size  int64
	write func([]byte) (int64, error) // appends to the file

	moved chan struct{} // has something when the sender has not heard of all
	much  chan struct{} // has something when that is fileHaves bytes or more

	mu     sync.Mutex // guards what follows; held while the file is written
	next   int64      // how much of the stream is written
	early  map[int64][]byte
	held   int64 // bytes in early, as heldLeast counts them
	beyond int64 // bytes in early
	heard  int64 // next and beyond, as the sender was told
	told   int64 // the same, as it was told over stripes
	closed bool  // the file's next channel begins with what is written
}

func newArrival(size, next int64, write func([]byte) (int64, error)) *arrival {
	return &arrival{
		size: size, write: write, next: next, heard: next, told: next, early: map[int64][]byte{},
		moved: make(chan struct{}, 1), much: make(chan struct{}, 1),
	}
}

// take takes a piece of the stream, which begins at offset. It returns how much of the stream is written, errClosed once the
// arrival is closed, and errUnordered or errTooMuch if no honest sender sends such a piece; other errors are those of write.
func (a *arrival) take(offset int64, b []byte) (next int64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return a.next, errClosed
	case offset < 0 || offset > a.next+heldMost:
		return a.next, errUnordered
	case offset > a.size-int64(len(b)):
		return a.next, errTooMuch
	case offset > a.next:
		return a.next, a.hold(offset, b)
	case a.next-offset >= int64(len(b)): // it came before
		return a.next, nil
	}
	b = b[a.next-offset:]
	for len(b) > 0 {
		if a.next, err = a.write(b); err != nil {
			return a.next, err
		}
		b = a.release()
	}
	a.notify()
	return a.next, nil
}

// hold, under mu, keeps a piece until what comes before it is there.
func (a *arrival) hold(offset int64, b []byte) error {
	if a.early[offset] != nil || len(b) == 0 { // it came before
		return nil
	}
	if a.held += max(int64(len(b)), heldLeast); a.held > heldMost {
		return errUnordered
	}
	a.early[offset] = bytes.Clone(b)
	a.beyond += int64(len(b))
	a.notify()
	return nil
}

// release, under mu, returns the piece that is next, or nil.
func (a *arrival) release() []byte {
	b := a.early[a.next]
	if b == nil {
		return nil
	}
	delete(a.early, a.next)
	a.held -= max(int64(len(b)), heldLeast)
	a.beyond -= int64(len(b))
	return b
}

// notify, under mu, says that there is something to tell the sender.
func (a *arrival) notify() {
	wake(a.moved)
	if a.next+a.beyond-a.heard >= fileHaves {
		wake(a.much)
	}
}

// close drops what is held, and what the stripes still bring.
func (a *arrival) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed, a.early = true, nil
}

// postHaves tells the sender what has arrived: at once, then every 128 KiB or haveInterval, so that the sender can measure
// a slow path as well as a fast one. It returns when ctx ends or the channel closes.
func (a *arrival) postHaves(ctx context.Context, to io.Writer) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-a.moved:
		case <-ctx.Done():
			return
		}
		a.mu.Lock()
		next, beyond := a.next, a.beyond
		news := a.heard != next+beyond
		a.heard = next + beyond
		a.mu.Unlock()
		if news && postHave(to, next, beyond) != nil {
			return
		}
		pause.Reset(haveInterval)
		select {
		case <-a.much:
		case <-pause.C:
		case <-ctx.Done():
			return
		}
	}
}

// tell tells the sender over a stripe what has arrived, if it has not heard of much that way. Over the file's channel, where messages
// keep their order, all haves wait for a packet that is lost.
func (a *arrival) tell(over io.Writer) error {
	a.mu.Lock()
	next, beyond := a.next, a.beyond
	due := !a.closed && next+beyond-a.told >= stripeHaves
	if due {
		a.told = next + beyond
	}
	a.mu.Unlock()
	if !due {
		return nil
	}
	return postHave(over, next, beyond)
}

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
