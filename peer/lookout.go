package peer

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/pion/stun/v4"

	"p2pchat/peer/internal/pionnet"
)

// A Session whose connection goes through a relay asks a STUN server over UDP, until it answers. If the server has not answered
// lookoutUnanswered times before, the network lets UDP through from now on, and the Session looks for a direct path at once. A
// server that lies causes one move of a connection, which counts among movesMost. Behind a proxy the Session asks nothing: what can
// go through the proxy should.
const (
	lookoutInterval   = time.Second
	lookoutUnanswered = 2           // one packet may be lost
	lookoutEager      = time.Minute // then it asks every lookoutMost, as a network may never let UDP through
	lookoutMost       = 30 * time.Second
)

// watchUDP starts to ask, if there is a reason.
func (m *mover) watchUDP() {
	if address := stunServer(m.p); address != "" && m.p.moves && m.p.relayed() && m.s.config.net == nil && m.s.config.Proxy == nil {
		udp := make(chan struct{})
		m.udp = udp
		m.s.wg.Go(func() { awaitUDP(m.ctx, address, udp) })
	}
}

// route returns the address from which packets to the other side leave, or the zero Addr.
func (m *mover) route() netip.Addr {
	if m.s.config.route != nil {
		return m.s.config.route(m.far)
	}
	return pionnet.SourceTo(m.far)
}

// isGone reports whether this machine has an address no more.
func (m *mover) isGone(at netip.Addr) bool {
	if m.s.config.isGone != nil {
		return m.s.config.isGone(at)
	}
	return m.s.config.net == nil && !pionnet.HasAddress(at)
}

// watchRoute prepares lookAround. To ask the system for the route takes a few system calls and no packet.
func (m *mover) watchRoute() {
	config := m.s.config
	pair := selected(m.p.pc)
	if !m.p.moves || pair == nil || config.net != nil && config.route == nil {
		return
	}
	var err error
	if m.far, err = netip.ParseAddr(pair.Remote.Address); err != nil {
		return
	}
	if m.home = m.route(); m.home.IsValid() {
		m.seen = m.home
		if m.p.home.IsValid() {
			m.home = m.p.home
		}
		if config.route != nil {
			m.look = time.Tick(lookoutInterval)
		} else {
			m.look = pionnet.WatchRoutes(m.ctx, lookoutInterval, m.s.wg.Go)
		}
	}
}

// lookAround begins a move if packets to the other side leave from another address than they did when the two connected. The new
// connection must not use the old address, which ICE could choose again as long as it works.
func (m *mover) lookAround() {
	now := m.route()
	switch {
	case !now.IsValid(), now == m.seen && (now == m.home || m.doubt.gone):
		return
	case now == m.home:
		m.seen, m.left, m.doubt.gone = now, netip.Addr{}, false
		if !m.p.relayed() {
			m.due = nil
		}
		return
	}
	gone := m.isGone(m.home)
	if now == m.seen && !gone {
		return
	}
	m.p.log.Info("this machine's network has changed: moving the connection", "from", m.home, "to", now, "gone", gone)
	m.seen, m.left = now, m.home
	if gone {
		m.addressGone()
		return
	}
	if own, ok := m.p.network.(*pionnet.Net); ok {
		own.Stay(m.home, now) // until the move
	}
	m.tryNow(whyAddress)
}

// udpWorks begins a move to a direct path.
func (m *mover) udpWorks() {
	m.udp = nil
	m.p.log.Info("the network lets UDP through now: looking for a direct path")
	m.tryNow(whyUDP)
}

// stunServer returns the address of a STUN server over UDP with which the two have met, or "".
func stunServer(p *Pipe) string {
	for _, s := range p.servers {
		for _, raw := range s.URLs {
			if u, err := stun.ParseURI(raw); err == nil && u.Scheme == stun.SchemeTypeSTUN {
				return net.JoinHostPort(u.Host, strconv.Itoa(u.Port))
			}
		}
	}
	return ""
}

// awaitUDP asks a STUN server until it answers, and then closes works, unless the server has answered early: then a
// block of UDP is not why the path is a relay's.
func awaitUDP(ctx context.Context, address string, works chan<- struct{}) {
	ticker := time.NewTicker(lookoutInterval)
	defer ticker.Stop()
	eager := time.After(lookoutEager)
	at := "" // of the server, whose name is looked up once
	for unanswered := 0; ; unanswered++ {
		if at == "" {
			at = lookUp(ctx, address)
		}
		if at != "" && stunAnswers(ctx, at) {
			if unanswered >= lookoutUnanswered {
				close(works)
			}
			return
		}
		select {
		case <-eager:
			ticker.Reset(lookoutMost)
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// lookUp returns the IP address and port of a server with a name, or "".
func lookUp(ctx context.Context, address string) string {
	ctx, cancel := context.WithTimeout(ctx, lookoutInterval)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "udp", address) // chooses an address to which there is a route; no packet is sent
	if err != nil {
		return ""
	}
	defer c.Close()
	return c.RemoteAddr().String()
}

// stunAnswers reports whether a STUN server answers a Binding request (RFC 8489, section 3) within lookoutInterval.
func stunAnswers(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, lookoutInterval)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "udp", address)
	if err != nil {
		return false
	}
	defer c.Close()
	defer endWith(ctx, c.SetReadDeadline)()
	request, err := stun.Build(stun.TransactionID, stun.BindingRequest)
	if err != nil {
		return false
	}
	if _, err := c.Write(request.Raw); err != nil {
		return false
	}
	b := make([]byte, 1500)
	for {
		n, err := c.Read(b)
		if err != nil {
			return false
		}
		var reply stun.Message
		if stun.Decode(b[:n], &reply) == nil && reply.TransactionID == request.TransactionID && reply.Type == stun.BindingSuccess {
			return true
		}
	}
}
