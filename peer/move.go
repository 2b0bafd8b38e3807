package peer

import (
	"context"
	"io"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/pionnet"
	"p2pchat/signaling"
)

// A Session moves its connection to a better path while it is used. The two meet as they do after a loss: with the code of
// their rendezvous, so that each proves again that it has the keys of this connection. Their documents go over a channel
// of the Pipe, not to the server:
//
//	either side                    channel "move"                     other side
//	  | opens it ─────────────────────────────────────────────────────────▶ |
//	  |     caller: offer ▶    ◀ callee: answer    candidates ◀▶ candidates |
//	  |◀═════════════════ a second PeerConnection, its Pipe ══════════════▶|
//	  | stands ──────────────────────────────────────────────────────────▶ |
//	  | ◀────────────────────────────────────────────────────────── stands |
//
// A side that has both a new Pipe and the other side's "stands" takes the new Pipe: it closes Replaced of the old one, which
// ends a second later. If the old connection ends before, a side with a new Pipe takes it. If the two disagree then, they meet
// at the server, as after each loss: the new Pipe was met with the old one's rendezvous.
//
// Both may open a channel at once: then the caller's counts, or a renewal.
const moveLabel = "move"

const (
	movesMost   = 12               // of each side, in movesWithin
	movesWithin = time.Hour        // a malicious side can make this one gather candidates so often
	moveLimit   = 20 * time.Second // from the channel to both sides' "stands"
	relayFirst  = 2 * time.Second  // a connection through a relay looks for another path after so long,
	relayMost   = 10 * time.Minute // and then after three times as long each time, up to this
	retireLimit = time.Second      // how long a replaced Pipe goes on: the other side may not have left it
)

// asked takes a channel on which the other side wants to move the connection. There is room for one.
func (p *Pipe) asked(dc *webrtc.DataChannel) {
	c, err := newChannel(p, dc, furtherBuffer)
	if err == nil {
		select {
		case p.asks <- c:
			return
		default:
		}
	}
	decline(dc, p.declined, p.log)
}

// retire ends a Pipe whose place another one has taken. The caller ends the association: where both do so at once, pion waits.
func (p *Pipe) retire(ctx context.Context) {
	limit := retireLimit
	if p.side == signaling.Callee {
		limit *= 2
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.associationEnded:
		p.end(io.EOF)
	case <-timer.C:
	case <-p.ended:
	case <-ctx.Done():
	}
	p.close()
}

// A departure is what a move leaves.
type departure struct {
	left netip.Addr // an address of this machine, or the zero Addr
	why  string     // the reason, if this side begins
	was  quality    // of the path, for whyWorse
}

// start starts a move over c, or over a channel with that label that it opens.
func (m *mover) start(label string, c *channel) {
	ctx, cancel := context.WithTimeout(m.ctx, moveLimit)
	done := make(chan *Pipe, 1)
	m.done, m.cancel, m.theirs, m.label, m.fixed, m.met = done, cancel, c != nil, label, &atomic.Bool{}, &atomic.Bool{}
	fixed, met, away := m.fixed, m.met, departure{m.left, m.reason(), m.was}
	m.s.wg.Go(func() {
		var next *Pipe
		var err error
		if label == awayLabel {
			next, err = m.meetAtServer(ctx, met, m.p.relayed())
		} else {
			next, err = m.move(ctx, label, away, c, fixed)
		}
		if next != nil && label == awayLabel {
			next.Reason = away.why
		}
		if err != nil {
			m.p.log.Info("the connection stays as it is", "why", err)
		}
		done <- next
	})
}

// end notes that the move under way has ended.
func (m *mover) end() {
	m.cancel()
	m.done = nil
}

// endFailed ends the move under way if it has failed already. A new Pipe is left for watch.
func (m *mover) endFailed() {
	select {
	case next := <-m.done:
		if next == nil {
			m.end()
		} else {
			m.done <- next
		}
	default:
	}
}

// stop ends the move under way, and waits for it. If the connection was lost, it returns the new Pipe if this side has one.
func (m *mover) stop(lost bool) (next *Pipe) {
	if m.done == nil {
		return nil
	}
	// After a loss, a renewal goes on: the other side meets in the same room. A meeting that the other side has not joined does
	// not, for a program that was started again meets elsewhere.
	if !lost || m.label == moveLabel || m.label == awayLabel && !m.met.Load() {
		m.cancel()
	}
	next = <-m.done
	m.end()
	if next != nil && !lost {
		next.close()
		return nil
	}
	return next
}

