package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/pionnet"
	"p2pchat/peer/internal/quicpath"
)

// fastTrip is a round trip from which on files do without the fast path: there the network bounds a file, not the
// processor, and QUIC's congestion control recovers from lost packets no sooner than SCTP's.
const fastTrip = 10 * time.Millisecond

var errNoFastPath = errors.New("files do without the fast path")

// A fastPath carries further channels over QUIC: beside ICE, on its sockets. It is made when the first file is accepted. The
// side that opens a channel chooses the path: the pair of addresses that ICE has chosen for it, if packets go there without a
// relay. ICE on the other side may have chosen another pair: QUIC's packets are taken from all addresses that ICE has
// heard. A channel that cannot be opened here is opened as a DataChannel.
type fastPath struct {
	pipe    *Pipe
	sockets *pionnet.Sockets
	keys    quicpath.Keys
	relays  *relays // their checks may arrive before the candidates
	wg      sync.WaitGroup

	mu     sync.Mutex // guards what follows
	begun  bool
	beside *pionnet.Beside
	path   *quicpath.Path    // nil before it has begun, or if it could not
	failed [2]netip.AddrPort // the pair on which it did not connect
	open   int               // channels of this side
}

// newFastPath returns the fast path of a Pipe, or nil if one side cannot use it.
func (a *attempt) newFastPath(p *Pipe) *fastPath {
	if !a.quic {
		return nil
	}
	side := a.ticket.Side
	keys := quicpath.Keys{Own: a.keys.quicSeed(side), Theirs: a.keys.quicSeed(side.Other())}
	return &fastPath{pipe: p, sockets: a.sockets, keys: keys, relays: a.remote.relays}
}

// dial opens a channel, or returns an error soon.
func (f *fastPath) dial(ctx context.Context) (io.ReadWriteCloser, error) {
	if f == nil || f.pipe.RoundTrip() >= fastTrip {
		return nil, errNoFastPath
	}
	local, remote := f.pair()
	path, to := f.pathOver(local, remote)
	if to == nil {
		return nil, errNoFastPath
	}
	c, err := path.Open(ctx, to)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil:
		f.open++
		return &countedChannel{ReadWriteCloser: c, closed: f.leave}, nil
	case ctx.Err() == nil && !isClosed(f.pipe.ended):
		f.pipe.log.Info("files go without the fast path", "why", err)
		f.failed = [2]netip.AddrPort{local, remote} // it is not tried again there
	}
	return nil, err
}

// pathOver returns where QUIC sends from one address to the other, or nil if it cannot.
func (f *fastPath) pathOver(local, remote netip.AddrPort) (*quicpath.Path, net.Addr) {
	if !remote.IsValid() {
		return nil, nil
	}
	f.listen()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.path == nil || f.failed == [2]netip.AddrPort{local, remote} {
		return nil, nil
	}
	return f.path, f.beside.To(local, remote)
}

// leave notes that a channel of this side has ended.
func (f *fastPath) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open--
}

// busy reports whether a channel of this side is open.
func (f *fastPath) busy() bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open > 0
}

// listen begins, once, to take the channels of the other side. It does not wait.
func (f *fastPath) listen() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begun || isClosed(f.pipe.ended) {
		return
	}
	f.begun, f.beside = true, f.sockets.Beside()
	path, err := quicpath.New(f.beside.Conn(), f.keys, furtherChannels, f.pipe.take, f.pipe.log)
	if err != nil {
		f.pipe.log.Info("files go without the fast path", "why", err)
		return
	}
	f.path = path
	f.wg.Go(func() {
		<-f.pipe.ended
		_ = path.Close() // nothing is lost
	})
}

// close waits until the path has ended. The Pipe must have.
func (f *fastPath) close() {
	if f == nil {
		return
	}
	f.mu.Lock()
	f.begun = true // or it is, and the lock has waited for that
	f.mu.Unlock()
	f.wg.Wait()
}

// pair returns the addresses of the two sockets that ICE uses, if packets go straight from one to the other; otherwise
// zero ones.
func (f *fastPath) pair() (local, remote netip.AddrPort) {
	pair := selected(f.pipe.pc)
	if pair == nil || pair.Local.Protocol != webrtc.ICEProtocolUDP || pair.Local.Typ == webrtc.ICECandidateTypeRelay || pair.Remote.Typ == webrtc.ICECandidateTypeRelay {
		return local, remote
	}
	base := addrPort(pair.Local.Address, pair.Local.Port)
	if pair.Local.RelatedAddress != "" { // of the socket behind a NAT
		base = addrPort(pair.Local.RelatedAddress, pair.Local.RelatedPort)
	}
	to := addrPort(pair.Remote.Address, pair.Remote.Port)
	if f.relays.have(to) {
		return local, remote
	}
	return base, to
}

// addrPort returns the zero AddrPort for an address that is none.
func addrPort(address string, port uint16) netip.AddrPort {
	at, err := netip.ParseAddr(address)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(at.Unmap(), port)
}

// take takes a channel that the other side has opened on the fast path.
func (p *Pipe) take(c io.ReadWriteCloser) {
	if !p.room() {
		p.declined.warn(p.log, "closed a channel that is not the one", "over", "QUIC")
		_ = c.Close() // it is not used
		return
	}
	p.arrived <- &countedChannel{ReadWriteCloser: c, closed: p.leave} // there is room for all
}

// A countedChannel is one that counts until it is closed.
type countedChannel struct {
	io.ReadWriteCloser
	once   sync.Once
	closed func()
}

// Close ends the channel on both sides.
func (c *countedChannel) Close() error {
	c.once.Do(c.closed)
	return c.ReadWriteCloser.Close()
}
