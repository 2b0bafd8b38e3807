package pionnet

import (
	"encoding/binary"
	"slices"

	"github.com/pion/stun/v4"
)

// pion keeps an allocation with the credentials that made it, and only logs it if the server refuses them: the allocation, or its
// permissions, end some minutes later, and the connection with them. A TURNNet calls refused, so that the program can make
// another connection before. A server must refuse other credentials for the same allocation (RFC 8656, section 5: 441), so
// new ones cannot be put into pion's requests. If pion told of a failed refresh, that would retire this file.

// keeping are the errors to the requests that keep an allocation and its permissions.
var keeping = []stun.MessageType{
	stun.NewType(stun.MethodRefresh, stun.ClassErrorResponse),
	stun.NewType(stun.MethodCreatePermission, stun.ClassErrorResponse),
	stun.NewType(stun.MethodChannelBind, stun.ClassErrorResponse),
}

// keeps are those requests.
var keeps = []stun.MessageType{
	stun.NewType(stun.MethodRefresh, stun.ClassRequest),
	createPermission,
	stun.NewType(stun.MethodChannelBind, stun.ClassRequest),
}

const maxPending = 64 // requests whose refusal counts, the latest ones: pion sends a few at once

const maxRefusal = 1500 // bytes; a longer message is not read for its error

// expect notes a request that keeps the allocation: only its own answer can say that the server no longer does.
func (p *permits) expect(message []byte) {
	id, ok := transactionOf(message, keeps...)
	if !ok || p.refused == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.pending, id) { // pion sends it again
		return
	}
	if len(p.pending) == maxPending {
		p.pending = slices.Delete(p.pending, 0, 1)
	}
	p.pending = append(p.pending, id)
}

// expected reports whether a message has the ID of a pending request, once.
func (p *permits) expected(id transaction) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.pending, id)
	if i < 0 {
		return false
	}
	p.pending = slices.Delete(p.pending, i, i+1)
	return true
}

// observe calls refused if a message of the server says that it no longer keeps the allocation.
func (p *permits) observe(message []byte) {
	id, ok := transactionOf(message, keeping...)
	if !ok || p.refused == nil || !p.expected(id) {
		return
	}
	m := &stun.Message{Raw: append([]byte(nil), message...)}
	var code stun.ErrorCodeAttribute
	if m.Decode() != nil || code.GetFrom(m) != nil {
		return
	}
	switch code.Code {
	case stun.CodeUnauthorized, stun.CodeAllocMismatch, stun.CodeWrongCredentials:
		p.refused()
	}
}

// mayRefuse reports whether a message that begins with head is worth reading.
func mayRefuse(head []byte) bool {
	for _, t := range keeping {
		if binary.BigEndian.Uint16(head) == t.Value() {
			return messageLength(head) <= maxRefusal
		}
	}
	return false
}

// copyRefusal adds the next bytes of a message that may be a refusal, and observes it once it is complete.
func (c *turnStream) copyRefusal(part []byte) {
	if c.copied == nil {
		return
	}
	if c.copied = append(c.copied, part...); c.left == 0 {
		c.permits.observe(c.copied)
		c.copied = nil
	}
}
