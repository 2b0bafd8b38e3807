package pionnet

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/stun/v4"
)

// turnPackets is a connection to a TURN server over UDP. It repeats a request that it has answered until the server
// answers, too, because a packet may be lost.
type turnPackets struct {
	net.PacketConn
	permits permits

	// owned by ReadFrom:
	held     []byte // arrived while an answer was queued, and is returned after it
	heldFrom net.Addr

	mu      sync.Mutex // guards what follows
	server  net.Addr
	asking  map[transaction]*time.Timer
	stopped bool
}

// How often a request is repeated that the server does not answer.
const (
	permissionPause = 200 * time.Millisecond // before the first repetition; each pause is twice the one before
	permissionTries = 7
)

// WriteTo sends a message to the server, unless it is refused in the server's place.
func (c *turnPackets) WriteTo(b []byte, server net.Addr) (int, error) {
	c.mu.Lock()
	c.server = server
	c.mu.Unlock()
	// The answer is queued before the server can give its own: pion uses the first.
	switch id, v := c.permits.judge(b, addressOf(server), c.SetReadDeadline); v {
	case withheld:
		return len(b), nil
	case granted:
		c.repeat(id, append([]byte(nil), b...), server, permissionPause, permissionTries)
	case passed:
	}
	return c.PacketConn.WriteTo(b, server)
}

// repeat sends request again after a pause, and after a longer one, until the server answers.
func (c *turnPackets) repeat(id transaction, request []byte, server net.Addr, pause time.Duration, times int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || times == 0 {
		delete(c.asking, id)
		return
	}
	if c.asking == nil {
		c.asking = map[transaction]*time.Timer{}
	}
	c.asking[id] = time.AfterFunc(pause, func() {
		_, _ = c.PacketConn.WriteTo(request, server) // fails once it is closed
		c.repeat(id, request, server, 2*pause, times-1)
	})
}

// ReadFrom returns the next queued answer, or waits for a message of the server.
func (c *turnPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		if answer := c.permits.next(); answer != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			return copy(b, answer), c.server, nil
		}
		if c.held != nil {
			n, from := copy(b, c.held), c.heldFrom
			c.held = nil
			return n, from, nil
		}
		n, from, err := c.PacketConn.ReadFrom(b)
		if c.permits.woken(err, c.SetReadDeadline) {
			continue
		}
		if err != nil {
			return n, from, err
		}
		c.answered(b[:n])
		if c.isServer(from) {
			c.permits.observe(b[:n])
		}
		if !c.permits.due() {
			return n, from, nil
		}
		c.held, c.heldFrom = append([]byte(nil), b[:n]...), from
	}
}

// answered ends the repetition of the request that the server answers with b.
func (c *turnPackets) answered(b []byte) {
	id, ok := transactionOf(b, stun.NewType(stun.MethodCreatePermission, stun.ClassSuccessResponse), stun.NewType(stun.MethodCreatePermission, stun.ClassErrorResponse))
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.asking[id]; t != nil {
		t.Stop()
		delete(c.asking, id)
	}
}

// isServer reports whether the messages of this side go to an address.
func (c *turnPackets) isServer(at net.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server != nil && addrPortOf(at) == addrPortOf(c.server)
}

// Close ends all repetitions, and closes the connection.
func (c *turnPackets) Close() error {
	c.mu.Lock()
	c.stopped = true
	for _, t := range c.asking {
		t.Stop()
	}
	c.mu.Unlock()
	return c.PacketConn.Close()
}

// turnStream is a connection to a TURN server over TCP or TLS. It puts queued answers between two messages of the
// server.
type turnStream struct {
	net.Conn
	server  netip.Addr
	permits permits

	// owned by Read:
	queued []byte // an answer, which Read returns first
	ready  []byte // the beginning of a message, which Read returns next
	head   []byte // the beginning of a message whose length is not known yet
	left   int    // bytes of the current message that the connection has
	copied []byte // of the current message, if it may be a refusal
}

// Write sends a message to the server, unless it is refused in the server's stead. pion writes one at a time.
func (c *turnStream) Write(b []byte) (int, error) {
	// The answer is queued before the server can give its own: pion uses the first.
	if _, v := c.permits.judge(b, c.server, c.SetReadDeadline); v == withheld {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// Read returns the next bytes of a queued answer or of the server.
func (c *turnStream) Read(b []byte) (int, error) {
	for {
		if len(c.queued) == 0 && (len(c.ready) == lengthSize || len(c.ready)+len(c.head)+c.left == 0) {
			c.queued = c.permits.next()
		}
		if len(c.queued) > 0 {
			n := copy(b, c.queued)
			c.queued = c.queued[n:]
			return n, nil
		}
		if len(c.ready) > 0 {
			n := copy(b, c.ready)
			c.ready = c.ready[n:]
			return n, nil
		}
		n, err := c.read(b)
		if c.permits.woken(err, c.SetReadDeadline) {
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

const lengthSize = 4 // bytes at the beginning of a message, which tell its length

// read reads a part of the current message, or of the next one's length, for which it returns 0.
func (c *turnStream) read(b []byte) (int, error) {
	if c.left > 0 {
		n, err := c.Conn.Read(b[:min(len(b), c.left)])
		c.left -= n
		c.copyRefusal(b[:n])
		return n, err
	}
	var part [lengthSize]byte
	n, err := c.Conn.Read(part[:lengthSize-len(c.head)])
	if c.head = append(c.head, part[:n]...); len(c.head) == lengthSize {
		c.ready, c.left, c.head = c.head, messageLength(c.head)-lengthSize, nil
		c.copied = nil
		if mayRefuse(c.ready) {
			c.copied = append(c.copied, c.ready...)
		}
	}
	return 0, err
}

// messageLength returns how many bytes a STUN message (RFC 8489, section 5) or ChannelData (RFC 8656,
// section 12.5) has that begins with head.
func messageLength(head []byte) int {
	n := int(binary.BigEndian.Uint16(head[2:]))
	if head[0]>>6 == 0 {
		return 20 + n
	}
	return lengthSize + (n+3)/4*4
}
