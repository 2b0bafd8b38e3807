package peer

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/pionnet"
)

// A path that still works may have become slow, or lose packets. Each statsInterval, a Session asks how long ICE's checks of the
// path took, and how many were answered. If the path was much worse than before twice in a row, and this machine has another
// address, the Session makes a second connection without the address of the first one (see move.go), sends checks over it for a
// second, and moves if the new path is much better. A path with a file on it is not compared: the queue may be the file's own.
const (
	worseTimes = 2                      // a path is much worse than another one if its round trip is worseTimes as long,
	worseBy    = 100 * time.Millisecond // and longer by worseBy;
	worseLoss  = 0.3                    // or if it loses this share of the checks, and worseTimes the share of the other one
	worseFirst = time.Minute            // from one try to the next; each time three times as long,
	worseMost  = 10 * time.Minute       // up to this
	bestWithin = 5 * time.Minute        // the shortest round trip counts for this long, and for twice as long at most
	busyBytes  = 128 << 10              // in a statsInterval: with more, a queue may be this connection's own

	probes        = 20 // checks of the new connection, probeInterval apart
	probesPatient = time.Second
)

var errNoBetter = errors.New("the other path is no better")

// A quality is the round trip and the loss of a path, as checks have measured them.
type quality struct {
	rtt  time.Duration // mean
	loss float64       // 0 to 1
}

// muchWorse reports whether a path is much worse than another one.
func (q quality) muchWorse(than quality) bool {
	return q.rtt > worseTimes*than.rtt && q.rtt > than.rtt+worseBy || q.loss >= worseLoss && q.loss >= worseTimes*than.loss
}

// counts are ICE's statistics of the chosen pair. pion does not count the checks that it sends.
type counts struct {
	at       time.Time
	answered uint64
	total    float64 // seconds that all answers took
	bytes    uint64
}

func (p *Pipe) counts() (c counts, ok bool) {
	s, ok := p.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePairStats()
	return counts{time.Now(), s.ResponsesReceived, s.TotalRoundTripTime, s.BytesSent + s.BytesReceived}, ok
}

// since returns the quality of the path since earlier counts; sent is the number of checks that this side has sent since. It returns
// false if ICE has chosen another pair, or no check was answered.
func (c counts) since(before counts, sent float64) (q quality, ok bool) {
	if c.answered <= before.answered || c.total < before.total || c.bytes < before.bytes {
		return q, false
	}
	answered := float64(c.answered - before.answered)
	mean := (c.total - before.total) / answered
	return quality{time.Duration(mean * float64(time.Second)), max(0, 1-answered/sent)}, true
}

// A monitor compares a path with its own past.
type monitor struct {
	// at the last observation:
	before counts
	files  uint32  // files that had begun
	checks int     // checks that this side had sent beside ICE's own
	last   quality // of the path in the statsInterval before
	bad    bool    // the path was much worse in it

	window time.Time     // when the current window of bestWithin began
	best   time.Duration // the shortest round trip in the current window
	older  time.Duration // and in the window before it; 0: there was none
}

// observe returns the quality of the path now, and reports whether the path has become much worse.
func (m *monitor) observe(p *Pipe) (now quality, worse bool) {
	c, ok := p.counts()
	if !ok {
		return now, false
	}
	before, files := m.before, m.files
	sent := float64(c.at.Sub(before.at))/float64(heartbeat) + float64(p.checks-m.checks)
	m.before, m.files, m.checks = c, p.files.Load(), p.checks
	now, ok = c.since(before, sent)
	if !ok || p.hasFile() || files != m.files || c.bytes-before.bytes > busyBytes {
		m.bad = false
		return now, false
	}
	wasBad, last := m.bad, m.last
	m.last = now
	m.bad = now.muchWorse(quality{rtt: m.shortest(now.rtt, c.at)})
	return quality{min(now.rtt, last.rtt), min(now.loss, last.loss)}, m.bad && wasBad
}

