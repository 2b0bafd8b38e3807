package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"p2pchat/cmd/p2pchat/internal/contacts"
)

// A lanPair is two people on machines a and b of one network, who have kept each other: a was the caller.
type lanPair struct {
	*lab
	states map[string]string // by machine
}

// keepsOnLAN lets the two keep each other in a call with a code, and ends both programs. With server, which it ends, too, that call was at
// a server of machine s.
func (l *lab) keepsOnLAN(server bool) lanPair {
	l.Helper()
	dir := l.TempDir()
	p := lanPair{l, map[string]string{"a": filepath.Join(dir, "a"), "b": filepath.Join(dir, "b")}}
	var at []string
	if server {
		serve := l.start("s", "serve", "--listen", "192.168.7.3:3000")
		serve.notes(l, "listening on")
		defer serve.kill()
		at = []string{"--server", "http://192.168.7.3:3000"}
	}
	b := p.runs("b", append([]string{"answer", "417-falcon-zebra", "--keep", "ann"}, at...)...)
	a := p.runs("a", append([]string{"call", "417-falcon-zebra", "--keep", "ben"}, at...)...)
	p.sees(a, `"type":"kept"`)
	p.sees(b, `"type":"kept"`)
	p.leave(a, b)
	return p
}

// environment returns what the program of the person at a machine has in its environment.
func (p lanPair) environment(on string) []string {
	return []string{"P2PCHAT_LAN=", "P2PCHAT_NAME=" + on, "XDG_STATE_HOME=" + p.states[on]}
}

// runs starts the program for the person at a machine.
func (p lanPair) runs(on string, args ...string) *process {
	p.Helper()
	cmd := exec.Command("ip", append(append([]string{"netns", "exec", p.ns(on), p.path}, args...), "--ui", "json")...) //nolint:gosec // the program under test
	return launchCommand(p, cmd, p.TempDir(), append(os.Environ(), p.environment(on)...))
}

// talks waits until the two are connected, without a relay, and have each a line of the other.
func (p lanPair) talks(a, b *process) {
	p.Helper()
	for _, one := range []*process{a, b} {
		if got := p.sees(one, `"path":"(\w+)".*"type":"connected","verified":true`); got[1] != "host" && got[1] != "prflx" {
			p.Errorf("they have connected by %s", got[1])
		}
	}
	p.say(a, "from a")
	p.say(b, "from b")
	p.sees(a, `"text":"from b"`)
	p.sees(b, `"text":"from a"`)
}

// Two who have kept each other meet on one network without a server, whichever of them calls, and whether they have met at a server before or not.
func TestNATContactsOnALocalNetwork(t *testing.T) {
	needsLab(t)
	t.Parallel()
	for name, c := range map[string]struct {
		server bool // where they kept each other, which is gone
		a, b   string
		first  string
		args   []string
	}{
		"the one who called then calls, the other waits":   {a: "call", b: "answer", first: "b"},
		"the one who answered then calls, the other waits": {a: "answer", b: "call", first: "a"},
		"the caller waits":                                   {a: "call", b: "answer", first: "a"},
		"the caller waits, who answered then":                {a: "answer", b: "call", first: "b"},
		"both call, first the one who called then":           {a: "call", b: "call", first: "a"},
		"both call, first the one who answered then":         {a: "call", b: "call", first: "b"},
		"kept at a server that is gone":                      {server: true, a: "call", b: "answer", first: "b", args: []string{"--lan", "always"}},
		"kept at a server that is gone, the other one calls": {server: true, a: "answer", b: "call", first: "b", args: []string{"--lan", "always"}},
		"kept at a server that is gone, and both call":       {server: true, a: "call", b: "call", first: "b", args: []string{"--lan", "always"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			machines := []string{"a", "b"}
			if c.server {
				machines = append(machines, "s")
			}
			p := newLAN(t, machines...).keepsOnLAN(c.server)
			for range 2 { // the keys of the second call follow from the first
				command := map[string][]string{"a": append([]string{c.a, "@ben"}, c.args...), "b": append([]string{c.b, "@ann"}, c.args...)}
				second := map[string]string{"a": "b", "b": "a"}[c.first]
				programs := map[string]*process{c.first: p.runs(c.first, command[c.first]...)}
				if command[c.first][0] == "call" {
					p.sees(programs[c.first], `"type":"waiting"`)
				} else {
					p.sees(programs[c.first], `looking (for the call )?on your local network`)
				}
				begun := time.Now()
				programs[second] = p.runs(second, command[second]...)
				p.talks(programs["a"], programs["b"])
				t.Logf("both lines after %v", time.Since(begun).Round(time.Millisecond))
				p.leave(programs["a"], programs["b"])
				programs["a"].finishes(t, 0)
				programs["b"].finishes(t, 0)
			}
			if book := p.book("b"); c.server && book[0].Server != "http://192.168.7.3:3000" {
				t.Errorf("the contact is now at %s", book[0].Server)
			}
		})
	}
}

