package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// testMeetings is the variable with how many times two contacts call each other at once.
const testMeetings = "P2PCHATTEST_MEETINGS"

const labServer = "http://" + serverAddress + ":3000"

// A labPair is two people on machines a and b of a lab, who keep what they know of each other between the runs of the program.
type labPair struct {
	*lab
	states map[string]string // by machine
}

// keeps lets the two keep each other in a call with a code, and ends both programs.
func (l *lab) keeps() labPair {
	l.Helper()
	dir := l.TempDir()
	p := labPair{l, map[string]string{"a": filepath.Join(dir, "a"), "b": filepath.Join(dir, "b")}}
	a := p.runs("a", "call", "417-falcon-zebra", "--keep", "ben")
	p.sees(a, `"type":"waiting"`)
	b := p.runs("b", "answer", "417-falcon-zebra", "--keep", "ann")
	p.sees(a, `"type":"kept"`)
	p.sees(b, `"type":"kept"`)
	p.leave(a, b)
	return p
}

// runs starts the program for the person at a machine.
func (p labPair) runs(on string, args ...string) *process {
	p.Helper()
	words := append([]string{"netns", "exec", p.ns(on), p.path}, args...)
	cmd := exec.Command("ip", append(words, "--server", labServer, "--ui", "json")...) //nolint:gosec // the program under test
	return launchCommand(p, cmd, p.TempDir(), append(os.Environ(), "P2PCHAT_NAME="+on, "XDG_STATE_HOME="+p.states[on]))
}

// connects returns how long a call takes from the callee's start, as a process, until both have the line that the other has typed ahead.
func (p labPair) connects(caller, callee []string) time.Duration {
	p.Helper()
	a := p.runs("a", caller...)
	p.sees(a, `"type":"waiting"`)
	p.say(a, "from a")
	begun := time.Now()
	b := p.runs("b", callee...)
	p.say(b, "from b")
	p.sees(b, `"text":"from a"`)
	p.sees(a, `"text":"from b"`)
	took := time.Since(begun)
	p.leave(a, b)
	return took
}

// Two who have kept each other connect without a code, after both programs were started again, and as fast as with one. The wires are
// so long that what is counted is round trips: the fewest of each, because a busy machine only adds to them.
func TestNATContactsConnectAsFastAsWithACode(t *testing.T) {
	needsLab(t)
	const roundTrip = 100 * time.Millisecond
	l := newLab(t, cone, cone, quality{delay: roundTrip / 4})
	l.serve("--relay", "--relay-open")
	p := l.keeps()
	took := map[string][]time.Duration{}
	// What a busy machine adds is in the fewest of a few tries, too, so it tries on until the bound is kept.
	more := func() time.Duration { return slices.Min(took["without one"]) - slices.Min(took["with a code"]) }
	for tries := 0; tries < 5 || tries < 20 && more() > roundTrip*3/4; tries++ {
		took["with a code"] = append(took["with a code"], p.connects([]string{"call", "417-falcon-zebra"}, []string{"answer", "417-falcon-zebra"}))
		took["without one"] = append(took["without one"], p.connects([]string{"call", "@ben"}, []string{"answer", "@ann"}))
	}
	for how, all := range took {
		slices.Sort(all)
		trips := func(d time.Duration) float64 { return float64(d) / float64(roundTrip) }
		t.Logf("%s, %d tries: %.1f round trips, median %.1f, most %.1f", how, len(all), trips(all[0]), trips(all[len(all)/2]), trips(all[len(all)-1]))
	}
	if more() > roundTrip*3/4 {
		t.Errorf("without a code it takes %v longer: a round trip is %v", more(), roundTrip)
	}
}

// Two contacts who call each other at once always meet, and a line of each arrives: 10 times, or as often as P2PCHATTEST_MEETINGS says.
func TestNATContactsCallEachOtherAtOnce(t *testing.T) {
	needsLab(t)
	meetings, err := strconv.Atoi(os.Getenv(testMeetings))
	if err != nil {
		meetings = 10
	}
	l := newLab(t, cone, symmetric, quality{})
	l.serve("--relay", "--relay-open")
	p := l.keeps()
	var took []time.Duration
	for range meetings {
		begun := time.Now()
		a, b := p.runs("a", "call", "@ben"), p.runs("b", "call", "@ann")
		p.say(a, "from a")
		p.say(b, "from b")
		p.sees(a, `"type":"connected","verified":true`)
		p.sees(b, `"type":"connected","verified":true`)
		p.sees(a, `"text":"from b"`)
		p.sees(b, `"text":"from a"`)
		took = append(took, time.Since(begun))
		p.leave(a, b)
		a.finishes(t, 0)
		b.finishes(t, 0)
	}
	slices.Sort(took)
	t.Logf("%d of %d, both lines after %v, median, and %v at most", len(took), meetings, took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
}
