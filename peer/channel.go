package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/pionnet"
	"p2pchat/signaling"
)

// The labels of the first DataChannel and of further ones, and their protocol (RFC 8832, section
// 8.2.1).
const (
	channelLabel    = "chat"
	furtherLabel    = "file"
	channelProtocol = "p2pchat.v1"
)

const (
	furtherChannels = 16              // of the other side, at a time
	furtherBuffer   = 64<<10 + 1<<10  // bytes, for a message on such a channel
	openLimit       = 5 * time.Second // for a channel to open
)

// A channel is a DataChannel that carries whole messages, in order. One goroutine may
// write while another one reads.
type channel struct {
	p      *Pipe
	dc     *webrtc.DataChannel
	raw    datachannel.ReadWriteCloserDeadliner
	buffer []byte // owned by next
	long   tally  // messages over MaxMessage
	once   sync.Once
	closed func() // may be nil
}

func newChannel(p *Pipe, dc *webrtc.DataChannel, buffer int) (*channel, error) {
	raw, err := dc.DetachWithDeadline()
	if err != nil {
		return nil, fmt.Errorf("taking the channel: %w", err)
	}
	return &channel{p: p, dc: dc, raw: raw, buffer: make([]byte, buffer)}, nil
}

// Write sends a message, and waits while earlier ones fill the connection.
func (c *channel) Write(message []byte) (int, error) {
	return c.raw.WriteDataChannel(message, c.p.Foreign)
}

// Read waits for a message, and drops those that are longer than b. It returns io.EOF
// if the other side has closed the channel.
func (c *channel) Read(b []byte) (int, error) {
	for {
		message, err := c.next()
		switch {
		case err != nil:
			return 0, err
		case len(message) > len(b):
			c.tooLong(len(message), len(b))
		default:
			return copy(b, message), nil
		}
	}
}

// next waits for a message, which is valid until the next call.
func (c *channel) next() ([]byte, error) {
	for {
		n, _, err := c.raw.ReadDataChannel(c.buffer)
		switch {
		case errors.Is(err, io.ErrShortBuffer):
			c.buffer = make([]byte, 2*len(c.buffer)) // pion does not tell the message's length; SCTP's receive buffer bounds it
		case err != nil:
			return nil, err
		case n > MaxMessage:
			c.tooLong(n, MaxMessage)
			c.buffer = make([]byte, firstBuffer)
		default:
			return c.buffer[:n], nil
		}
	}
}

func (c *channel) tooLong(bytes, limit int) {
	c.long.warn(c.p.log, "dropped a message of the other side that is too long", "bytes", bytes, "limit", limit)
}

// Close ends the channel on both sides, and a Read or Write that waits here. Messages that the
// other side has not read yet may be lost.
func (c *channel) Close() error {
	c.once.Do(func() {
		_ = c.raw.SetReadDeadline(time.Unix(1, 0))
		_ = c.raw.SetWriteDeadline(time.Unix(1, 0))
		_ = c.dc.Close() // the other side may have closed it before
		if c.closed != nil {
			c.closed()
		}
	})
	return nil
}

// Open opens a further channel: over QUIC where the fast path works, or else a DataChannel. It returns ErrLost, io.EOF
// once the connection has ended, or the context's error.
func (p *Pipe) Open(ctx context.Context) (io.ReadWriteCloser, error) {
	p.files.Add(1)
	if c, err := p.fast.dial(ctx); err == nil {
		return c, nil
	}
	c, err := p.open(ctx, furtherLabel)
	if err != nil {
		return nil, err
	}
	p.own.Add(1)
	c.closed = func() { p.own.Add(-1) }
	return c, nil
}

func (p *Pipe) open(ctx context.Context, label string) (*channel, error) {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	protocol := channelProtocol
	dc, err := p.pc.CreateDataChannel(label, &webrtc.DataChannelInit{Protocol: &protocol})
	if err != nil {
		return nil, p.reason(ctx, fmt.Errorf("making a channel: %w", err))
	}
	opened := make(chan struct{})
	dc.OnOpen(func() { close(opened) })
	select {
	case <-opened:
		return newChannel(p, dc, furtherBuffer)
	case <-p.ended:
		return nil, p.reason(ctx, io.EOF)
	case <-ctx.Done():
		_ = dc.Close() // it may open yet
		return nil, ctx.Err()
	}
}

