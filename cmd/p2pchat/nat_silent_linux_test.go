package main

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// silentAddress is a machine that takes packets and answers none. Names are asked for there, too.
const silentAddress = "203.0.113.66"

// A STUN or TURN server that does not answer, or whose name does not resolve, delays neither
// the connection, nor its end, nor that of a call that no one has answered.
func TestNATSilentServers(t *testing.T) {
	needsLab(t)
	const most = 1500 * time.Millisecond // a fault takes 5 s and more, a busy machine less than this
	for _, silent := range []string{
		"stun:stun.example.org:3478", "turn:user:password@turn.example.org:3478", "turn:user:password@turn.example.org:3478?transport=tcp", "turns:user:password@turn.example.org:5349",
		"stun:" + silentAddress + ":3478", "turn:user:password@" + silentAddress + ":3478", "turn:user:password@" + silentAddress + ":3478?transport=tcp", "turns:user:password@" + silentAddress + ":5349",
	} {
		t.Run(silent, func(t *testing.T) {
			l := newLab(t, cone, cone, quality{})
			l.join("silent", "eth0", silentAddress)
			l.drop("silent")
			for _, side := range []string{"a", "b"} {
				l.resolver(side, silentAddress)
			}
			l.serve("--relay", "--relay-open")
			args := []string{"417-falcon-zebra", "--server", "http://" + serverAddress + ":3000", "--ui", "json", "--ice-server", "stun:" + serverAddress + ":3478", "--ice-server", silent}

			a := l.start("a", append([]string{"call"}, args...)...)
			l.sees(a, `"type":"waiting"`)
			begun := time.Now()
			_ = a.cmd.Process.Signal(syscall.SIGTERM) // it runs
			<-a.ended
			tookAtMost(t, "the end of a call that no one has answered", begun, most)

			a = l.start("a", append([]string{"call"}, args...)...)
			l.sees(a, `"type":"waiting"`)
			begun = time.Now()
			b := l.start("b", append([]string{"answer"}, args...)...)
			l.sees(b, `"type":"connected"`)
			l.sees(a, `"type":"connected"`)
			tookAtMost(t, "connecting", begun, most)
			l.say(a, "ping")
			l.sees(b, `"text":"ping"`)
			begun = time.Now()
			_, _ = io.WriteString(a.in, `{"type":"leave"}`+"\n") // it runs
			<-a.ended
			<-b.ended
			tookAtMost(t, "the end", begun, most)
		})
	}
}

func tookAtMost(t *testing.T, what string, begun time.Time, most time.Duration) {
	t.Helper()
	took := time.Since(begun)
	t.Logf("%s took %v", what, took)
	if took > most {
		t.Errorf("%s took %v, more than %v", what, took, most)
	}
}

// drop has a machine answer nothing at all, though it is there.
func (l *lab) drop(name string) {
	l.Helper()
	l.rules(name, `
		table inet silence {
			chain here {
				type filter hook input priority filter; policy drop
			}
		}
	`)
}

// resolver makes a machine ask a name server, as 'ip netns exec' has it.
func (l *lab) resolver(name, address string) {
	l.Helper()
	dir := filepath.Join("/etc/netns", l.ns(name))
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // others read it
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = os.RemoveAll(dir) })                                                                        // of the lab alone
	if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte("nameserver "+address+"\n"), 0o644); err != nil { //nolint:gosec // others read it
		l.Fatal(err)
	}
}
