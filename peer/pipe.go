package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/webrtc/v4"
)

// MaxMessage is how many bytes a message of the pipe may have: what browsers take.
const MaxMessage = 256 << 10

const firstBuffer = 16 << 10 // for Recv, which makes it larger when it has to

// A Pipe is a DataChannel that carries whole messages, in order. One goroutine may
// send while another one receives.
type Pipe struct {
	Foreign bool          // the other side is a plain WebRTC program: it is sent texts
	Path    string        // host, srflx, prflx or relay: the longest way that a packet takes
	Took    time.Duration // from both descriptions to the open channel

	pc     *webrtc.PeerConnection
	dc     *webrtc.DataChannel
	raw    datachannel.ReadWriteCloserDeadliner
	log    *slog.Logger
	broken chan struct{} // closed when the other machine has fallen silent
	ended  chan struct{} // closed when the connection has ended, in whatever way
	states sync.Mutex    // guards the closing of both
	buffer []byte        // owned by Recv
}

func newPipe(pc *webrtc.PeerConnection, dc *webrtc.DataChannel, foreign bool, took time.Duration, log *slog.Logger) (*Pipe, error) {
	raw, err := dc.DetachWithDeadline()
	if err != nil {
		return nil, fmt.Errorf("taking the channel: %w", err)
	}
	p := &Pipe{
		Foreign: foreign, Path: path(pc), Took: took,
		pc: pc, dc: dc, raw: raw, log: log, broken: make(chan struct{}), ended: make(chan struct{}), buffer: make([]byte, firstBuffer),
	}
	pc.OnConnectionStateChange(p.changed)
	p.changed(pc.ConnectionState()) // it may have, a moment ago
	pc.OnDataChannel(p.decline)
	return p, nil
}

// decline closes a second channel: nobody reads it, and it would hold up the first.
func (p *Pipe) decline(dc *webrtc.DataChannel) {
	dc.OnOpen(func() {
		p.log.Warn("closed another channel of the other side", "label", dc.Label())
		_ = dc.Close() // the other side may have, before
	})
}

func (p *Pipe) changed(state webrtc.PeerConnectionState) {
	p.states.Lock()
	defer p.states.Unlock()
	select {
	case <-p.ended:
		return
	default:
	}
	switch state {
	case webrtc.PeerConnectionStateFailed:
		close(p.broken)
		close(p.ended)
	case webrtc.PeerConnectionStateClosed:
		close(p.ended)
	}
}

// Send hands a message over, and waits while earlier ones fill the channel. The
// error is ErrLost when the other machine fell silent, the context's, or that of a
// channel that was closed.
func (p *Pipe) Send(ctx context.Context, message []byte) error {
	defer endWith(ctx, p.raw.SetWriteDeadline)()
	if _, err := p.raw.WriteDataChannel(message, p.Foreign); err != nil {
		return p.reason(ctx, fmt.Errorf("sending: %w", err))
	}
	return nil
}

// Recv waits for a message. The error is io.EOF when the other side has closed the
// channel, ErrLost when its machine fell silent, or the context's. A message over
// MaxMessage is dropped, with a line in the log.
func (p *Pipe) Recv(ctx context.Context) ([]byte, error) {
	defer endWith(ctx, p.raw.SetReadDeadline)()
	for {
		n, _, err := p.raw.ReadDataChannel(p.buffer)
		switch {
		case errors.Is(err, io.ErrShortBuffer):
			p.buffer = make([]byte, n) // what the message needs: SCTP's receive buffer bounds it
		case err != nil:
			return nil, p.reason(ctx, err)
		case n > MaxMessage:
			p.log.Warn("dropped a message of the other side that is too long", "bytes", n, "limit", MaxMessage)
			p.buffer = make([]byte, firstBuffer)
		default:
			return bytes.Clone(p.buffer[:n]), nil
		}
	}
}

// reason is why err came: of what happened to the pipe, the first in this order.
func (p *Pipe) reason(ctx context.Context, err error) error {
	select {
	case <-p.broken:
		return ErrLost
	default:
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// endWith makes a deadline of the end of ctx, until its result is called.
func endWith(ctx context.Context, deadline func(time.Time) error) (release func() bool) {
	_ = deadline(time.Time{}) // on a closed channel: the next call will say so
	return context.AfterFunc(ctx, func() { _ = deadline(time.Unix(1, 0)) })
}

// Flush waits until the other machine has everything that was sent: SCTP may take
// its time (200 ms) to say so. The error is that of Send.
func (p *Pipe) Flush(ctx context.Context) error {
	flushed := make(chan struct{}, 1)
	p.dc.OnBufferedAmountLow(func() { flushed <- struct{}{} })
	p.dc.SetBufferedAmountLowThreshold(0)
	if p.dc.BufferedAmount() == 0 {
		return nil
	}
	select {
	case <-flushed:
		return nil
	case <-p.ended:
		return p.reason(ctx, io.EOF)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// path is the longest way that a packet takes.
func path(pc *webrtc.PeerConnection) string {
	pair, err := pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair == nil {
		return webrtc.ICECandidateTypeHost.String()
	}
	// The types count from host over srflx and prflx to relay.
	return max(pair.Local.Typ, pair.Remote.Typ).String()
}
