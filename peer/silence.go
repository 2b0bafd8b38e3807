package peer

import (
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/pionnet"
)

// An address that has gone takes the connection with it, and the other side learns of that by silence alone. A Session therefore
// begins to meet at the server, as after a loss, before it counts the connection as lost:
//
//	0       this side's address is gone        ─▶ it meets at the server
//	1.0 s   no packet has come: pion tells     ─▶ more checks, each probeInterval
//	1.1 s   none of them is answered           ─▶ it meets at the server
//	2.5 s   the connection is lost                 (and the meeting goes on if the other side is there)
//
// pion looks once a heartbeat, and when the time is over: see lookNow. If packets come again before the other side is at the server,
// the meeting ends. If the two meet before the loss, the new Pipe takes the old one's place, as with a move. A machine that
// has slept finds the connection lost when it wakes, not in doubt.
const awayLabel = "away" // of such a meeting, which has no channel

const (
	quiet         = time.Second      // a check is sent and one answered in heartbeat
	lookSlack     = time.Millisecond // what pion may take to note a check
	probeInterval = 50 * time.Millisecond
	probeMost     = 100 * time.Millisecond // until the meeting, or 1.5 round trips
	probesMost    = 1000                   // of a Pipe: pion keeps a dummy candidate for each
	awayPause     = 400 * time.Millisecond // between two meetings of which the first has failed
)

// A doubt is what a mover notes while it does not know whether the connection is alive. Its zero value: it is.
type doubt struct {
	tick <-chan time.Time // nil without a doubt
	gone bool             // this side's address is
	meet time.Time        // when to meet at the server,
	lost time.Time        // and when to end the Pipe
}

// awaitSilence begins to expect a check each quiet.
func (m *mover) awaitSilence() {
	var start func(func()) // nil: virtual time, which the kernel does not know
	if m.s.config.net == nil {
		start = m.s.wg.Go
	}
	m.alarm = m.p.packets.Expect(m.ctx, quiet+lookSlack, start)
}

// lookNow has pion look how long nothing has come, as no check has come for quiet. Data may have, and answers.
func (m *mover) lookNow() {
	if left := quiet - time.Since(m.p.packets.Last()); left >= 0 {
		m.alarm.Set(left + lookSlack)
	} else if m.doubt.tick == nil && m.p.checks < probesMost/2 { // the others are for a doubt
		m.p.check()
	}
}

// doubtPath begins to doubt the connection, as no packet comes.
func (m *mover) doubtPath() {
	if m.doubt.tick != nil || m.alive() {
		return
	}
	now := time.Now()
	rtt, _ := m.p.roundTrip() // 0 if it is not known
	m.doubt = doubt{tick: time.Tick(probeInterval), meet: now.Add(max(probeMost, rtt*3/2)), lost: now.Add(silence - quiet)}
	if at := m.p.packets.Last(); !at.IsZero() {
		m.doubt.lost = at.Add(silence)
	}
	m.lookCloser()
}

// addressGone meets at the server, as packets can no longer come to the address that the connection uses.
func (m *mover) addressGone() {
	if s, ok := m.s.store.(interface{ CloseIdle() }); ok {
		s.CloseIdle() // connections from that address
	}
	now := time.Now()
	if m.doubt.tick == nil {
		m.doubt = doubt{tick: time.Tick(probeInterval), lost: now.Add(silence)}
	}
	m.doubt.gone, m.doubt.meet = true, now
	m.stopAway() // it began with the address
	m.lookCloser()
}

// alive reports whether packets have come from the other side lately.
func (m *mover) alive() bool {
	return m.p.pc.ConnectionState() == webrtc.PeerConnectionStateConnected
}

// lookCloser decides whether a connection in doubt is alive, in question, or lost.
func (m *mover) lookCloser() {
	now := time.Now()
	switch {
	case m.alive() && !m.doubt.gone:
		m.trust()
	case m.alive() && now.After(m.doubt.lost):
		// A system may take packets for any of its addresses at any interface (RFC 1122, section 3.3.4.2). The other side notices nothing
		// then, and does not come to the server.
		m.trust()
		m.doubt.gone = true // lookAround has said so
		m.tryNow(whyGone)
	case now.After(m.doubt.lost):
		m.doubt = doubt{}
		m.p.end(ErrLost)
	case !now.Before(m.doubt.meet):
		m.doubt.meet = now.Add(awayPause)
		m.away()
	case m.p.checks < probesMost:
		m.p.check()
	}
}

// trust ends the doubt, and the meeting unless the other side is there, too.
func (m *mover) trust() {
	m.doubt = doubt{}
	m.stopAway()
}

// stopAway ends the meeting under way, if it is at the server, and the other side is not there.
func (m *mover) stopAway() {
	if m.done != nil && m.label == awayLabel && !m.met.Load() {
		m.stop(false)
	}
}

// away begins to meet at the server, in place of a move over a channel that the other side does not hear.
func (m *mover) away() {
	m.endFailed()
	if m.done != nil && m.label != moveLabel || !m.ready(awayLabel) {
		return
	}
	if m.done != nil {
		if !m.fixed.CompareAndSwap(false, true) {
			return
		}
		m.stop(false)
	}
	if m.budget(awayLabel, false).take(time.Now()) {
		m.p.log.Info("packets no longer come: meeting at the server", "address gone", m.doubt.gone)
		m.why = whySilence
		if m.doubt.gone {
			m.why = whyGone
		}
		m.start(awayLabel, nil)
		m.why = whyRelay // of a move that follows
	}
}

// check makes pion send a check now: see pionnet.DummyCandidate.
func (p *Pipe) check() {
	p.checks++
	dummy, at := pionnet.DummyCandidate(forcedChecks + p.checks)
	p.sources.Name(at)
	if err := p.pc.AddICECandidate(dummy); err != nil {
		p.log.Debug("a dummy candidate triggers no check", "why", err)
	}
}