// shortest returns the shortest round trip of the last two windows, which a round trip measured now belongs to.
func (m *monitor) shortest(rtt time.Duration, now time.Time) time.Duration {
	if now.Sub(m.window) >= bestWithin {
		m.older, m.best, m.window = m.best, rtt, now
	}
	m.best = min(m.best, rtt)
	if m.older > 0 {
		return min(m.best, m.older)
	}
	return m.best
}

// hasFile reports whether a channel beside the chat is open, on which a file may be moving.
func (p *Pipe) hasFile() bool {
	p.aparts.mu.Lock()
	defer p.aparts.mu.Unlock()
	return p.further.Load() > 0 || p.own.Load() > 0 || p.fast.busy() || p.aparts.open != [2]int{}
}

// leaveIfWorse begins a move if the path has become much worse, and this machine has another address.
func (m *mover) leaveIfWorse() {
	now, worse := m.monitor.observe(m.p)
	if !worse || !m.ready(moveLabel) || m.done != nil || m.doubt.tick != nil || time.Now().Before(m.s.worse.next) {
		return
	}
	from := m.p.home
	if !from.IsValid() {
		from = m.home
	}
	if !from.IsValid() || !m.hasAddressBeside(from) {
		return
	}
	left := m.left
	m.left, m.why, m.was = from, whyWorse, now
	if m.begin(moveLabel) {
		m.s.worse.spend(time.Now())
		m.p.log.Info("the connection has become much worse: trying another path", "from", from, "round trip", now.rtt, "loss", now.loss)
	}
	m.left, m.why = left, whyRelay // of those that follow
}

// hasAddressBeside reports whether packets can leave from another address of this machine, too.
func (m *mover) hasAddressBeside(than netip.Addr) bool {
	machine, err := ownNet(m.ctx, m.s.config)
	if err != nil {
		return false
	}
	_, err = pionnet.Elsewhere(machine, than)
	return err == nil
}

// A pacer says when the next move away from a path that is worse may begin. With the zero pacer, it may begin now.
type pacer struct {
	next time.Time
	wait time.Duration
}

// spend notes that a move begins.
func (r *pacer) spend(now time.Time) {
	if r.wait == 0 || now.Sub(r.next) > worseMost { // no path was worse for a while
		r.wait = worseFirst
	}
	r.next = now.Add(r.wait)
	r.wait = min(3*r.wait, worseMost)
}

// probe sends checks over a new Pipe, and returns errNoBetter unless its path is much better than the old path was.
func (p *Pipe) probe(ctx context.Context, was quality) error {
	begun, ok := p.counts()
	if !ok {
		return errNoBetter
	}
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for range probes {
		p.check()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	late := time.NewTimer(min(was.rtt, probesPatient)) // a path whose answers come later is no better
	defer late.Stop()
	select {
	case <-late.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	end, ok := p.counts()
	now, answered := end.since(begun, probes)
	p.log.Info("tried another path", "round trip", now.rtt, "loss", now.loss)
	if !ok || !answered || !was.muchWorse(now) || now.muchWorse(was) {
		return errNoBetter
	}
	return nil
}

// baseOf returns this machine's address from which the packets of a pair leave, on a network that pionnet.Elsewhere has returned. It returns the
// zero Addr if that is unknown.
func baseOf(pair *webrtc.ICECandidatePair, machine transport.Net) netip.Addr {
	if pair == nil {
		return netip.Addr{}
	}
	at := pair.Local.Address
	if pair.Local.RelatedAddress != "" {
		at = pair.Local.RelatedAddress
	}
	a, err := netip.ParseAddr(at)
	if err != nil {
		return netip.Addr{}
	}
	if a = a.Unmap(); a.IsUnspecified() { // pion asks STUN and TURN servers from such sockets
		return pionnet.FirstAddress(machine, a.Is4())
	}
	return a
}
