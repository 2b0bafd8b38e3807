package relay

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"p2pchat/signaling"
)

func TestGuests(t *testing.T) {
	guest := signaling.NewTicket("417", signaling.Callee)

	for _, over := range []string{"udp", "tcp", "tls"} {
		t.Run("one is held until the caller has accepted it, over "+over, func(t *testing.T) {
			asked, accept := make(chan signaling.Ticket, 1), make(chan struct{})
			r := servingGuests(t, Config{}, func(_ context.Context, t signaling.Ticket) bool {
				asked <- t
				<-accept
				return true
			})
			c := client(t, r.Credentials("a", &guest), over)
			got := make(chan error, 1)
			go func() {
				conn, err := c.Allocate()
				if err == nil {
					t.Cleanup(func() { _ = conn.Close() }) // it is open
				}
				got <- err
			}()
			if about := <-asked; about != guest {
				t.Errorf("it asks about %v", about)
			}
			if n := r.Stats().Allocations; n != 0 || len(got) > 0 {
				t.Errorf("there are %d allocations", n)
			}
			close(accept)
			if err := <-got; err != nil {
				t.Error(err)
			}
		})
	}

	t.Run("one who is not accepted gets no response", func(t *testing.T) {
		r := servingGuests(t, Config{}, func(context.Context, signaling.Ticket) bool { return false })
		a := guestAttack(t, r, &guest)
		if m := a.asks(300*time.Millisecond, stun.MethodAllocate, raw{stun.AttrRequestedTransport, []byte{17, 0, 0, 0}}); m != nil {
			t.Error(codeOf(m))
		}
		eventually(t, "it is counted", func() bool { return r.Stats().Refused[RefusedGuest] == 1 })
		if r.Stats().Made > 0 {
			t.Error("there was an allocation")
		}
	})

	t.Run("one who forges a ticket gets no allocation", func(t *testing.T) {
		r := servingGuests(t, Config{}, func(context.Context, signaling.Ticket) bool { return true })
		a := guestAttack(t, r, &guest)
		for name, user := range map[string]string{
			"another time":    "9" + a.user,
			"another's":       a.user[:len(a.user)-2] + "aa",
			"without it":      a.user[:strings.LastIndex(a.user, ":")],
			"something else":  a.user + "x",
			"an empty ticket": a.user[:strings.LastIndex(a.user, ":")+1],
		} {
			forged := *a
			forged.user = user
			if m := forged.asks(time.Second, stun.MethodAllocate, raw{stun.AttrRequestedTransport, []byte{17, 0, 0, 0}}); m != nil && codeOf(m) != stun.CodeUnauthorized {
				t.Errorf("%s: %v", name, codeOf(m))
			}
		}
		if r.Stats().Made > 0 {
			t.Error("there was an allocation")
		}
	})

	t.Run("without a token there are no credentials", func(t *testing.T) {
		r := serving(t, Config{})
		for _, unknown := range []signaling.Ticket{{Room: "417"}, {Room: "417", Token: strings.Repeat("x", 1000)}} {
			for _, s := range r.Credentials("a", &unknown) {
				if s.Credential != "" || !strings.HasPrefix(s.URLs[0], "stun:") {
					t.Errorf("there is %v", s)
				}
			}
		}
	})

	t.Run("the user name does not show the room", func(t *testing.T) {
		r := serving(t, Config{})
		long := signaling.Ticket{Room: strings.Repeat("r", 64), Side: signaling.Callee, Token: guest.Token}
		for _, s := range r.Credentials("a", &long) {
			if strings.Contains(s.Username, "rrrrrr") || strings.Contains(s.Username, guest.Token) || len(s.Username) > 500 {
				t.Errorf("it is %q", s.Username)
			}
		}
	})

	t.Run("held requests are limited, in all and from one address", func(t *testing.T) {
		h := newHeldRequests(t.Context(), nil)
		at := func(network, port int) source {
			return source{at: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(network >> 8), byte(network)}), uint16(port))} //nolint:gosec // a test's
		}
		enter := func(network, port int) bool {
			ok, _ := h.enter(at(network, port), fmt.Sprint("client ", network))
			return ok
		}
		for port := range maxHeldFrom {
			if !enter(0, port) || enter(0, port) {
				t.Fatalf("port %d", port)
			}
		}
		if enter(0, maxHeldFrom) {
			t.Error("one address may have more")
		}
		for i := range maxHeld - maxHeldFrom {
			if !enter(1+i/maxHeldFrom, i%maxHeldFrom) {
				t.Fatalf("request %d", i)
			}
		}
		if enter(9999, 1) {
			t.Error("there may be more in all")
		}
		h.leave(at(0, 7), "client 0")
		if !enter(0, 7) {
			t.Error("a request that has ended still counts")
		}
		for i := range maxHeld - maxHeldFrom {
			h.leave(at(1+i/maxHeldFrom, i%maxHeldFrom), fmt.Sprint("client ", 1+i/maxHeldFrom))
		}
		for network := range maxHeldGiven { // UDP sources can be forged
			if ok, _ := h.enter(at(100+network, 1), "mallory"); !ok {
				t.Fatalf("request %d of mallory", network)
			}
		}
		if ok, _ := h.enter(at(99, 1), "mallory"); ok {
			t.Error("one client's credentials may have more")
		}
	})

	t.Run("IPv6 addresses of one network count as one client", func(t *testing.T) {
		h := newHeldRequests(t.Context(), nil)
		in := func(network string, i int) source {
			return source{at: netip.MustParseAddrPort(fmt.Sprintf("[%s:%x::1]:9", network, i+1))}
		}
		for i := range maxHeldFrom {
			if ok, _ := h.enter(in("2001:db8:0:1", i), ""); !ok {
				t.Fatalf("request %d", i)
			}
		}
		if ok, _ := h.enter(in("2001:db8:0:1", maxHeldFrom), ""); ok {
			t.Error("the network may have more")
		}
		if ok, _ := h.enter(in("2001:db8:0:2", 0), ""); !ok {
			t.Error("another network is refused")
		}
	})

	t.Run("requests with a wrong password are not held", func(t *testing.T) {
		accept := make(chan struct{})
		r := servingGuests(t, Config{}, func(ctx context.Context, _ signaling.Ticket) bool {
			select {
			case <-accept:
			case <-ctx.Done():
			}
			return ctx.Err() == nil
		})
		for range maxHeldFrom {
			forged := guestAttack(t, r, &guest)
			forged.password = "wrong"
			if m := forged.asks(10*time.Second, stun.MethodAllocate, raw{stun.AttrRequestedTransport, []byte{17, 0, 0, 0}}); codeOf(m) != stun.CodeUnauthorized {
				t.Fatalf("a wrong password is answered %v", codeOf(m))
			}
		}
		close(accept)
		a := guestAttack(t, r, &guest)
		if _, code := a.allocates(); code != 0 {
			t.Error(code)
		}
		a.leaves()
		if n := r.Stats().Refused[RefusedHeld]; n > 0 {
			t.Errorf("%d requests were refused", n)
		}
	})

	t.Run("a request over the limit is counted", func(t *testing.T) {
		r := servingGuests(t, Config{}, func(ctx context.Context, _ signaling.Ticket) bool { <-ctx.Done(); return false })
		for range maxHeldFrom + 1 {
			a := guestAttack(t, r, &guest)
			if _, err := a.conn.Write(a.message(stun.MethodAllocate, raw{stun.AttrRequestedTransport, []byte{17, 0, 0, 0}})); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "one is refused", func() bool { return r.Stats().Refused[RefusedHeld] == 1 })
	})
}

// guestAttack is attack with a guest's credentials and a nonce.
func guestAttack(t *testing.T, r *Relay, guest *signaling.Ticket) *attacker {
	t.Helper()
	a := attack(t, r, "a", "udp")
	s := r.Credentials("a", guest)[1]
	a.user, a.password = s.Username, s.Credential
	if err := a.nonce.GetFrom(a.asks(10*time.Second, stun.MethodAllocate)); err != nil {
		t.Fatal(err)
	}
	return a
}