// RoundTrip returns how long ICE's last check of the path took, or 0 if there is no answer yet.
func (p *Pipe) RoundTrip() time.Duration {
	stats, _ := p.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePairStats()
	return time.Duration(stats.CurrentRoundTripTime * float64(time.Second))
}

// Expect says whether the other side may open further channels, 16 at a time. Until then, and beyond, they are
// closed.
func (p *Pipe) Expect(channels bool) {
	p.expects.Store(channels)
	if channels {
		p.fast.listen()
	}
}

// room takes a place for a further channel of the other side. It returns false if none is expected, or there are 16.
func (p *Pipe) room() bool {
	if !p.expects.Load() {
		return false
	}
	p.files.Add(1)
	if p.further.Add(1) > furtherChannels {
		p.leave()
		return false
	}
	return true
}

// leave gives the place back.
func (p *Pipe) leave() { p.further.Add(-1) }

// Accept waits for a channel that the other side has opened. It returns ErrLost, io.EOF
// once the connection has ended, or the context's error.
func (p *Pipe) Accept(ctx context.Context) (io.ReadWriteCloser, error) {
	select {
	case c := <-p.arrived:
		return c, nil
	case <-p.ended:
		return nil, p.reason(ctx, io.EOF)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// announced takes a further channel that the other side has opened.
func (p *Pipe) announced(dc *webrtc.DataChannel) {
	if p.moves && ours(dc, moveLabel) || p.renews && ours(dc, renewLabel) {
		p.asked(dc)
		return
	}
	apart := ours(dc, apartLabel)
	if p.Foreign || !apart && !ours(dc, furtherLabel) || !p.room() {
		decline(dc, p.declined, p.log)
		return
	}
	c, err := newChannel(p, dc, furtherBuffer)
	if err == nil && apart {
		err = p.acceptApart(c, p.leave)
	}
	if err != nil {
		p.leave()
		decline(dc, p.declined, p.log)
		return
	}
	if !apart {
		c.closed = p.leave
		p.arrived <- c // there is room for all
	}
}

// announced takes the channel that the other side has opened. The caller opens it, once:
// any other is closed, also after the attempt has led to a Pipe.
func (a *attempt) announced(dc *webrtc.DataChannel) {
	if a.ticket.Side == signaling.Caller || !a.post(channelOpened{dc}) {
		decline(dc, &a.declined, a.log)
	}
}

// ours reports whether a channel is one that this program opens under label: ordered, and reliable.
func ours(dc *webrtc.DataChannel, label string) bool {
	return dc.Label() == label && dc.Protocol() == channelProtocol && dc.Ordered() && dc.MaxRetransmits() == nil && dc.MaxPacketLifeTime() == nil
}

// decline closes a channel. Unread, it would hold up the other channels.
func decline(dc *webrtc.DataChannel, times *tally, log *slog.Logger) {
	times.warn(log, "closed a channel that is not the one", "label", dc.Label(), "protocol", dc.Protocol())
	pionnet.Discard(dc)
}

// openHeld makes the Pipe of a channel that had opened before both sides had proven that they know the code.
func (a *attempt) openHeld() (*Pipe, error) {
	if a.channel == nil || a.handedOver || !a.bothProven() {
		return nil, nil
	}
	return a.openPipe(a.channel)
}

// openPipe makes the Pipe of the channel, if it is the chat's, once both sides
// have proven that they know the code.
func (a *attempt) openPipe(dc *webrtc.DataChannel) (*Pipe, error) {
	a.phases.end(phaseSCTP)
	switch {
	case !a.foreign && !ours(dc, channelLabel), a.channel != nil && a.channel != dc:
		decline(dc, &a.declined, a.log)
		return nil, nil
	case !a.bothProven(), a.pathUnknown():
		a.channel = dc
		return nil, nil
	}
	// pion has compared the fingerprint, but accepts any one of several.
	if err := a.promised.check(a.pc); err != nil {
		return nil, err
	}
	p, err := newPipe(a, dc)
	if err != nil {
		return nil, err
	}
	a.handOver(p)
	return p, nil
}
