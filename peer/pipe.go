package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// MaxMessage is how many bytes a message of the pipe may have: what browsers take.
const MaxMessage = 256 << 10

// What close waits for: an SCTP association that ends by itself, and a plain WebRTC program
// that closes its half of the channel.
const (
	associationLimit = 50 * time.Millisecond
	halfCloseLimit   = 300 * time.Millisecond
)

const firstBuffer = 16 << 10 // for Recv, which makes it larger when it has to

// A Pipe is a DataChannel that carries whole messages, in order, and what opens further
// ones beside it. One goroutine may send while another one receives.
type Pipe struct {
	Foreign     bool          // the other side is a plain WebRTC program: it is sent texts
	Verified    bool          // both sides knew the code's secret: nobody is in the middle
	SafetyWords []string      // the same on both sides if nobody is; none for a plain WebRTC program
	Next        Code          // where these two can meet again, and who is in the middle of an unverified call; none for a plain WebRTC program
	Path        string        // host, srflx, prflx or relay: the longest way that a packet takes
	Took        time.Duration // from both descriptions to the open channel

	side    signaling.Side
	code    Code   // with which the two met
	typed   Code   // the same, when they met first
	token   string // the caller's, then
	spent   int    // guesses at the typed code until then
	pc      *webrtc.PeerConnection
	log     *slog.Logger
	main    *Channel
	heard   chan struct{} // closed by the first message; owned by Recv
	expects atomic.Bool   // that the other side opens channels
	arrived chan *Channel // which it has, and nobody has accepted yet
	further atomic.Int32  // of them, and the accepted ones that are not closed yet
	refused *tally        // of channels

	ending sync.Once     // guards what follows
	ended  chan struct{} // closed when the connection has ended, in whatever way
	why    error         // once it is: ErrLost or io.EOF

	associationEnded chan struct{} // closed by pion, when its SCTP association has ended
}

func newPipe(a *attempt, dc *webrtc.DataChannel) (*Pipe, error) {
	p := &Pipe{
		Foreign: a.foreign, Path: a.path(), Took: time.Since(a.begun),
		side: a.ticket.Side, code: a.code, typed: a.code, pc: a.pc, log: a.log, heard: make(chan struct{}), ended: make(chan struct{}), associationEnded: make(chan struct{}),
		arrived: make(chan *Channel, furtherChannels), refused: &a.declined,
	}
	var err error
	if p.main, err = newChannel(p, dc, firstBuffer); err != nil {
		return nil, err
	}
	if a.ticket.Side == signaling.Caller {
		p.token = a.ticket.Token
	}
	if !a.foreign {
		p.Verified, p.SafetyWords, p.Next = a.code.Secret != "", a.trust.words(), a.trust.next()
	}
	p.pc.OnDataChannel(func(dc *webrtc.DataChannel) { dc.OnOpen(func() { p.announced(dc) }) })
	p.pc.SCTP().OnClose(func(error) { close(p.associationEnded) })
	p.pc.OnConnectionStateChange(p.changed)
	p.changed(p.pc.ConnectionState()) // it may have, a moment ago
	return p, nil
}

func (p *Pipe) changed(state webrtc.PeerConnectionState) {
	switch state {
	case webrtc.PeerConnectionStateDisconnected, webrtc.PeerConnectionStateFailed:
		p.end(ErrLost)
	case webrtc.PeerConnectionStateClosed:
		p.end(io.EOF)
	}
}

// close closes the connection. Where the other side has ended the SCTP association, its parts are closed
// one by one: PeerConnection.GracefulClose would abort the association once more, and sctp waits 400 ms for
// an abort that can no longer be sent.
func (p *Pipe) close() {
	if isClosed(p.ended) && errors.Is(p.why, io.EOF) {
		select {
		case <-p.associationEnded:
			dtls := p.pc.SCTP().Transport()
			if err := errors.Join(dtls.Stop(), dtls.ICETransport().GracefulStop()); err != nil {
				p.log.Debug("closing the connection", "error", err)
			}
			return
		case <-time.After(associationLimit): // the other side has closed its channel alone
		}
	}
	if p.Foreign && !isClosed(p.ended) {
		p.closeChannel()
	}
	closeConnection(p.pc, p.log)
}

// closeChannel closes the channel before the connection. GStreamer's webrtcbin does not tell
// its program of anything else.
func (p *Pipe) closeChannel() {
	_ = p.main.dc.Close() // the other side may have, before
	_ = p.main.raw.SetReadDeadline(time.Now().Add(halfCloseLimit))
	for {
		if _, err := p.main.next(); err != nil { // the other side has closed it, too, or will not
			return
		}
	}
}

// settled waits for the first message of the other side, or the end.
func (p *Pipe) settled() {
	select {
	case <-p.heard:
	case <-p.ended:
	}
}

// end keeps the first reason that there is.
func (p *Pipe) end(why error) {
	p.ending.Do(func() {
		p.why = why
		close(p.ended)
	})
}

// Send hands a message over, and waits while earlier ones fill the channel. The
// error is ErrLost when the other machine fell silent, the context's, or that of a
// channel that was closed.
func (p *Pipe) Send(ctx context.Context, message []byte) error {
	defer endWith(ctx, p.main.raw.SetWriteDeadline)()
	if _, err := p.main.Write(message); err != nil {
		return p.reason(ctx, fmt.Errorf("sending: %w", err))
	}
	return nil
}

// Recv waits for a message. The error is io.EOF when the other side has closed the
// channel, ErrLost when its machine fell silent, or the context's. A message over
// MaxMessage is dropped; the log tells of the first few.
func (p *Pipe) Recv(ctx context.Context) ([]byte, error) {
	defer endWith(ctx, p.main.raw.SetReadDeadline)()
	message, err := p.main.next()
	for errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil { // of an earlier call: pion may be late with it
		_ = p.main.raw.SetReadDeadline(time.Time{})
		if ctx.Err() == nil { // or this has taken away what ends the call
			message, err = p.main.next()
		}
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, p.reason(ctx, err)
	case err != nil: // reset, or aborted
		p.log.Debug("the channel has ended", "why", err)
		p.end(io.EOF)
		return nil, p.reason(ctx, io.EOF)
	}
	if !isClosed(p.heard) {
		close(p.heard)
	}
	return bytes.Clone(message), nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// reason is why err came: of what happened to the pipe, the first in this order.
func (p *Pipe) reason(ctx context.Context, err error) error {
	if isClosed(p.ended) && errors.Is(p.why, ErrLost) {
		return ErrLost
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// endWith makes a deadline of the end of ctx, until its result is called.
func endWith(ctx context.Context, deadline func(time.Time) error) (release func()) {
	_ = deadline(time.Time{}) // on a closed channel: the next call will say so
	set := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(set)
		_ = deadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-set // or it would end the next call
		}
	}
}

// Flush waits until the other machine has everything that was sent: SCTP may take
// its time (200 ms) to say so. The error is that of Send.
func (p *Pipe) Flush(ctx context.Context) error {
	flushed := make(chan struct{}, 1)
	p.main.dc.OnBufferedAmountLow(func() {
		select {
		case flushed <- struct{}{}:
		default: // each time the channel runs empty, from now on
		}
	})
	p.main.dc.SetBufferedAmountLowThreshold(0)
	if p.main.dc.BufferedAmount() == 0 {
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
