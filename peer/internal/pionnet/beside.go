package pionnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

const (
	besideQueue = 4096 // packets that wait to be read: a little more than the flow control of one file lets come
	mostPairs   = 64
)

// A pair is a socket of ICE and an address of the other side, which packets go between.
//
// The two sides of a call may use different pairs: each answers on the one by which it was asked. QUIC knows one socket, and tells
// connections apart by the other side's address. So it is given another address for each pair: with the other side's IP
// address, because QUIC looks at its family, and the number of the pair in place of the port.
type pair struct {
	socket *sharedSocket
	remote netip.AddrPort
	addr   *net.UDPAddr // for QUIC
}

// A waiting is a packet that QUIC has not read.
type waiting struct {
	packet []byte
	by     *pair
}

// A Beside has the packets of QUIC on the sockets of an ICE agent. One goroutine may read while others write.
type Beside struct {
	sockets *Sockets

	mu      sync.Mutex // guards what follows
	changed sync.Cond
	pairs   []*pair
	last    *pair     // of the last packet that came
	queue   []waiting // at most besideQueue
	spare   [][]byte  // buffers
	closed  bool
	late    bool // the read deadline has passed
}

// To returns the address by which QUIC sends from one of ICE's sockets to an address of the other side. It returns nil if ICE
// has no such socket.
func (b *Beside) To(local, remote netip.AddrPort) net.Addr {
	b.sockets.mu.Lock()
	s := b.sockets.open[local]
	b.sockets.mu.Unlock()
	if s == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.find(s, remote)
	if w == nil {
		w = b.add(s, remote)
	}
	if w == nil {
		return nil
	}
	return w.addr
}

// find, under mu, returns a pair, or nil.
func (b *Beside) find(s *sharedSocket, remote netip.AddrPort) *pair {
	for _, w := range b.pairs {
		if w.socket == s && w.remote == remote {
			return w
		}
	}
	return nil
}

// add, under mu, returns a new pair, or nil if there are mostPairs.
func (b *Beside) add(s *sharedSocket, remote netip.AddrPort) *pair {
	if len(b.pairs) == mostPairs {
		return nil
	}
	w := &pair{s, remote, &net.UDPAddr{IP: remote.Addr().AsSlice(), Port: len(b.pairs) + 1}}
	b.pairs = append(b.pairs, w)
	return w
}

// by returns the pair that QUIC means by an address, or nil.
func (b *Beside) by(addr net.Addr) *pair {
	u, ok := addr.(*net.UDPAddr)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !ok || u.Port < 1 || u.Port > len(b.pairs) {
		return nil
	}
	return b.pairs[u.Port-1]
}

// take queues a packet if it is QUIC's, or drops it if besideQueue wait. It returns false if the packet is for ICE.
func (b *Beside) take(s *sharedSocket, packet []byte, from netip.AddrPort) bool {
	if b == nil || len(packet) == 0 || packet[0] < firstOfQUIC {
		return false
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	b.mu.Lock()
	defer b.mu.Unlock()
	if w := b.last; w == nil || w.socket != s || w.remote != from {
		if w = b.find(s, from); w == nil && b.sockets.knows(from) {
			w = b.add(s, from)
		}
		if w == nil {
			return false
		}
		b.last = w
	}
	if len(b.queue) == besideQueue || b.closed {
		return true
	}
	var buffer []byte
	if last := len(b.spare) - 1; last >= 0 {
		buffer, b.spare = b.spare[last][:0], b.spare[:last]
	}
	b.queue = append(b.queue, waiting{append(buffer, packet...), b.last})
	b.changed.Signal()
	return true
}

// read waits for packets, and hands each to take while take returns true.
func (b *Beside) read(take func(packet []byte, from net.Addr) bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) == 0 || b.closed {
		switch {
		case b.closed:
			return net.ErrClosed
		case b.late:
			return os.ErrDeadlineExceeded
		}
		b.changed.Wait()
	}
	taken := 0
	for taken < len(b.queue) && take(b.queue[taken].packet, b.queue[taken].by.addr) {
		b.spare = append(b.spare, b.queue[taken].packet)
		taken++
	}
	b.queue = append(b.queue[:0], b.queue[taken:]...)
	return nil
}

// ReadFrom waits for a packet.
func (b *Beside) ReadFrom(p []byte) (n int, from net.Addr, err error) {
	err = b.read(func(packet []byte, at net.Addr) bool {
		if from != nil {
			return false
		}
		n, from = copy(p, packet), at
		return true
	})
	return n, from, err
}

var errNoPair = errors.New("ICE knows no such pair")

// WriteTo sends a packet to the other side.
func (b *Beside) WriteTo(p []byte, to net.Addr) (int, error) {
	w := b.by(to)
	if w == nil {
		return 0, errNoPair
	}
	return w.socket.WriteToAddrPort(p, w.remote)
}

// LocalAddr returns an address for logs: each pair has another one.
func (*Beside) LocalAddr() net.Addr { return besideICE{} }

type besideICE struct{}

func (besideICE) Network() string { return "udp" }
func (besideICE) String() string  { return "the sockets of ICE" }

// SetReadDeadline ends a read that waits if t has passed: quic-go sets no later one.
func (b *Beside) SetReadDeadline(t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.late = !t.IsZero() && time.Until(t) <= 0
	b.changed.Broadcast()
	return nil
}

// SetWriteDeadline does nothing: a write does not wait.
func (*Beside) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline is SetReadDeadline.
func (b *Beside) SetDeadline(t time.Time) error { return b.SetReadDeadline(t) }

// SetReadBuffer does nothing: the sockets have their size. quic-go complains if the method is missing.
func (*Beside) SetReadBuffer(int) error { return nil }

// SetWriteBuffer does nothing, as SetReadBuffer.
func (*Beside) SetWriteBuffer(int) error { return nil }

// Close makes reads return net.ErrClosed, and gives the packets back to ICE. The sockets stay open.
func (b *Beside) Close() error {
	b.sockets.beside.CompareAndSwap(b, nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.queue, b.spare = true, nil, nil
	b.changed.Broadcast()
	return nil
}
