package relay

import (
	"context"
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

	t.Run("one who is not accepted gets nothing, not even an answer", func(t *testing.T) {
		r := servingGuests(t, Config{}, func(context.Context, signaling.Ticket) bool { return false })
		a := guesses(t, r, &guest, "udp")
		if m := a.asks(300*time.Millisecond, stun.MethodAllocate, raw{stun.AttrRequestedTransport, []byte{17, 0, 0, 0}}); m != nil {
			t.Error(codeOf(m))
		}
		eventually(t, "it is counted", func() bool { return r.Stats().Refused[RefusedGuest] == 1 })
		if r.Stats().Made > 0 {
			t.Error("there was an allocation")
		}
	})

	t.Run("one who makes the ticket up is no guest", func(t *testing.T) {
		r := servingGuests(t, Config{}, func(context.Context, signaling.Ticket) bool { return true })
		a := guesses(t, r, &guest, "udp")
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
		for _, nobody := range []signaling.Ticket{{Room: "417"}, {Room: "417", Token: strings.Repeat("x", 1000)}} {
			for _, s := range r.Credentials("a", &nobody) {
				if s.Credential != "" || !strings.HasPrefix(s.URLs[0], "stun:") {
					t.Errorf("there is %v", s)
				}
			}
		}
	})

	t.Run("the user's name does not tell the room", func(t *testing.T) {
		r := serving(t, Config{})
		long := signaling.Ticket{Room: strings.Repeat("r", 64), Side: signaling.Callee, Token: guest.Token}
		for _, s := range r.Credentials("a", &long) {
			if strings.Contains(s.Username, "rrrrrr") || strings.Contains(s.Username, guest.Token) || len(s.Username) > 500 {
				t.Errorf("it is %q", s.Username)
			}
		}
	})

	t.Run("those who wait are bounded, in all and of one address", func(t *testing.T) {
		h := held{from: map[source]bool{}, of: map[netip.Addr]int{}}
		enter := func(network, port int) bool {
			return h.enter(source{at: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(network >> 8), byte(network)}), uint16(port))}) //nolint:gosec // a test's
		}
		for port := range maxHeldOfOne {
			if !enter(0, port) || enter(0, port) {
				t.Fatalf("port %d", port)
			}
		}
		if enter(0, maxHeldOfOne) {
			t.Error("one address may have more")
		}
		for i := range maxHeld - maxHeldOfOne {
			if !enter(1+i/maxHeldOfOne, i%maxHeldOfOne) {
				t.Fatalf("request %d", i)
			}
		}
		if enter(9999, 1) {
			t.Error("there may be more in all")
		}
		h.leave(source{at: netip.MustParseAddrPort("10.0.0.0:7")})
		if !enter(0, 7) {
			t.Error("what one leaves is not free")
		}
	})
}

// guesses is attack with a guest's credentials, and a nonce.
func guesses(t *testing.T, r *Relay, guest *signaling.Ticket, over string) *attacker {
	t.Helper()
	a := attack(t, r, "a", over)
	s := r.Credentials("a", guest)[1]
	a.user, a.password = s.Username, s.Credential
	if err := a.nonce.GetFrom(a.asks(10*time.Second, stun.MethodAllocate)); err != nil {
		t.Fatal(err)
	}
	return a
}
