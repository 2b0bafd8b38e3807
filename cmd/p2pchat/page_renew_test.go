package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
)

// A mortalRelay is a TURN server that takes no credentials whose time is over, for no request, and a signaling server that gives them.
// A browser asks it twice in each allocationLifetime.
type mortalRelay struct {
	address string
	page    string // the signaling server's address

	mu     sync.Mutex // guards what follows
	secret string
	caller time.Duration // for which a caller's credentials last,
	guest  time.Duration // and a guest's
	given  int           // credentials
	end    time.Time     // of the first ones that an allocation was made with, or of those that end before
	turn   *turn.Server
}

const allocationLifetime = 4 * time.Second

// mortal starts such a relay, whose credentials last so long.
func mortal(t *testing.T, caller, guest time.Duration) *mortalRelay {
	t.Helper()
	r := &mortalRelay{address: "127.0.0.1:0", secret: "first", caller: caller, guest: guest}
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	at := httptest.NewServer(server.New(memstore.New(memstore.Limits{}), server.Config{
		Log: slog.New(slog.DiscardHandler),
		Relay: func(user string, _ *signaling.Ticket) []signaling.ICEServer {
			r.mu.Lock()
			defer r.mu.Unlock()
			lifetime := r.guest
			if strings.HasPrefix(user, "host ") {
				lifetime = r.caller
			}
			r.given++
			name := fmt.Sprint(time.Now().Add(lifetime).Unix(), ":", r.given)
			return []signaling.ICEServer{{URLs: []string{"turn:" + r.address}, Username: name, Credential: r.secret}}
		},
	}))
	t.Cleanup(at.Close)
	r.page = at.URL
	return r
}

