package peer

import (
	"context"
	"sync/atomic"
	"time"

	"p2pchat/signaling"
)

// A Session renews a connection through a relay when a TURN server no longer keeps an allocation, because the credentials that
// made it have ended (see pionnet.NewTURNNet). Some minutes are left then. The two meet at the server, as after a loss, where each
// gets new credentials: a guest's are for an answer in that room. The connection lives until both have the new one:
//
//	either side               channel "renew"               other side
//	  | opens it ─────────────────────────────────────────────▶ |
//	  |◀══════ both meet in the room of the rendezvous ════════▶|
//	  | stands ───────────────────────────────────────────────▶ |
//	  | ◀─────────────────────────────────────────────── stands |
const renewLabel = "renew"

// renewFirst is the time between the first two attempts to renew a connection. renewMost bounds the time between two later ones: a
// permission may end three minutes after the first refusal, see pion's intervals, and movesMost attempts of one side fit into that.
const (
	renewFirst = 5 * time.Second
	renewMost  = 30 * time.Second
)

// renew begins to renew the connection, if it goes through a relay. A server may refuse each request: the first refusal counts.
func (m *mover) renew() {
	if m.p.relayed() && m.p.renews && m.next != renewLabel {
		m.p.log.Info("a TURN server no longer keeps its part of this connection: renewing it")
		m.next, m.wait = renewLabel, renewFirst
		m.tryAgain()
	}
}

// meetAtServer makes the second connection by way of the server. It sets met once the other side is there. After silence of a relay, relayed
// lets the next one be taken at once: the two wait for it, and look for a direct path later, see relayFirst.
func (m *mover) meetAtServer(ctx context.Context, met *atomic.Bool, relayed bool) (*Pipe, error) {
	config := m.s.config
	config.relayed = relayed
	config.private, config.Save, config.Report = true, nil, func(e Event) {
		if _, ok := e.(Connecting); ok {
			met.Store(true)
		}
	}
	// The Session follows m.p, so the meeting is another one's. That one is not started: it only meets.
	at := &Session{store: m.s.store, side: m.p.side, config: config, met: true, last: m.p, tcp: m.s.tcp, tickets: map[Code]signaling.Ticket{}}
	next, err := at.meet(ctx, []Code{m.p.Rendezvous})
	m.s.tcp = at.tcp
	m.s.wg.Go(at.wg.Wait)
	return next, err
}
