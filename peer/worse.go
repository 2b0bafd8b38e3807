package peer

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"p2pchat/peer/internal/pionnet"
)

// A way that still works may have become bad. Each statsInterval, a Session asks what the checks of the path took, which ICE makes
// anyway. If they have become much worse twice in a row, and this machine has another address, the Session makes a second
// connection without the address of the first one (see move.go), sends checks over it for a second, and moves if that is
// much better. A path with a file on it is not judged: the queue may be the file's own.
const (
	worseTimes = 2                      // a round trip is much worse if it takes so many times another one,
	worseBy    = 100 * time.Millisecond // and so much more
	worseLoss  = 0.3                    // or if that share of the checks is lost, and worseTimes as much as of others
	worseFirst = time.Minute            // between two moves, and three times as long each time,
	worseMost  = 10 * time.Minute       // up to this
	bestWithin = 5 * time.Minute        // for so long at least, the shortest round trip counts, and for twice as long at most
	judgeBytes = 128 << 10              // in statsInterval: with more, a queue may be this connection's own

	probes        = 20 // checks of the new connection, probeInterval apart
	probesPatient = time.Second
)

var errNoBetter = errors.New("the other way is no better")

// A quality is what checks have told of a path.
type quality struct {
	rtt  time.Duration // mean
	loss float64       // 0 to 1
}

// muchWorse reports whether a path is much worse than another one.
func (q quality) muchWorse(than quality) bool {
	return q.rtt > worseTimes*than.rtt && q.rtt > than.rtt+worseBy || q.loss >= worseLoss && q.loss >= worseTimes*than.loss
}

// counts are ICE's, of the chosen pair. Checks that were sent are not among them.
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

// since returns what has come about since earlier counts, of checks of which sent were sent. It returns false if ICE has chosen
// another pair, or none was answered.
func (c counts) since(before counts, sent float64) (q quality, ok bool) {
	if c.answered <= before.answered || c.total < before.total || c.bytes < before.bytes {
		return q, false
	}
	answered := float64(c.answered - before.answered)
	mean := (c.total - before.total) / answered
	return quality{time.Duration(mean * float64(time.Second)), max(0, 1-answered/sent)}, true
}

// A judge compares a path with what it was.
type judge struct {
	before counts
	files  uint32        // that had begun then
	checks int           // beyond ICE's own, that were sent then
	last   quality       // in the statsInterval before
	bad    bool          // it was much worse
	best   time.Duration // the shortest round trip since the last change of window
	older  time.Duration // and in the window before; 0: none is known
	window time.Time
}

// judges reports whether the path has become much worse, and what it is.
func (j *judge) judges(p *Pipe) (now quality, worse bool) {
	c, ok := p.counts()
	if !ok {
		return now, false
	}
	before, files := j.before, j.files
	sent := float64(c.at.Sub(before.at))/float64(heartbeat) + float64(p.checks-j.checks)
	j.before, j.files, j.checks = c, p.files.Load(), p.checks
	now, ok = c.since(before, sent)
	if !ok || p.hasFile() || files != j.files || c.bytes-before.bytes > judgeBytes {
		j.bad = false
		return now, false
	}
	wasBad, last := j.bad, j.last
	j.last = now
	j.bad = now.muchWorse(quality{rtt: j.shortest(now.rtt, c.at)})
	return quality{min(now.rtt, last.rtt), min(now.loss, last.loss)}, j.bad && wasBad
}

// shortest returns the shortest round trip lately, with one that was taken now.
func (j *judge) shortest(rtt time.Duration, now time.Time) time.Duration {
	if now.Sub(j.window) >= bestWithin {
		j.older, j.best, j.window = j.best, rtt, now
	}
	j.best = min(j.best, rtt)
	if j.older > 0 {
		return min(j.best, j.older)
	}
	return j.best
}

// hasFile reports whether a further channel is open: a file may be on its way.
func (p *Pipe) hasFile() bool {
	p.aparts.mu.Lock()
	defer p.aparts.mu.Unlock()
	return p.further.Load() > 0 || p.own.Load() > 0 || p.fast.busy() || p.aparts.open != [2]int{}
}

// judgePath begins a move if the path has become much worse, and this machine may have a better one.
func (m *mover) judgePath() {
	now, worse := m.judge.judges(m.p)
	if !worse || m.done != nil || m.doubt.tick != nil || time.Now().Before(m.s.worse.next) {
		return
	}
	from := m.p.home
	if !from.IsValid() {
		from = m.home
	}
	if !from.IsValid() || !m.hasOther(from) {
		return
	}
	m.s.worse.spend(time.Now())
	m.p.log.Info("the connection has become much worse: trying another way", "from", from, "round trip", now.rtt, "loss", now.loss)
	left := m.left
	m.left, m.why, m.was = from, whyWorse, now
	m.begin(moveLabel)
	m.left, m.why = left, whyRelay // of those that follow
}

// hasOther reports whether packets can leave from another address of this machine, too.
func (m *mover) hasOther(than netip.Addr) bool {
	machine, err := ownNet(m.ctx, m.s.config)
	if err != nil {
		return false
	}
	_, err = pionnet.Elsewhere(machine, than)
	return err == nil
}

// A pacer says when the next move away from a path that is worse may begin. Its zero value: now.
type pacer struct {
	next time.Time
	wait time.Duration
}

// spend notes one that begins.
func (r *pacer) spend(now time.Time) {
	if r.wait == 0 || now.Sub(r.next) > worseMost { // all was well
		r.wait = worseFirst
	}
	r.next = now.Add(r.wait)
	r.wait = min(3*r.wait, worseMost)
}

// improves returns errNoBetter unless checks show that the Pipe is much better than a path was.
func (p *Pipe) improves(ctx context.Context, was quality) error {
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
	late := time.NewTimer(min(was.rtt, probesPatient)) // an answer that comes later is no better
	defer late.Stop()
	select {
	case <-late.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	end, ok := p.counts()
	now, answered := end.since(begun, probes)
	p.log.Info("tried another way", "round trip", now.rtt, "loss", now.loss)
	if !ok || !answered || !was.muchWorse(now) || now.muchWorse(was) {
		return errNoBetter
	}
	return nil
}

// base returns this machine's address from which the packets leave, or the zero Addr if ICE does not say it.
func (p *Pipe) base() netip.Addr {
	pair := selected(p.pc)
	if pair == nil {
		return netip.Addr{}
	}
	at := pair.Local.Address
	if pair.Local.RelatedAddress != "" {
		at = pair.Local.RelatedAddress
	}
	a, err := netip.ParseAddr(at)
	if err != nil || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a.Unmap()
}