func (r *mortalRelay) start(t *testing.T) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", r.address) //nolint:noctx // on this machine
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.address = conn.LocalAddr().String()
	secret := r.secret // a relay that is started again knows no other
	r.turn, err = turn.NewServer(turn.ServerConfig{
		Realm: "p2pchat", AllocationLifetime: allocationLifetime, LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard},
		AuthHandler: func(a *turn.RequestAttributes) (string, []byte, bool) {
			until, _, _ := strings.Cut(a.Username, ":")
			seconds, err := strconv.ParseInt(until, 10, 64)
			end := time.Unix(seconds, 0)
			r.used(end)
			return a.Username, turn.GenerateAuthKey(a.Username, a.Realm, secret), err == nil && time.Now().Before(end)
		},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: conn, RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (r *mortalRelay) stop(t *testing.T) {
	t.Helper()
	if err := r.turn.Close(); err != nil {
		t.Error(err)
	}
}

func (r *mortalRelay) used(end time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.end.IsZero() || end.Before(r.end) {
		r.end = end
	}
}

func (r *mortalRelay) change(how func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	how()
}

// ended reports whether the first credentials have.
func (r *mortalRelay) ended() bool { return r.over(0) }

// outlived reports whether no allocation with the first credentials can be left.
func (r *mortalRelay) outlived() bool { return r.over(allocationLifetime) }

func (r *mortalRelay) over(since time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.end.IsZero() && time.Since(r.end) > since
}

// A call through a relay goes on when the credentials of its allocations end: nothing is lost, and no one is told.
func TestPageRenews(t *testing.T) {
	t.Parallel()
	const short, refused, long = 10 * time.Second, 6 * time.Second, time.Hour
	b := sharedBrowser(t)
	t.Run("with another page", func(t *testing.T) {
		t.Parallel()
		r := mortal(t, short, short)
		caller, callee := b.open(t, r.page), b.open(t, r.page)
		caller.hooked()
		callee.hooked()
		caller.click("relay-only")
		callee.answer(caller.call(""))
		verified(t, caller, callee)
		caller.sees("Through a relay")
		n := 0
		for ; !r.outlived(); n++ {
			caller.connectsAgain()
			caller.say(fmt.Sprint("line ", n))
			callee.say(fmt.Sprint("line ", n))
			caller.hears(fmt.Sprint("line ", n))
			callee.hears(fmt.Sprint("line ", n))
		}
		for _, p := range []*tab{caller, callee} {
			p.hasLines(n)
			p.delivered(n)
			p.holdsOne()
			p.toldNothing()
			p.sees("Through a relay")
		}
	})
	for _, c := range []struct {
		name          string
		command       string        // of the program
		caller, guest time.Duration // for which credentials last
		meet          func(*tab, string)
		flags         []string
	}{
		{"with the program, which answers", "answer", short, short, func(p *tab, code string) {
			p.click("relay-only")
			p.call(code)
		}, nil},
		{"with the program, which calls", "call", long, short, func(p *tab, code string) {
			p.click("relay-only")
			p.answer(code)
		}, nil},
		{"with the program, whose relay refuses", "call", refused, long, func(p *tab, code string) { p.answer(code) }, []string{"--relay-only"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, code := mortal(t, c.caller, c.guest), c.command+"-falcon-zebra"
			page := b.open(t, r.page)
			page.hooked()
			c.meet(page, code)
			program := launch(t, append([]string{c.command, code, "--server", r.page}, c.flags...)...)
			verified(t, page)
			page.sees("Through a relay")
			n := 0
			for ; !r.outlived(); n++ {
				page.connectsAgain()
				page.say(fmt.Sprint("line ", n))
				program.say(t, fmt.Sprint("line ", n))
				page.hears(fmt.Sprint("line ", n))
			}
			page.hasLines(n)
			page.delivered(n)
			page.holdsOne()
			page.toldNothing()
			page.sees("Through a relay")
			page.click("leave")
			program.finish(t)
			if heard := strings.Split(strings.TrimSpace(program.out.String()), "\n"); !slices.Equal(heard, lines(n)) {
				t.Errorf("the program heard %q", heard)
			}
			if text := program.err.String(); strings.Contains(text, "again") || strings.Contains(text, "lost") || strings.Contains(text, "now goes") {
				t.Errorf("the program tells of a renewal: %s", text)
			}
		})
	}
	t.Run("with the next offer, when a caller has waited until they ended", func(t *testing.T) {
		t.Parallel()
		r := mortal(t, 3*time.Second, long)
		page := b.open(t, r.page)
		page.click("relay-only")
		page.call("417-falcon-zebra")
		eventually(t, r.ended, func() string { return "no credentials were used that end" })
		r.change(func() { r.caller = long })
		launch(t, "answer", "417-falcon-zesty", "--server", r.page).finish(t)
		page.sees("A person answered with a wrong code.")
		program := launch(t, "answer", "417-falcon-zebra", "--server", r.page)
		verified(t, page)
		page.sees("Through a relay")
		converseWith(t, page, program)
	})
	t.Run("and is met again with new credentials when the relay was restarted", func(t *testing.T) {
		t.Parallel()
		r := mortal(t, long, long)
		caller, callee := b.open(t, r.page), b.open(t, r.page)
		caller.click("relay-only")
		callee.answer(caller.call(""))
		verified(t, caller, callee)
		caller.say("over the old relay")
		callee.hears("over the old relay")
		r.stop(t)
		begun := time.Now()
		r.change(func() { r.secret = "second" })
		r.start(t)
		caller.say("over the new relay")
		callee.hears("over the new relay")
		t.Logf("a message took %s", time.Since(begun).Round(time.Millisecond))
		for _, p := range []*tab{caller, callee} {
			p.sees("Connected again.")
			p.sees("Through a relay")
		}
	})
}

// connectsAgain waits until the page makes another connection than it has now.
func (p *tab) connectsAgain() {
	p.t.Helper()
	eval[bool](p, `new Promise((resolve) => {
		const had = all.length, look = setInterval(() => {
			if (all.length === had) return;
			clearInterval(look);
			resolve(true);
		}, 20);
	})`)
}

// toldNothing fails the test if the log tells of more than the first connection.
func (p *tab) toldNothing() {
	p.t.Helper()
	if log := p.log(); strings.Count(log, "\n") > 0 || !strings.HasPrefix(log, "Connected with ") {
		p.t.Errorf("the page tells of a renewal: %s", log)
	}
}
