package pionnet

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/net/ipv4"
)

// A batchedBeside is a Beside with what quic-go needs to hand the kernel many packets at a time (UDP_SEGMENT),
// and to take many.
type batchedBeside struct{ *Beside }

// Conn returns b with batches, if ICE's sockets have them.
func (b *Beside) Conn() net.PacketConn {
	b.sockets.mu.Lock()
	defer b.sockets.mu.Unlock()
	for _, s := range b.sockets.open {
		if s.batches() == nil {
			return b
		}
	}
	return &batchedBeside{b}
}

// batches returns the socket of the system, or nil if it has no batches.
func (s *sharedSocket) batches() *batchConn {
	p := s.packets
	if r, ok := p.(*routedPackets); ok { // ICE has chosen this pair: the routes lead there
		p = r.packets
	}
	c, _ := p.(*batchConn)
	return c
}

// ReadBatch waits for packets.
func (b *batchedBeside) ReadBatch(messages []ipv4.Message, _ int) (n int, err error) {
	err = b.read(func(packet []byte, from net.Addr) bool {
		if n == len(messages) {
			return false
		}
		messages[n].N, messages[n].NN, messages[n].Addr = copy(messages[n].Buffers[0], packet), 0, from
		n++
		return true
	})
	return n, err
}

// WriteMsgUDP sends packets to the other side.
func (b *batchedBeside) WriteMsgUDP(p, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	w := b.by(to)
	if w == nil {
		return 0, 0, errNoPair
	}
	c := w.socket.batches()
	if c == nil { // no sockets of one network are so different
		return 0, 0, errors.ErrUnsupported
	}
	return c.WriteMsgUDPAddrPort(p, oob, w.remote)
}

// ReadMsgUDP is not called where there is a ReadBatch.
func (*batchedBeside) ReadMsgUDP([]byte, []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	return 0, 0, 0, nil, errors.ErrUnsupported
}

// SyscallConn returns a connection whose options cannot be set: they are ICE's. quic-go takes the calls that do nothing for
// the answer that the kernel knows batches.
func (*batchedBeside) SyscallConn() (syscall.RawConn, error) { return untouched{}, nil }

type untouched struct{}

func (untouched) Control(func(uintptr)) error    { return nil }
func (untouched) Read(func(uintptr) bool) error  { return errors.ErrUnsupported }
func (untouched) Write(func(uintptr) bool) error { return errors.ErrUnsupported }
