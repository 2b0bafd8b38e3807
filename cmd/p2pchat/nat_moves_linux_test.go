package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// A call through a relay becomes a direct one soon after the network lets UDP through, while a file and messages are on their
// way: nothing is lost or comes twice.
func TestNATMoves(t *testing.T) {
	needsLab(t)
	l := newLab(t, noUDP, cone, quality{delay: 5 * time.Millisecond, rate: 20e6 / 8})
	l.serve("--relay", "--relay-open")
	server, dir, path := "http://"+serverAddress+":3000", t.TempDir(), filepath.Join(t.TempDir(), "data")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 30e6)); err != nil {
		t.Fatal(err)
	}
	a := l.start("a", "call", "417-falcon-zebra", "--server", server, "--ui", "json", "--send", path)
	l.sees(a, `"type":"waiting"`)
	b := l.start("b", "answer", "417-falcon-zebra", "--server", server, "--ui", "json", "--accept-files", "--download-dir", dir)
	for _, p := range []*process{a, b} {
		if got := l.sees(p, `"path":"(\w+)".*"type":"connected"`); got[1] != "relay" {
			t.Fatalf("they have connected by %s", got[1])
		}
	}
	begun := time.Now()
	l.nat("ra", cone)
	moved := regexp.MustCompile(`"from":"relay","path":"(srflx|prflx)","type":"moved"`)
	said := 0
	for ; !moved.MatchString(a.out.String()) || said < 300; said++ {
		l.say(a, fmt.Sprint("line ", said))
		l.sees(b, fmt.Sprintf(`"text":"line %d"`, max(0, said-100))) // at most 100 are on their way
		if time.Since(begun) > patience {
			t.Fatalf("the call stays at the relay: %s", a.err)
		}
	}
	t.Logf("%s after UDP was let through, with %d lines on their way or read", time.Since(begun).Round(time.Millisecond), said)
	l.sees(b, `"from":"relay","path":"(srflx|prflx)","type":"moved"`)
	l.sees(b, fmt.Sprintf(`"text":"line %d"`, said-1))
	l.sees(a, `"type":"file-sent"`)
	l.sees(b, `"type":"file-received"`)
	l.leave(a, b)
	lines := regexp.MustCompile(`"text":"line (\d+)"`).FindAllStringSubmatch(b.out.String(), -1)
	for i, m := range lines {
		if m[1] != strconv.Itoa(i) {
			t.Fatalf("line %s came in place of %d", m[1], i)
		}
	}
	if len(lines) != said {
		t.Errorf("%d of %d lines have come", len(lines), said)
	}
	for _, p := range []*process{a, b} {
		if regexp.MustCompile(`"type":"(disconnected|reconnected)"`).MatchString(p.out.String()) {
			t.Errorf("a move looks like a loss: %s", p.out)
		}
	}
}
