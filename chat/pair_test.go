package chat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

var errCut = errors.New("the wire was cut")

// newPair returns the two ends of a pipe that holds size messages each way. It is
// as merciless as a Pipe may be: when it breaks or is closed, what the other side has
// not received yet is lost.
func newPair(size int) (a, b *end) {
	there, back := newStream(size), newStream(size)
	opened, came := make(chan *end, 16), make(chan *end, 16)
	return &end{out: there, in: back, opens: opened, accepts: came}, &end{out: back, in: there, opens: came, accepts: opened}
}

type end struct {
	out, in        *stream
	opens, accepts chan *end // further channels
	expects        atomic.Bool
	tap            func(out bool, message []byte) // sees what goes over the channels that this end opens; may be nil
}

func (e *end) Expect(channels bool) { e.expects.Store(channels) }

func (e *end) Open(ctx context.Context) (io.ReadWriteCloser, error) {
	if isClosed(e.out.ended) {
		return nil, errCut
	}
	near, far := newPair(cap(e.out.frames))
	select {
	case e.opens <- far:
		return channel{near, e, e.tap}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *end) OpenApart(ctx context.Context) (io.ReadWriteCloser, error) { return e.Open(ctx) }

func (*end) RoundTrip() time.Duration { return 0 }

func (e *end) Accept(ctx context.Context) (io.ReadWriteCloser, error) {
	for {
		select {
		case far := <-e.accepts:
			if e.expects.Load() {
				return channel{far, e, nil}, nil
			}
			far.hangUp()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// A channel is a further one. It breaks with its pipe, though what is on its way still arrives.
type channel struct {
	*end
	pipe *end
	tap  func(out bool, message []byte)
}

func (c channel) Write(b []byte) (int, error) {
	if isClosed(c.pipe.out.ended) { // the tap may cut it: then this message is the last one
		return 0, errCut
	}
	if c.tap != nil {
		c.tap(true, b)
	}
	return len(b), c.Send(context.Background(), bytes.Clone(b))
}

func (c channel) Read(b []byte) (int, error) {
	message, err := c.Recv(context.Background())
	if c.tap != nil && err == nil {
		c.tap(false, message)
	}
	return copy(b, message), err
}

func (c channel) Close() error {
	c.hangUp()
	return nil
}

type stream struct {
	frames chan []byte
	taken  chan struct{} // has something after each Recv
	ended  chan struct{}
	once   sync.Once
	why    error // of Recv, once ended is closed
}

func newStream(size int) *stream {
	return &stream{frames: make(chan []byte, size), taken: make(chan struct{}, 1), ended: make(chan struct{})}
}

func (s *stream) end(why error) {
	s.once.Do(func() {
		s.why = why
		close(s.ended)
	})
}

func (e *end) Send(ctx context.Context, message []byte) error {
	if isClosed(e.out.ended) {
		return errCut
	}
	select {
	case e.out.frames <- message:
		return nil
	case <-e.out.ended:
		return errCut
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *end) Recv(ctx context.Context) ([]byte, error) {
	if isClosed(e.in.ended) {
		return nil, e.in.why
	}
	select {
	case b := <-e.in.frames:
		select {
		case e.in.taken <- struct{}{}:
		default:
		}
		return b, nil
	case <-e.in.ended:
		return nil, e.in.why
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *end) Flush(ctx context.Context) error {
	for len(e.out.frames) > 0 {
		select {
		case <-e.out.taken:
		case <-e.out.ended:
			return errCut
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// cut breaks the pipe for both sides.
func (e *end) cut() {
	e.out.end(errCut)
	e.in.end(errCut)
}

// hangUp closes the pipe: the other side hears io.EOF.
func (e *end) hangUp() {
	e.out.end(io.EOF)
	e.in.end(errCut)
}