// move makes a second connection, and returns its Pipe once the other side has it, too, or the first one is lost.
func (m *mover) move(ctx context.Context, label string, away departure, c *channel, fixed *atomic.Bool) (*Pipe, error) {
	theirs := c != nil
	if theirs {
		away.why = whyRelay
	} else {
		var err error
		if c, err = m.p.open(ctx, label); err != nil {
			return nil, err
		}
	}
	k := newCarrier(c)
	if !theirs {
		k.reason = away.why
	}
	m.s.wg.Go(k.read)                                     // ends with c
	context.AfterFunc(m.p.life, func() { _ = c.Close() }) // it never fails
	meeting, cancel := context.WithCancel(ctx)
	defer cancel()
	m.s.wg.Go(func() {
		_, _ = k.await(meeting, func(carried) bool { return false }) // returns when either has ended
		if !m.p.ending() {                                           // or else a renewal is the meeting that follows
			cancel() // the other side has given up
		}
	})
	var next *Pipe
	var err error
	if label == renewLabel {
		if next, err = m.meetAtServer(meeting, &atomic.Bool{}, false); err == nil {
			next.Renewed = true
			next.settleAfter(meeting, m.p)
		}
	} else {
		next, err = m.meet(meeting, k, away)
	}
	if err != nil {
		_ = c.Close() // it never fails
		return nil, err
	}
	if away.why == whyWorse {
		err = next.probe(meeting, away.was)
	}
	if err == nil {
		err = m.confirm(ctx, k, fixed)
	}
	if err != nil && !m.p.ending() { // the other side stays where it is
		_ = c.Close() // it never fails
		next.close()
		return nil, err
	}
	next.Theirs = theirs
	if next.Reason = away.why; theirs {
		next.Reason = k.whyTheirs()
	}
	return next, nil // c ends with the old Pipe: what was sent on it must arrive
}

// confirm says that this side takes the new connection, unless the move was given up.
func (m *mover) confirm(ctx context.Context, k *carrier, fixed *atomic.Bool) error {
	if !fixed.CompareAndSwap(false, true) {
		return context.Canceled
	}
	return m.stand(ctx, k)
}

// stand says that this side is connected, and waits until the other side is, or the first connection has ended.
func (m *mover) stand(ctx context.Context, k *carrier) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.s.wg.Go(func() {
		select {
		case <-m.p.ended:
			cancel()
		case <-ctx.Done():
		}
	})
	return k.stand(ctx)
}

// meet makes the second connection, as the same side as the first one, over all addresses but the one that it leaves. With one that it leaves,
// the new path may be a relay's as well.
func (m *mover) meet(ctx context.Context, k *carrier, away departure) (*Pipe, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	code := m.p.Rendezvous
	t := signaling.NewTicket(code.Room, m.p.side)
	machine, err := ownNet(ctx, m.s.config)
	if err != nil {
		return nil, err
	}
	servers := withoutTURN(m.p.servers)
	if away.left.IsValid() {
		servers = m.p.servers
		without := pionnet.Without
		if away.why == whyWorse {
			without = pionnet.Elsewhere
		}
		if machine, err = without(machine, away.left); err != nil {
			return nil, err
		}
	}
	a, err := m.s.newAttemptOver(ctx, groundwork{machine: machine}, t, code, servers, k.describe)
	if err != nil {
		return nil, err
	}
	defer a.end()
	defer cancel() // before end waits
	a.store, a.report, a.servers = k, func(Event) {}, m.p.servers
	if m.p.side == signaling.Caller {
		err = a.offer()
	} else {
		err = m.answer(ctx, a, k)
	}
	if err != nil {
		return nil, err
	}
	next, _, err := a.run(ctx, nil, nil)
	if next != nil && away.why == whyWorse {
		next.home = baseOf(selected(next.pc), machine)
	}
	return next, err
}

// answer answers the caller's offer.
func (m *mover) answer(ctx context.Context, a *attempt, k *carrier) error {
	d, _, err := k.Description(ctx, a.ticket, signaling.Caller, "", signaling.Forever)
	if err != nil {
		return err
	}
	offer, err := parseDescription(d, nil, m.p.log)
	if err != nil {
		return err
	}
	return a.answer(offer)
}
