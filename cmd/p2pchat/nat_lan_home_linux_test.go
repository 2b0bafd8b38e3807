package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// When a call that has met on the local network, because its server did not answer, has lost one program, and the server answers again, the
// program that is left goes back there, with its letters, and meets the other that is started again.
func TestNATContactsReturnToTheirServer(t *testing.T) {
	needsLab(t)
	t.Parallel()
	const at, withOutbox = "http://192.168.7.3:3000", "--no-outbox=false" // else there are no letters
	for name, c := range map[string]struct{ a, b, killed string }{
		"the caller is killed":                              {"call", "answer", "a"},
		"the caller who answered when they kept each other": {"answer", "call", "b"},
		"both call, and the one who serves is killed":       {"call", "call", "a"},
		"both call, and the one who visits is killed":       {"call", "call", "b"},
		"the answerer is killed":                            {"call", "answer", "b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newLAN(t, "a", "b", "s").keepsOnLAN(true)
			contact := map[string]string{"a": "@ben", "b": "@ann"}
			command := map[string]string{"a": c.a, "b": c.b}
			windows := map[string]*window{}
			for _, on := range []string{"a", "b"} {
				windows[on] = openWindowWith(t, 100, 24, p.environment(on), "ip", "netns", "exec", p.ns(on), p.path, command[on], contact[on], withOutbox)
			}
			windows["a"].shows(`● ben · verified · direct`)
			windows["b"].shows(`● ann · verified · direct`)
			left := map[string]string{"a": "b", "b": "a"}[c.killed]
			if err := windows[c.killed].cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			serve := p.start("s", "serve", "--listen", "192.168.7.3:3000", "--mail")
			serve.notes(t, "listening on")
			windows[left].shows(at + ` answers again\.`)
			windows[left].types("While you were away\r")
			windows[left].shows(`While you were away +✉`)
			back := p.runs(c.killed, command[c.killed], contact[c.killed], withOutbox)
			p.sees(back, `"text":"While you were away"`)
			p.sees(back, `"type":"connected"`)
			p.say(back, "Here again")
			windows[left].shows(`Here again`)
			p.leave(back)
			windows[left].types("/quit\r")
			windows[left].ends(0)
		})
	}
}

