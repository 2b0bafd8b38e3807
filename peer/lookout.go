package peer

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/pion/stun/v4"
)

// A Session whose connection goes through a relay asks a STUN server over UDP, until it answers. If the server has not answered
// lookoutUnanswered times before, the network lets UDP through from now on, and the Session looks for a direct path at once. A server that lies causes one
// move of a connection, which counts among movesMost. Behind a proxy it asks nothing: what can go through the proxy should.
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

// udpWorks begins a move to a direct path.
func (m *mover) udpWorks() {
	m.udp = nil
	m.p.log.Info("the network lets UDP through now: looking for a direct path")
	m.tryNow()
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