// book returns the contacts of the person at a machine.
func (p lanPair) book(on string) []contacts.Contact {
	p.Helper()
	list, err := contacts.Open(filepath.Join(p.states[on], "p2pchat", "contacts")).List()
	if err != nil {
		p.Fatal(err)
	}
	return list
}

// Where the server that they have named does not answer, two contacts at terminals meet on the local network, also if both call.
func TestNATContactsFallBackToTheLocalNetwork(t *testing.T) {
	needsLab(t)
	t.Parallel()
	for _, commands := range [][2]string{{"call", "answer"}, {"answer", "call"}, {"call", "call"}} {
		t.Run("a: "+commands[0]+", b: "+commands[1], func(t *testing.T) {
			t.Parallel()
			p := newLAN(t, "a", "b", "s").keepsOnLAN(true)
			open := func(on, command, contact string) *window {
				return openWindowWith(t, 100, 24, p.environment(on), "ip", "netns", "exec", p.ns(on), p.path, command, contact)
			}
			a, b := open("a", commands[0], "@ben"), open("b", commands[1], "@ann")
			a.shows(`● ben · verified · direct`)
			b.shows(`● ann · verified · direct`)
			a.types("Hello\r")
			b.shows(`ann +Hello`)
			b.types("/quit\r")
			b.ends(0)
			a.types("/quit\r")
			a.ends(0)
		})
	}
}

// If the program that serves is killed and started again, at another port, it comes back into the same call, whichever of the two it is.
func TestNATContactsComeBackOnALocalNetwork(t *testing.T) {
	needsLab(t)
	t.Parallel()
	for name, again := range map[string][]string{"and calls": {"call", "@ben"}, "and answers": {"answer", "@ben"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newLAN(t, "a", "b").keepsOnLAN(false)
			a := p.runs("a", "call", "@ben", "--lan", "always")
			p.sees(a, `"type":"waiting"`)
			b := p.runs("b", "call", "@ann", "--lan", "always")
			p.sees(b, `Found the call on your local network`)
			p.talks(a, b)
			a.kill()
			p.sees(b, `"type":"disconnected"`)
			p.say(b, "while you were away")
			a = p.runs("a", append(again, "--lan", "always")...)
			p.sees(a, `"text":"while you were away"`)
			p.leave(a, b)
			b.finishes(t, 0)
		})
	}
}

// A third machine on the wire, which has contacts of its own, sees two names of each call that tell it nothing: it recognises none, and no name
// comes twice.
// listen finds a contact who calls on the local network while their server does not answer, also when a neighbour repeats what the contact
// announces, and goes on to find the contact's next calls.
func TestNATListenOnALocalNetwork(t *testing.T) {
	needsLab(t)
	t.Parallel()
	for _, server := range []bool{false, true} {
		t.Run(fmt.Sprintf("kept at a server: %t", server), func(t *testing.T) {
			t.Parallel()
			p := newLAN(t, "a", "b", "s", "m").keepsOnLAN(server)
			ben := p.runs("b", "listen")
			p.sees(ben, `Looking for calls on your local network, too`)
			for n := range 3 {
				a := p.runs("a", "call", "@ben", "--lan", "always")
				p.sees(a, `"type":"ringing"`)
				p.say(a, fmt.Sprintf("call %d", n))
				if _, err := io.WriteString(ben.in, `{"type":"answer","contact":"ann"}`+"\n"); err != nil {
					t.Fatal(err)
				}
				p.sees(ben, fmt.Sprintf(`"text":"call %d"`, n))
				p.say(ben, "from b")
				p.sees(a, `"text":"from b"`)
				p.leave(a)
				a.finishes(t, 0)
			}
		})
	}
}

// A neighbour who repeats what a contact announces, with an address of its own, gets no access key, and does not keep the two apart: neither
// with a server that fails, nor with one that answers as any other.
// repeats announces names on a machine, at a server there, and returns the headers of its requests.
// onTheWire returns a multicast DNS socket on eth0.
// looks looks on a machine for calls that have one of the beacons, until the function that it returns, which returns the server found.
// A nameList is the names that were announced since it began.
// namesOnTheWire notes what a machine hears of announcements, until stop.