// A call that listen has answered on the local network goes back to the contact's server in the same way.
func TestNATListenReturnsToItsServer(t *testing.T) {
	needsLab(t)
	t.Parallel()
	p := newLAN(t, "a", "b", "s").keepsOnLAN(true)
	ben := p.runs("b", "listen")
	p.sees(ben, `Looking for calls on your local network, too`)
	a := p.runs("a", "call", "@ben", "--lan", "always")
	p.sees(a, `"type":"ringing"`)
	if _, err := io.WriteString(ben.in, `{"type":"answer","contact":"ann"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	p.talks(a, ben)
	a.kill()
	p.sees(ben, `"type":"disconnected"`)
	serve := p.start("s", "serve", "--listen", "192.168.7.3:3000", "--mail")
	serve.notes(t, "listening on")
	a = p.runs("a", "call", "@ben")
	p.sees(ben, `answers again\. The call goes on there`)
	p.say(a, "Here again")
	p.sees(ben, `"text":"Here again"`)
	p.leave(a)
	ben.kill()
}

// A call that listen has answered on the local network has the access key of the contact's server when it is back there, and leaves letters.
func TestNATListenReturnsWithItsAccessKey(t *testing.T) {
	needsLab(t)
	t.Parallel()
	const home = "http://192.168.7.3:3000"
	p, key := newLAN(t, "a", "b", "s").keepsOnLAN(true), filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("sesame-sesame-sesame"), 0o600); err != nil {
		t.Fatal(err)
	}
	ben := p.runs("b", "listen", "--server", home, "--access-key-file", key, "--no-outbox=false")
	p.sees(ben, `Looking for calls on your local network, too`)
	a := p.runs("a", "call", "@ben", "--lan", "always")
	p.sees(a, `"type":"ringing"`)
	if _, err := io.WriteString(ben.in, `{"type":"answer","contact":"ann"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	p.talks(a, ben)
	a.kill()
	serve := p.start("s", "serve", "--listen", "192.168.7.3:3000", "--mail", "--access-key-file", key)
	serve.notes(t, "listening on")
	p.sees(ben, `answers again\. The call goes on there`)
	p.say(ben, "While you were away")
	p.sees(ben, `"type":"mailed"`)
	ben.kill()
}

// An answerer whose server answers is told how to look on the local network, where it does not look by itself; it does once that server has
// stopped.
func TestNATAnswererWhoseServerStops(t *testing.T) {
	needsLab(t)
	t.Parallel()
	l := newLAN(t, "a", "b", "s")
	serve := l.start("s", "serve", "--listen", "192.168.7.3:3000")
	serve.notes(t, "listening on")
	b := openWindowWith(t, 100, 24, []string{"P2PCHAT_LAN=", "P2PCHAT_NAME=b"}, "ip", "netns", "exec", l.ns("b"), l.path, "answer", "417-falcon-zebra", "--server", "http://192.168.7.3:3000")
	b.shows(`leave and run:\s+p2pchat answer 417-falcon-zebra --lan always`)
	serve.kill()
	b.shows(`does not answer\. Looking for the call on your local\s+network, too`)
	a := l.onLAN("a", "call", "417-falcon-zebra", "--lan", "always", "--ui", "json")
	l.sees(a, `"type":"connected"`)
	b.shows(`● a · verified · direct`)
	l.leave(a)
	b.types("/quit\r")
	b.ends(0)
}

// A caller whose server stops while it waits serves the local network, where the other side looks then, and goes back when the server answers.
func TestNATCallerWhoseServerStops(t *testing.T) {
	needsLab(t)
	t.Parallel()
	const home = "http://192.168.7.3:3000"
	l := newLAN(t, "a", "b", "s")
	open := func(on, command string) *window {
		return openWindowWith(t, 100, 24, []string{"P2PCHAT_LAN=", "P2PCHAT_NAME=" + on}, "ip", "netns", "exec", l.ns(on), l.path, command, "417-falcon-zebra", "--server", home)
	}
	up := func() *process {
		t.Helper()
		serve := l.start("s", "serve", "--listen", "192.168.7.3:3000")
		serve.notes(t, "listening on")
		return serve
	}
	serve := up()
	a := open("a", "call")
	a.shows(`p2pchat answer 417-falcon-zebra --server ` + home)
	serve.kill()
	a.shows(home + ` does not answer\. This program serves your\s+local\s+network for now`)
	a.shows(`p2pchat answer 417-falcon-zebra --server http://192\.168\.7\.1:`)
	serve = up()
	a.shows(home + ` answers again`)
	a.shows(`p2pchat answer 417-falcon-zebra --server ` + home)
	serve.kill() // and once more
	a.shows(`p2pchat answer 417-falcon-zebra --server http://192\.168\.7\.1:`)
	b := open("b", "answer")
	b.shows(`● a · verified · direct`)
	a.shows(`● b · verified · direct`)
	for _, w := range []*window{a, b} {
		w.types("/quit\r")
		w.ends(0)
	}
}

// Two with a code who have met on the local network, because their server did not answer, meet again at that server once it answers: the one
// who serves the local network goes back, too, or each would wait at another server for ever.
func TestNATCodeReturnsToItsServer(t *testing.T) {
	needsLab(t)
	t.Parallel()
	meet := func(t *testing.T) (l *lab, a, b *window, answer func() *window) {
		t.Helper()
		l = newLAN(t, "a", "b", "s")
		open := func(on string, args ...string) *window {
			args = append([]string{"netns", "exec", l.ns(on), l.path}, append(args, "--server", "http://192.168.7.3:3000")...)
			return openWindowWith(t, 100, 24, []string{"P2PCHAT_LAN=", "P2PCHAT_NAME=" + on}, "ip", args...)
		}
		box := filepath.Join(t.TempDir(), "outbox")
		answer = func() *window { return open("b", "answer", "417-falcon-zebra", "--outbox", box) }
		a, b = open("a", "call", "417-falcon-zebra"), answer()
		a.shows(`● b · verified · direct`)
		b.shows(`● a · verified · direct`)
		serve := l.start("s", "serve", "--listen", "192.168.7.3:3000")
		serve.notes(t, "listening on")
		return l, a, b, answer
	}
	t.Run("after a while without the other machine", func(t *testing.T) {
		t.Parallel()
		l, a, b, _ := meet(t)
		l.rules("b", "table inet cut {\n chain here {\n type filter hook input priority filter\n ip saddr 192.168.7.1 drop\n}\n}\n")
		b.shows(`answers again\. The call goes on there`)
		l.rules("b", "delete table inet cut\n")
		b.types("Here again\r")
		a.shows(`Here again`)
		a.types("/quit\r")
		a.ends(0)
		b.types("/quit\r")
		b.ends(0)
	})
	t.Run("before anyone has answered", func(t *testing.T) {
		t.Parallel()
		const home = "http://192.168.7.3:3000"
		l := newLAN(t, "a", "b", "s")
		open := func(on, command string) *window {
			return openWindowWith(t, 100, 24, []string{"P2PCHAT_LAN=", "P2PCHAT_NAME=" + on}, "ip", "netns", "exec", l.ns(on), l.path, command, "417-falcon-zebra", "--server", home)
		}
		a := open("a", "call")
		a.shows(`serves your local network for now`)
		serve := l.start("s", "serve", "--listen", "192.168.7.3:3000")
		serve.notes(t, "listening on")
		a.shows(`answers again\. The call goes on there`)
		a.shows(`p2pchat answer 417-falcon-zebra --server ` + home)
		b := open("b", "answer")
		b.shows(`● a · verified · direct`)
		for _, w := range []*window{a, b} {
			w.types("/quit\r")
			w.ends(0)
		}
	})
	t.Run("after the answerer was killed", func(t *testing.T) {
		t.Parallel()
		_, a, b, answer := meet(t)
		if err := b.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		a.shows(`answers again\. The call goes on there`)
		b = answer()
		b.types("Here again\r")
		a.shows(`Here again`)
		a.types("/quit\r")
		a.ends(0)
		b.types("/quit\r")
		b.ends(0)
	})
}

// A side that could not reach its neighbour's server for a while goes back to it from the call's own server, if the other side has stayed: a
// caller with --lan always never leaves.
func TestNATReturnsToACallerWhoStays(t *testing.T) {
	needsLab(t)
	t.Parallel()
	const home = "http://192.168.7.3:3000"
	away := func(l *lab, sees func(pattern string)) {
		l.Helper()
		serve := l.start("s", "serve", "--listen", "192.168.7.3:3000")
		serve.notes(l, "listening on")
		l.rules("b", "table inet cut {\n chain here {\n type filter hook input priority filter\n ip saddr 192.168.7.1 drop\n}\n}\n")
		sees(home + ` answers again\. The call goes on there`)
		l.rules("b", "delete table inet cut\n")
	}
	t.Run("a contact", func(t *testing.T) {
		t.Parallel()
		p := newLAN(t, "a", "b", "s").keepsOnLAN(true)
		ben := p.runs("b", "listen")
		p.sees(ben, `Looking for calls on your local network, too`)
		a := p.runs("a", "call", "@ben", "--lan", "always")
		p.sees(a, `"type":"ringing"`)
		if _, err := io.WriteString(ben.in, `{"type":"answer","contact":"ann"}`+"\n"); err != nil {
			t.Fatal(err)
		}
		p.talks(a, ben)
		away(p.lab, func(pattern string) { p.sees(ben, pattern) })
		p.say(a, "Here again")
		p.sees(ben, `"text":"Here again"`)
		p.leave(a)
		ben.kill()
	})
	t.Run("a contact, in whose place a stranger serves", func(t *testing.T) {
		t.Parallel()
		p := newLAN(t, "a", "b", "s").keepsOnLAN(true)
		ben := p.runs("b", "listen")
		p.sees(ben, `Looking for calls on your local network, too`)
		a := p.runs("a", "call", "@ben", "--lan", "always")
		p.sees(a, `"type":"ringing"`)
		if _, err := io.WriteString(ben.in, `{"type":"answer","contact":"ann"}`+"\n"); err != nil {
			t.Fatal(err)
		}
		p.talks(a, ben)
		a.kill()
		at := p.sees(ben, `"text":"http://(192\.168\.7\.1:\d+): the server cannot be reached`)[1]
		serve := p.start("s", "serve", "--listen", "192.168.7.3:3000")
		serve.notes(t, "listening on")
		p.sees(ben, home+` answers again\. The call goes on there`)
		stranger := p.start("a", "serve", "--listen", at)
		stranger.notes(t, "listening on")
		p.sees(ben, at+` answers again\. The call goes on there`)
		a = p.runs("a", "call", "@ben")
		p.say(a, "Here again")
		p.sees(ben, `"text":"Here again"`)
		p.leave(a)
		ben.kill()
	})
	t.Run("a code", func(t *testing.T) {
		t.Parallel()
		l := newLAN(t, "a", "b", "s")
		b := openWindowWith(t, 100, 24, []string{"P2PCHAT_LAN=", "P2PCHAT_NAME=b"}, "ip", "netns", "exec", l.ns("b"), l.path, "answer", "417-falcon-zebra", "--server", home)
		a := l.onLAN("a", "call", "417-falcon-zebra", "--lan", "always", "--ui", "json")
		b.shows(`● a · verified · direct`)
		away(l, b.shows)
		l.say(a, "Here again")
		b.shows(`Here again`)
		l.leave(a)
		b.types("/quit\r")
		b.ends(0)
	})
	t.Run("a code, in whose place a stranger serves", func(t *testing.T) {
		t.Parallel()
		l := newLAN(t, "a", "b", "s")
		b := openWindowWith(t, 100, 24, []string{"P2PCHAT_LAN=", "P2PCHAT_NAME=b"}, "ip", "netns", "exec", l.ns("b"), l.path, "answer", "417-falcon-zebra", "--server", home)
		a := l.onLAN("a", "call", "417-falcon-zebra", "--lan", "always", "--ui", "json")
		at := l.sees(a, `--server http://(192\.168\.7\.1:\d+)"`)[1]
		b.shows(`● a · verified · direct`)
		a.kill()
		b.shows(`Waiting for a server at http://` + at + `: the other side's program serves there`) // it does not look for another one
		serve := l.start("s", "serve", "--listen", "192.168.7.3:3000")
		serve.notes(t, "listening on")
		b.shows(home + ` answers again\. The call goes on there`)
		stranger := l.start("a", "serve", "--listen", at)
		stranger.notes(t, "listening on")
		b.shows(at + ` answers again\. The call goes on there`)
		b.shows(`The other side does not call at http://` + at)
	})
}
