package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"p2pchat/signaling"
)

// Callers and listen are killed while it rings and when it has been answered, and find each other again each time.
func TestKilledWhileListening(t *testing.T) {
	inFull(t)
	t.Parallel()
	random := rand.New(rand.NewPCG(18, uint64(kills(t)))) //nolint:gosec // the same each time
	server, dir := serving(t), t.TempDir()
	ours, theirs := filepath.Join(dir, "ben"), filepath.Join(dir, "ann")
	kept(t, server, ours, 1, func(int) string { return theirs })
	listen := func() *process {
		p := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + ours, "P2PCHAT_NAME=ben"}, "listen", "--ui", "json")
		p.prints(t, `"contacts":\["c0"\],"type":"listening"`)
		return p
	}
	call := func() *process {
		return launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + theirs, "P2PCHAT_NAME=ann"}, "call", "@ben", "--ui", "json")
	}
	for round := range kills(t) {
		ben, ann := listen(), call()
		ann.prints(t, `"type":"ringing"`)
		if round%2 == 1 {
			ben.say(t, `{"type":"answer"}`)
			if round%4 == 1 {
				ann.prints(t, `"type":"connected"`)
			}
		}
		switch random.IntN(3) {
		case 0: // listen outlives the caller, and rings when it calls again
			killEach(random, 20*time.Millisecond, ann)
		case 1: // the caller outlives listen, and rings again as soon as listen is back
			killEach(random, 20*time.Millisecond, ben)
			ben = listen()
		default:
			killEach(random, 20*time.Millisecond, ann, ben)
			ben = listen()
		}
		select {
		case <-ann.ended:
			ann = call()
		default:
		}
		answered(t, ben, ann)
		ann.say(t, fmt.Sprintf(`{"type":"message","text":"round %d"}`, round))
		ben.prints(t, fmt.Sprintf(`"text":"round %d"`, round))
		ann.say(t, `{"type":"leave"}`)
		ann.finishes(t, 0)
		ben.kill()
	}
}

// answered answers a call that rings, or will, until the caller is connected: a call of before may have rung, too.
func answered(t *testing.T, ben, ann *process) {
	t.Helper()
	rung := 0
	eventually(t, func() bool {
		if n := strings.Count(ben.out.String(), `"type":"call"`); n > rung {
			rung = n
			ben.say(t, `{"type":"answer"}`)
		}
		return strings.Contains(ann.out.String(), `"type":"connected"`)
	}, func() string {
		return fmt.Sprintf("they do not meet; the caller's output:\n%s\n%s\nthat of listen:\n%s\n%s", ann.out, ann.err, ben.out, ben.err)
	})
}

// A listen that runs follows what other programs do to its contacts.
func TestContactsChangeWhileListening(t *testing.T) {
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	state := func(i int) string { return filepath.Join(dir, fmt.Sprint("c", i)) }
	ours := filepath.Join(dir, "ben")
	kept(t, server, ours, 3, state)
	env := []string{"XDG_STATE_HOME=" + ours, "P2PCHAT_NAME=ben", "P2PCHAT_SERVER=" + server}
	ben := launchWith(t, t.TempDir(), env, "listen", "--ui", "json")
	ben.prints(t, `"contacts":\["c0","c1","c2"\]`)
	contacts := func(args ...string) {
		t.Helper()
		launchWith(t, t.TempDir(), env, append([]string{"contacts"}, args...)...).finishes(t, 0)
	}
	call := func(i int, more ...string) *process {
		return launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + state(i)}, append([]string{"call", "@ben", "--ui", "json"}, more...)...)
	}

	contacts("forget", "@c0")
	ben.prints(t, `"contacts":\["c1","c2"\]`)
	contacts("rename", "@c1", "@Carl")
	ben.prints(t, `"contacts":\["c2","Carl"\]`)
	contacts("ring", "@c2", "refuse")
	ben.prints(t, `"contacts":\["Carl"\]`)
	forgotten, refused := call(0, "--wait", "4s"), call(2, "--wait", "4s")
	carl := call(1)
	ben.prints(t, `"contact":"Carl","type":"call"`)
	ben.say(t, `{"type":"answer","contact":"@carl"}`)
	carl.prints(t, `"type":"connected"`)
	carl.say(t, `{"type":"leave"}`)
	carl.finishes(t, 0)
	for _, p := range []*process{forgotten, refused} {
		p.finishes(t, exitAbsent)
		if strings.Contains(p.out.String(), "ringing") {
			t.Error("a contact who may not call has made listen ring")
		}
	}

	inbox, sent := filepath.Join(dir, "inbox"), filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(sent, []byte("for ben"), 0o600); err != nil {
		t.Fatal(err)
	}
	contacts("ring", "@c2", "accept", "--folder", inbox)
	ben.prints(t, `"contacts":\["c2","Carl"\]`)
	sender := call(2, "--send", sent)
	sender.prints(t, `"type":"file-sent"`)
	sender.say(t, `{"type":"leave"}`)
	sender.finishes(t, 0)
	if got, err := os.ReadFile(filepath.Join(inbox, "notes.txt")); err != nil || string(got) != "for ben" { //nolint:gosec // the test's own
		t.Errorf("the folder of the contact has %q, %v", got, err)
	}
	if strings.Count(ben.out.String(), `"type":"call"`) != 1 {
		t.Error("listen asks about a contact whose calls it accepts")
	}

	first := launchWith(t, t.TempDir(), env, "call", "417-falcon-zebra", "--ui", "json", "--keep", "dora")
	dora := filepath.Join(dir, "dora")
	second := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + dora, "P2PCHAT_SERVER=" + server}, "answer", "417-falcon-zebra", "--ui", "json", "--keep", "ben")
	first.prints(t, `"type":"kept"`)
	second.prints(t, `"type":"kept"`)
	second.say(t, `{"type":"leave"}`)
	second.finishes(t, 0)
	first.finishes(t, 0)
	ben.prints(t, `"contacts":\["c2","Carl","dora"\]`)
	again := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + dora}, "call", "@ben", "--ui", "json")
	ben.prints(t, `"contact":"dora","type":"call"`)
	ben.say(t, `{"type":"decline"}`)
	ben.prints(t, `"contact":"dora","how":"declined"`)
	again.finishes(t, exitAbsent)
}

