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
	"p2pchat/signaling/internal/ratelimit"
)

// A guest, which answers a call, gets credentials before it has proven that it knows the code, so
// that the proof takes no additional round trip. The credentials have the guest's ticket, encrypted,
// and the relay holds a request for an allocation until the caller has accepted the answer that was
// written with that ticket. The guest sees a slow reply.
//
//	guest                      server                   relay              caller
//	  | GET ice-servers, token   |                        |                   |
//	  | POST answer, token       |                        |                   |
//	  | Allocate ────────────────|──────────────────────▶ | (held)            |
//	  |                          | POST offer-candidate ──|───────────────────|
//	  |                          | Accepted ────────────▶ |                   |
//	  | success ◀────────────────|────────────────────────|                   |

// Bounds of held requests. The source of a UDP request may be forged, so maxHeldGiven counts by the
// client that the server gave the credentials to.
const (
	maxHeld      = 1024
	maxHeldFrom  = 32  // from one address, or one IPv6 network of 64 bits
	maxHeldGiven = 128 // with the credentials of one client: see signaling.Ticket.From
	holdTimeout  = 10 * time.Second
	maxTicket    = 128 // bytes of room and token
)

// newSeal returns the cipher that encrypts tickets in user names.
func newSeal(secret []byte) cipher.AEAD {
	key := sha256.Sum256(append([]byte("p2pchat relay ticket "), secret...))
	block, _ := aes.NewCipher(key[:]) // the key has one of the lengths of AES keys
	seal, _ := cipher.NewGCM(block)   // AES has the block size of GCM
	return seal
}

// sealTicket returns an encrypted ticket, for a user name.
func (r *Relay) sealTicket(t signaling.Ticket) string {
	nonce := make([]byte, r.seal.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return base64.RawURLEncoding.EncodeToString(r.seal.Seal(nonce, nonce, []byte(t.Room+"\n"+t.Token+"\n"+t.From), nil))
}

// ticketOf returns the ticket in an Allocate request's user name. ok is false if there is none, or
// if the sender does not know the password: the network can read user names, and the number of held
// requests is limited. pion answers the other requests.
func (r *Relay) ticketOf(request []byte) (t signaling.Ticket, ok bool) {
	m := stun.Message{Raw: slices.Clip(request)} // Check writes after the message
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

// heldRequests are the requests of guests whom the caller has not accepted yet.
type heldRequests struct {
	ctx      context.Context // of Serve: no wait outlasts it
	accepted func(context.Context, signaling.Ticket) bool
	waiting  sync.WaitGroup

	mu    sync.Mutex // guards what follows
	from  map[source]bool
	of    map[netip.Addr]int // number of requests, by ratelimit.Client
	given map[string]int     // number of requests, by signaling.Ticket.From
	ended bool
}

func newHeldRequests(ctx context.Context, accepted func(context.Context, signaling.Ticket) bool) *heldRequests {
	return &heldRequests{ctx: ctx, accepted: accepted, from: map[source]bool{}, of: map[netip.Addr]int{}, given: map[string]int{}}
}

// run runs hold in a goroutine, unless Serve is ending.
func (h *heldRequests) run(hold func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.ended {
		h.waiting.Go(hold)
	}
}

// wait returns once all goroutines have ended. h.ctx must have ended.
func (h *heldRequests) wait() {
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.waiting.Wait()
}

// enter counts a request. If ok, the caller must call leave. repeated is true if a request from the
// same source is held already.
func (h *heldRequests) enter(from source, given string) (ok, repeated bool) {
	network := ratelimit.Client(from.at.Addr())
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.from[from]:
		return false, true
	case len(h.from) >= maxHeld, h.of[network] >= maxHeldFrom, given != "" && h.given[given] >= maxHeldGiven:
		return false, false
	}
	h.from[from] = true
	h.of[network]++
	h.given[given]++
	return true, false
}

func (h *heldRequests) leave(from source, given string) {
	network := ratelimit.Client(from.at.Addr())
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.from, from)
	if h.of[network]--; h.of[network] == 0 {
		delete(h.of, network)
	}
	if h.given[given]--; h.given[given] == 0 {
		delete(h.given, given)
	}
}

// hold waits until the caller has accepted the guest with a ticket, and reports whether the caller
// has. It returns false at once for a retransmission of a held request, and if too many requests are
// held.
func (r *Relay) hold(from net.Addr, t signaling.Ticket) bool {
	client := sourceOf(from)
	ok, repeated := r.held.enter(client, t.From)
	if !ok {
		if !repeated {
			r.refuse(RefusedHeld, "last_client", ratelimit.Client(client.at.Addr()))
		}
		return false
	}
	defer r.held.leave(client, t.From)
	ctx, cancel := context.WithTimeout(r.held.ctx, holdTimeout)
	defer cancel()
	if r.held.accepted != nil && r.held.accepted(ctx, t) {
		return true
	}
	if r.held.ctx.Err() == nil {
		r.refuse(RefusedGuest, "last_client", ratelimit.Client(client.at.Addr()))
	}
	return false
}

// A filteredConn is a PacketConn whose ReadFrom returns the messages that Relay.filter lets pass. It
// returns held requests once the caller has accepted the guest.
type filteredConn struct {
	net.PacketConn
	relay *Relay

	mu       sync.Mutex // guards what follows
	released []packet
}

type packet struct {
	data []byte
	from net.Addr
}

func (c *filteredConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		if p, ok := c.next(); ok {
			return copy(b, p.data), p.from, nil
		}
		n, from, err := c.PacketConn.ReadFrom(b)
		if isTimeout(err) && c.SetReadDeadline(time.Time{}) == nil { // hold has set the deadline
			continue
		}
		if err != nil {
			return n, from, err
		}
		pass, ticket := c.relay.filter(from, b[:n])
		if pass && ticket == nil {
			return n, from, nil
		}
		if pass {
			p := packet{append([]byte(nil), b[:n]...), from}
			c.relay.held.run(func() { c.hold(p, *ticket) })
		}
	}
}

func (c *filteredConn) hold(p packet, t signaling.Ticket) {
	if !c.relay.hold(p.from, t) {
		return
	}
	c.mu.Lock()
	c.released = append(c.released, p)
	c.mu.Unlock()
	_ = c.SetReadDeadline(time.Unix(1, 0)) // ends the waiting read; it fails if the socket is closed
}

func (c *filteredConn) next() (p packet, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.released) == 0 {
		return p, false
	}
	p, c.released = c.released[0], c.released[1:]
	return p, true
}

func isTimeout(err error) bool { return err != nil && os.IsTimeout(err) }
