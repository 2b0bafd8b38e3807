package relay

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"

	"p2pchat/signaling"
)

// A guest gets credentials before it has proven that it belongs in its room, so that the proof
// takes no round trip of its own. The credentials name the guest's ticket, under a seal, and the
// relay holds a request for an allocation until the caller has accepted the answer that was
// written with that ticket. The guest sees a slow reply.
//
//	guest                      server                   relay              caller
//	  | GET ice-servers, token   |                        |                   |
//	  | POST answer, token       |                        |                   |
//	  | Allocate ────────────────|──────────────────────▶ | (held)            |
//	  |                          | POST offer-candidate ──|───────────────────|
//	  |                          | Accepted ────────────▶ |                   |
//	  | success ◀────────────────|────────────────────────|                   |

// The bounds on held requests. UDP does not prove where a request comes from, so a second
// bound counts by the client that the server gave the credentials to.
const (
	maxHeld       = 1024
	maxHeldFrom   = 32  // sent from one address (IPv6: a network of 64 bits)
	maxHeldGiven  = 128 // with credentials that were given to one client; see signaling.Ticket.From
	holdPatience  = 10 * time.Second
	longestTicket = 128 // bytes of room and token
)

// newSeal returns the cipher that seals tickets in user names.
func newSeal(secret []byte) cipher.AEAD {
	key := sha256.Sum256(append([]byte("p2pchat relay ticket "), secret...))
	block, _ := aes.NewCipher(key[:]) // the key has a length that AES takes
	seal, _ := cipher.NewGCM(block)   // AES has the block size that GCM takes
	return seal
}

// sealTicket returns a ticket, encrypted, as a part of a user name.
func (r *Relay) sealTicket(t signaling.Ticket) string {
	nonce := make([]byte, r.seal.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return base64.RawURLEncoding.EncodeToString(r.seal.Seal(nonce, nonce, []byte(t.Room+"\n"+t.Token+"\n"+t.From), nil))
}

// ticketOf returns the ticket in an Allocate request's user name, if it has one and the
// request proves that its sender knows the password: user names can be seen on the way, and a
// held request takes one of few places. pion answers the other requests.
func (r *Relay) ticketOf(request []byte) (t signaling.Ticket, ok bool) {
	m := stun.Message{Raw: slices.Clip(request)} // Check writes behind the message
	if m.Decode() != nil {
		return t, false
	}
	name, err := m.Get(stun.AttrUsername)
	if err != nil {
		return t, false
	}
	_, key, ok := r.authenticate(&turn.RequestAttributes{Username: string(name), Realm: realm, Method: stun.MethodAllocate})
	if !ok || stun.MessageIntegrity(key).Check(&m) != nil {
		return t, false
	}
	parts := strings.SplitN(string(name), ":", 3)
	if len(parts) < 3 {
		return t, false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(sealed) < r.seal.NonceSize() {
		return t, false
	}
	nonce, sealed := sealed[:r.seal.NonceSize()], sealed[r.seal.NonceSize():]
	text, err := r.seal.Open(nil, nonce, sealed, nil)
	if err != nil {
		return t, false
	}
	room, rest, _ := strings.Cut(string(text), "\n")
	token, from, _ := strings.Cut(rest, "\n")
	return signaling.Ticket{Room: room, Side: signaling.Callee, Token: token, From: from}, true
}

// held are the requests of guests that the caller has not accepted yet.
type held struct {
	ctx      context.Context // of Serve: no wait outlasts it
	accepted func(context.Context, signaling.Ticket) bool
	waiting  sync.WaitGroup

	mu    sync.Mutex // guards what follows
	from  map[source]bool
	of    map[netip.Addr]int // how many of each customer
	given map[string]int     // the same by signaling.Ticket.From
	ended bool
}

func newHeld(ctx context.Context, accepted func(context.Context, signaling.Ticket) bool) *held {
	return &held{ctx: ctx, accepted: accepted, from: map[source]bool{}, of: map[netip.Addr]int{}, given: map[string]int{}}
}

// begin runs a wait, unless Serve ends.
func (h *held) begin(wait func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.ended {
		h.waiting.Go(wait)
	}
}

// end returns when all waits have ended; their context has to be over.
func (h *held) end() {
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.waiting.Wait()
}

// enter counts a request in, for which leave must be called if ok. repeated is true if a
// request from the same source is held already.
func (h *held) enter(from source, given string) (ok, repeated bool) {
	who := customer(from.at.Addr())
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.from[from]:
		return false, true
	case len(h.from) >= maxHeld, h.of[who] >= maxHeldFrom, given != "" && h.given[given] >= maxHeldGiven:
		return false, false
	}
	h.from[from] = true
	h.of[who]++
	h.given[given]++
	return true, false
}

func (h *held) leave(from source, given string) {
	who := customer(from.at.Addr())
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.from, from)
	if h.of[who]--; h.of[who] == 0 {
		delete(h.of, who)
	}
	if h.given[given]--; h.given[given] == 0 {
		delete(h.given, given)
	}
}

// hold waits until the caller has accepted the guest with a ticket, and reports whether it
// has. It returns false at once for a retransmission of a held request, and if too many
// requests are held.
func (r *Relay) hold(from net.Addr, t signaling.Ticket) bool {
	client := sourceOf(from)
	ok, repeated := r.held.enter(client, t.From)
	if !ok {
		if !repeated {
			r.refuse(RefusedHeld, "last_client", customer(client.at.Addr()))
		}
		return false
	}
	defer r.held.leave(client, t.From)
	ctx, cancel := context.WithTimeout(r.held.ctx, holdPatience)
	defer cancel()
	if r.held.accepted != nil && r.held.accepted(ctx, t) {
		return true
	}
	if r.held.ctx.Err() == nil {
		r.refuse(RefusedGuest, "last_client", customer(client.at.Addr()))
	}
	return false
}

// packets is a PacketConn that returns only messages that pass, held ones included.
type packets struct {
	net.PacketConn
	relay *Relay

	mu       sync.Mutex // guards what follows
	released []packet
}

type packet struct {
	data []byte
	from net.Addr
}

func (c *packets) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		if p, ok := c.next(); ok {
			return copy(b, p.data), p.from, nil
		}
		n, from, err := c.PacketConn.ReadFrom(b)
		if isTimeout(err) && c.SetReadDeadline(time.Time{}) == nil { // release has set one
			continue
		}
		if err != nil {
			return n, from, err
		}
		pass, ticket := c.relay.pass(from, b[:n])
		if pass && ticket == nil {
			return n, from, nil
		}
		if pass {
			p := packet{append([]byte(nil), b[:n]...), from}
			c.relay.held.begin(func() { c.hold(p, *ticket) })
		}
	}
}

func (c *packets) hold(p packet, t signaling.Ticket) {
	if !c.relay.hold(p.from, t) {
		return
	}
	c.mu.Lock()
	c.released = append(c.released, p)
	c.mu.Unlock()
	_ = c.SetReadDeadline(time.Unix(1, 0)) // ends the read that waits; a closed socket has none
}

func (c *packets) next() (p packet, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.released) == 0 {
		return p, false
	}
	p, c.released = c.released[0], c.released[1:]
	return p, true
}

func isTimeout(err error) bool { return err != nil && os.IsTimeout(err) }
