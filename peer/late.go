package peer

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
)

// A check may overtake the candidate of the address that it comes from. Until the candidate is there, a relay's address looks like one behind
// NAT. So an attempt that has led to a Pipe goes on taking and sending candidates until it is certain whether either side has a relay in the
// path, for lateCandidates at most; the caller keeps the room open for as long. If the path turns out to be a relay's, the Pipe
// says so on Relayed, and the Session looks for another one.
const lateCandidates = 2 * time.Second

// relays are the addresses of the other side's relays.
type relays struct {
	mu   sync.Mutex // guards what follows
	list []netip.AddrPort
}

func (r *relays) add(at netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, at)
}

func (r *relays) have(at netip.AddrPort) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.list, at)
}

// unsettled reports whether candidates that are on their way may show one of the two sides that the path is a relay's.
func (a *attempt) unsettled() bool {
	pair := a.selected()
	switch {
	case pair == nil:
		return false
	case pair.Local.Typ == webrtc.ICECandidateTypeRelay && a.local.unsent > 0:
		return true
	}
	return pair.Remote.Typ == webrtc.ICECandidateTypePrflx && !a.remote.complete && a.kindOf(pair.Remote) != webrtc.ICECandidateTypeRelay
}

// handOver leaves the PeerConnection, and what belongs to it, to the Pipe p. It leaves the attempt as well while the path is unsettled.
func (a *attempt) handOver(p *Pipe) {
	a.handedOver = true
	if a.unsettled() && a.untie() {
		a.gateway = nil // the Pipe has the mapped port, or none
		a.goesOn, p.late = true, a
		return
	}
	close(p.settled)
}

// settle begins, once, to go on with the attempt that has led to p, if the path is unsettled. The attempt's maker must have returned.
func (p *Pipe) settle() {
	if p.late != nil {
		p.lateOnce.Do(func() {
			go func() { // ends with p
				defer close(p.settled)
				p.late.goOn(p)
				p.late.finish()
			}()
		})
	}
}

// goOn takes and sends candidates.
func (a *attempt) goOn(p *Pipe) {
	late := time.NewTimer(lateCandidates)
	defer late.Stop()
	for a.unsettled() {
		select {
		case <-late.C:
			return
		case <-p.life.Done():
			return
		case <-p.ended:
			return
		case news := <-a.posts:
			switch news := news.(type) {
			case arrived, delivered, gathered, resolved:
				_, _ = news.handle(a.life, a) // makes no other Pipe
				a.queueBatch()
			case channelOpened:
				decline(news.DataChannel, &a.declined, a.log)
			case roomLost: // nothing comes any more
				return
			}
		}
		if !p.relayed() && a.path() == webrtc.ICECandidateTypeRelay.String() {
			a.log.Info("the connection goes through a relay: its candidate has come late")
			p.viaRelay.Store(true)
			p.relay <- a.route()
			p.turned <- struct{}{}
		}
	}
}

// Relayed returns a channel on which the Route comes, once, if a path that the Details have for another one turns out to be a relay's: the
// candidate that says so may come up to two seconds after the connection. It returns nil if the Details are right.
func (p *Pipe) Relayed() <-chan string {
	if p.late == nil {
		return nil
	}
	return p.relay
}

// relayed reports whether the packets go through a relay.
func (p *Pipe) relayed() bool {
	return p.Path == webrtc.ICECandidateTypeRelay.String() || p.viaRelay.Load()
}

// settleAfter waits until the path of a renewed connection is settled, as long as the one before lives. If the candidates of the other side were
// lost, the path is taken for a relay's like the one before.
func (p *Pipe) settleAfter(ctx context.Context, before *Pipe) {
	if p.late == nil {
		return
	}
	p.settle()
	select {
	case <-p.settled:
	case <-before.ended:
		return
	case <-ctx.Done():
		return
	}
	if p.viaRelay.Load() {
		p.Route = <-p.relay
		<-p.turned // the mover of p sees a relay from the beginning
	}
	if p.viaRelay.Load() || before.relayed() && !p.late.remote.complete {
		p.Path = webrtc.ICECandidateTypeRelay.String()
	}
}
