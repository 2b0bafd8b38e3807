package pionnet

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/pion/transport/v5"
)

// These are defined in udp(7) and linux/udp.h.
const (
	solUDP     = syscall.IPPROTO_UDP
	udpSegment = 103
	udpGRO     = 104
)

const (
	batchPackets = 64      // that the kernel takes at a time
	batchBytes   = 60_000  // less than a UDP packet holds
	readBytes    = 1 << 16 // that the kernel hands out at a time
	socketBuffer = 4 << 20 // bytes, as far as the system allows
	idle         = 20 * time.Microsecond
)

// A batchConn is a UDP socket that hands the kernel many packets at a time (UDP_SEGMENT),
// and takes many from it (UDP_GRO).
//
// pion writes and reads one packet with each system call, which costs a fast transfer more time than
// everything else: 43 MB/s on loopback, where batches take it to 77. Its own udp.BatchConn (sendmmsg) is for
// listeners that share a socket; the sockets that an ICE agent gathers have none. Batches there would
// retire this file.
type batchConn struct {
	*quietUDP
	wg sync.WaitGroup

	// owned by ReadFromAddrPort:
	in, oob []byte
	rest    []byte // of in, not read yet
	segment int    // bytes in each packet of rest
	from    netip.AddrPort

	mu      sync.Mutex // guards what follows
	changed *sync.Cond
	next    *batch // which collects packets
	spare   *batch
	sending bool // a batch
	running bool // the goroutine of send
	closed  bool
	last    time.Time // of a write
	err     error     // of the last batch
	single  bool      // this kernel or device takes one packet at a time
}

// A batch is packets to one address, all of a size but the last, which may be shorter.
type batch struct {
	to      netip.AddrPort
	bytes   []byte
	size    int
	packets int
}

// batched returns a socket that writes and reads batches, or c itself if it is no socket of the system.
func batched(c transport.UDPConn) transport.UDPConn {
	u, ok := c.(*net.UDPConn)
	if !ok {
		return c
	}
	_, _ = u.SetReadBuffer(socketBuffer), u.SetWriteBuffer(socketBuffer) // the system's sizes do, too
	q, err := newQuietUDP(u)
	if err != nil {
		return c
	}
	_ = q.raw.Control(func(fd uintptr) { // without it, packets come one by one
		_ = syscall.SetsockoptInt(int(fd), solUDP, udpGRO, 1)
	})
	b := &batchConn{quietUDP: q, oob: make([]byte, syscall.CmsgSpace(4)), next: &batch{}, spare: &batch{}}
	b.changed = sync.NewCond(&b.mu)
	return b
}

// ReadFromAddrPort reads the next packet.
func (c *batchConn) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	if len(c.rest) == 0 {
		if c.in == nil {
			c.in = make([]byte, readBytes)
		}
		n, oobn, _, from, err := c.ReadMsgUDPAddrPort(c.in, c.oob)
		if err != nil {
			return 0, from, err
		}
		c.rest, c.segment, c.from = c.in[:n], segmentOf(c.oob[:oobn], n), from
	}
	n := min(c.segment, len(c.rest))
	copied := copy(b, c.rest[:n])
	c.rest = c.rest[n:]
	return copied, c.from, nil
}

// segmentOf returns how many bytes each packet has of n bytes that the kernel handed out together.
func segmentOf(oob []byte, n int) int {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return n
	}
	for _, m := range messages {
		if m.Header.Level == solUDP && m.Header.Type == udpGRO && len(m.Data) >= 4 {
			if size := int(binary.NativeEndian.Uint32(m.Data)); size > 0 {
				return size
			}
		}
	}
	return n
}

// ReadFrom reads the next packet, for callers that want a net.Addr.
func (c *batchConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// WriteTo writes a packet, for callers that have a net.Addr.
func (c *batchConn) WriteTo(b []byte, to net.Addr) (int, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return c.UDPConn.WriteTo(b, to)
	}
	return c.WriteToAddrPort(b, u.AddrPort())
}

// WriteToAddrPort sends a packet at once if the last one was sent longer ago than idle, and otherwise soon,
// in a batch with the packets that follow. It waits while the batch is full. The error may be that of
// an earlier packet.
func (c *batchConn) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	now := time.Now()
	c.mu.Lock()
	isIdle := now.Sub(c.last) > idle && c.next.packets == 0 && !c.sending
	c.last = now
	if isIdle || c.single || len(b) == 0 {
		c.mu.Unlock()
		return c.WriteToUDPAddrPort(b, to)
	}
	defer c.mu.Unlock()
	for !c.closed && !c.next.add(b, to) {
		c.changed.Wait()
	}
	if c.closed {
		return 0, net.ErrClosed
	}
	if !c.running {
		c.running = true
		c.wg.Go(c.send)
	}
	c.changed.Broadcast()
	err := c.err
	c.err = nil
	return len(b), err
}

// add collects a packet. It returns false if the packet needs another batch.
func (x *batch) add(b []byte, to netip.AddrPort) bool {
	switch {
	case x.packets == 0:
		x.to, x.size = to, len(b)
	case x.to != to, len(b) > x.size, x.packets == batchPackets, len(x.bytes)+len(b) > batchBytes, len(x.bytes) != x.packets*x.size:
		return false
	}
	x.bytes = append(x.bytes, b...)
	x.packets++
	return true
}

// send sends batches until the socket is closed, and then the last one.
func (c *batchConn) send() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for c.next.packets == 0 && !c.closed {
			c.changed.Wait()
		}
		if c.next.packets == 0 {
			return
		}
		x := c.next
		c.next, c.sending = c.spare, true
		c.changed.Broadcast()
		c.mu.Unlock()
		err := c.write(x)
		x.bytes, x.packets = x.bytes[:0], 0
		c.mu.Lock()
		c.spare, c.sending = x, false
		if err != nil {
			c.err = err
		}
	}
}

// write hands a batch to the kernel, or its packets one by one if the kernel takes no batches.
func (c *batchConn) write(x *batch) error {
	if x.packets > 1 && !c.single {
		_, _, err := c.WriteMsgUDPAddrPort(x.bytes, segments(x.size), x.to)
		if err == nil || !takesNoBatch(err) {
			return err
		}
		c.mu.Lock()
		c.single = true
		c.mu.Unlock()
	}
	for rest := x.bytes; len(rest) > 0; {
		n := min(x.size, len(rest))
		if _, err := c.WriteToUDPAddrPort(rest[:n], x.to); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// takesNoBatch reports whether err says that the kernel, or the device, takes no batches.
func takesNoBatch(err error) bool {
	for _, no := range []error{syscall.EIO, syscall.EINVAL, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP, syscall.EMSGSIZE} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// segments returns the control message that says how many bytes each packet of a batch has.
func segments(size int) []byte {
	b := make([]byte, syscall.CmsgSpace(2))
	h := (*syscall.Cmsghdr)(unsafe.Pointer(&b[0])) //nolint:gosec // cmsg(3) defines it so
	h.Level, h.Type = solUDP, udpSegment
	h.SetLen(syscall.CmsgLen(2))
	binary.NativeEndian.PutUint16(b[syscall.CmsgLen(0):], uint16(size)) //nolint:gosec // less than batchBytes
	return b
}

// Close sends the last batch, and closes the socket.
func (c *batchConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.changed.Broadcast()
	c.mu.Unlock()
	c.wg.Wait()
	return c.UDPConn.Close()
}
