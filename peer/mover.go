package peer

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"p2pchat/peer/internal/pionnet"
	"p2pchat/signaling"
)

// Reasons of a move, see Details.Reason.
const (
	whyRelay   = "relay"   // the path was a relay's, and a later try found another one
	whyUDP     = "udp"     // the network of a side lets UDP through now
	whyAddress = "address" // packets of a side leave from another address
	whyGone    = "gone"    // the address of a side is gone
	whySilence = "silence" // nothing came from the other side
	whyWorse   = "worse"   // the path had become slow, or lost packets
)

var reasons = []string{whyRelay, whyUDP, whyAddress, whyGone, whySilence, whyWorse}

// A budget bounds how often something is done.
type budget struct{ spent []time.Time }

// take reports whether it may be done once more, and counts that.
func (b *budget) take(now time.Time) bool {
	for len(b.spent) > 0 && now.Sub(b.spent[0]) >= movesWithin {
		b.spent = b.spent[1:]
	}
	if len(b.spent) >= movesMost {
		return false
	}
	b.spent = append(b.spent, now)
	return true
}

// A mover moves the connection of one Pipe. It belongs to the goroutine of the Session.
type mover struct {
	ctx    context.Context // of all that it starts
	close  context.CancelFunc
	s      *Session
	p      *Pipe
	done   chan *Pipe         // from the move under way: the new Pipe, or nil if it failed; nil without a move
	cancel context.CancelFunc // ends it
	theirs bool               // the other side began it
	label  string             // of its channel
	met    *atomic.Bool       // the other side's description is there; of a meeting at the server
	fixed  *atomic.Bool       // set once: by move before it sends "stands", after which the other side may take the new Pipe, or by tryNow, which gives the move up

	due  <-chan time.Time // to begin a move; nil unless the path is a relay's
	wait time.Duration    // until due
	next string           // the label of that move's channel

	// what lookAround needs:
	look    <-chan time.Time // nil: the network is not watched
	far     netip.Addr       // the other side's, or its relay's
	home    netip.Addr       // from which packets to far left when the two connected
	seen    netip.Addr       // from which they did when lookAround last looked
	alarm   *pionnet.Alarm   // rings when no check has come for quiet
	doubt   doubt
	why     string     // to move, if this side begins
	left    netip.Addr // a move uses all addresses but this one; the zero Addr: all
	monitor monitor
	was     quality         // of the path, for a move away from one that has become worse
	udp     <-chan struct{} // closed when UDP has begun to work; nil: it works, or is not watched
}

func newMover(ctx context.Context, s *Session, p *Pipe) *mover {
	m := &mover{s: s, p: p, next: moveLabel, why: whyRelay}
	m.ctx, m.close = context.WithCancel(ctx)
	m.monitor.before, _ = p.counts() // the first observation compares with them
	m.awaitSilence()
	m.watchRoute()
	m.leaveRelay()
	p.settle()
	return m
}

// leaveRelay begins to look for another path if the connection goes through a relay.
func (m *mover) leaveRelay() {
	m.watchUDP()
	if m.p.side == signaling.Caller && m.p.relayed() && m.p.moves && m.due == nil { // it is for both sides; one of them tries
		m.wait = relayFirst
		if m.p.Renewed { // a renewal takes the direct path if there is one
			m.wait = relayMost
		}
		m.due = time.After(m.wait)
	}
}

// tryNow begins a move in place of one that began before its reason was there. A renewal that is under way goes on: it takes a direct
// path if there is one.
func (m *mover) tryNow(why string) {
	m.endFailed()
	if m.done != nil && m.label == renewLabel {
		return
	}
	if m.done != nil && !m.theirs && m.fixed.CompareAndSwap(false, true) {
		m.stop(false)
	}
	m.why = why
	if m.next == renewLabel { // the next renewal stays due
		m.begin(moveLabel)
	} else {
		m.next, m.wait = moveLabel, relayFirst
		m.tryAgain()
	}
	m.why = whyRelay // of those that follow
}

// reason returns why this side moves now. A later try to leave an address has the reason of the first one.
func (m *mover) reason() string {
	switch {
	case m.why != whyRelay || !m.left.IsValid():
		return m.why
	case m.isGone(m.left):
		return whyGone
	}
	return whyAddress
}

// tryAgain begins the move that is due, and says when to begin the next one.
func (m *mover) tryAgain() {
	label, most := m.next, relayMost
	if label == renewLabel {
		most = renewMost
		if m.left.IsValid() && m.label == renewLabel { // in turns: the renewal failed, perhaps at the server
			label = moveLabel
		}
	}
	m.begin(label)
	m.wait = min(3*m.wait, most)
	m.due = time.After(m.wait)
}

// ready reports whether the connection may be moved over a channel with a label: both sides can, and the conversation has begun.
func (m *mover) ready(label string) bool {
	able := m.p.moves
	if label != moveLabel {
		able = m.p.renews
	}
	return able && isClosed(m.p.heard)
}

// budget returns that of a side's moves or renewals.
func (m *mover) budget(label string, theirs bool) *budget {
	if label == renewLabel {
		return &m.s.renewed[sideIndex(theirs)]
	}
	return &m.s.moved[sideIndex(theirs)]
}

// begin begins a move over a channel with a label, if one may begin, and reports whether it does.
func (m *mover) begin(label string) bool {
	begins := m.ready(label) && m.done == nil && m.budget(label, false).take(time.Now())
	if begins {
		m.start(label, nil)
	}
	return begins
}

// accept takes the move that the other side begins on c, if one may begin.
func (m *mover) accept(c *channel) {
	m.endFailed()
	label := c.dc.Label()
	if !m.ready(label) || !m.yields(label) || !m.budget(label, true).take(time.Now()) {
		m.p.declined.warn(m.p.log, "the other side cannot move the connection now")
		_ = c.Close() // it never fails
		return
	}
	m.stop(false)
	m.start(label, c)
}

// yields reports whether a move that the other side begins counts: it has given up its last one, or none is under way. If both have begun,
// a renewal counts, and the caller's of two that are alike.
func (m *mover) yields(label string) bool {
	if m.done == nil || m.theirs {
		return true
	}
	if m.label == awayLabel { // the other side hears this one
		return !m.met.Load()
	}
	if label != m.label {
		return label == renewLabel
	}
	return m.p.side == signaling.Callee
}