// A contact who calls without end rings five times a minute, keeps no other from ringing, and its name reaches no terminal.
func TestAContactWhoFloods(t *testing.T) {
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	state := func(i int) string { return filepath.Join(dir, fmt.Sprint("c", i)) }
	ours := filepath.Join(dir, "ben")
	kept(t, server, ours, 2, state)
	ben := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + ours, "P2PCHAT_NAME=ben"}, "listen", "--ui", "line")
	ben.notes(t, `Listening for @c0, @c1`)
	call := func(i int) *process {
		return launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + state(i), "P2PCHAT_NAME=\x1b]0;owned\a\x1b[2J$(reboot)"}, "call", "@ben", "--ui", "json")
	}
	for range mostRings {
		p := call(0)
		p.prints(t, `"type":"ringing"`)
		p.say(t, `{"type":"leave"}`)
		p.finishes(t, 0)
	}
	ben.notes(t, `@c0 calls again and again: listen rings at most 5 times a minute for one contact\.`)
	flood := call(0)
	other := call(1)
	other.prints(t, `"type":"ringing"`)
	ben.say(t, "a @C1")
	other.prints(t, `"type":"connected"`)
	other.say(t, `{"type":"message","text":"\u001b[2Jhi"}`)
	ben.prints(t, `hi$`)
	if strings.Contains(flood.out.String(), "ringing") || strings.Count(ben.err.String(), "@c0 is calling") != mostRings {
		t.Errorf("it rings more than %d times:\n%s", mostRings, ben.err)
	}
	if strings.ContainsAny(ben.out.String()+ben.err.String(), "\x1b\a") {
		t.Errorf("a name or a message reaches the terminal: %q, %q", ben.out, ben.err)
	}
	other.say(t, `{"type":"leave"}`)
	other.finishes(t, 0)
}

// A server that lies about letters makes listen show nothing twice, and say once what it noticed.
func TestListenAtAServerThatLiesAboutLetters(t *testing.T) {
	inFull(t)
	t.Parallel()
	m := &postman{lie: func(list, _ []signaling.Block) []signaling.Block { // one more, which no one wrote
		return append(list, signaling.Block{Number: 9, Bytes: make([]byte, 512)})
	}}
	p := newPair(t, m.atDoor(t))
	p.keep(t)
	ann := withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
	ann.say(t, `{"type":"message","text":"letter 0"}`)
	ann.prints(t, `"id":1,"kept_s":\d+,"type":"mailed"`)
	ann.kill()
	ben := withOutbox(t, p, 1, "listen", "--ui", "json")
	ben.prints(t, `"contact":"ann","from":"ann","id":1,"text":"letter 0"`)
	m.lying.Store(true)
	ben.prints(t, `"text":"@ann: The server sent 1 letter that your contact did not write; it is not shown\."`)
	ann = withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
	ann.prints(t, `"id":1,"type":"delivered"`)
	answered(t, ben, ann)
	if n := strings.Count(ben.out.String(), `"text":"letter 0"`); n != 1 {
		t.Errorf("the letter is shown %d times", n)
	}
	if n := strings.Count(ben.out.String(), `The server sent`); n != 1 {
		t.Errorf("the lie is told %d times", n)
	}
	ann.say(t, `{"type":"leave"}`)
	ann.finishes(t, 0)
}
