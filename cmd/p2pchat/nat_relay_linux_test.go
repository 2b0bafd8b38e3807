package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A call through a relay goes on when the relay is killed and started again, as that of a server whose program is replaced, and no line is
// lost. It pauses for about a second: 0.6 s to notice the silence, which pion looks at twice
// a second, and 0.3 s to meet.
func TestNATRelayRestarts(t *testing.T) {
	needsLab(t)
	const most = 2500 * time.Millisecond // a busy machine adds to a pause of 1.2 s; one that waits until the call counts as lost has 3.1 s
	l := newLab(t, symmetric, symmetric, quality{delay: 5 * time.Millisecond})
	serve := l.serve("--relay", "--relay-open")
	a, b := l.meet()
	for _, p := range []*process{a, b} {
		l.sees(p, `"path":"(`+relayed+`)".*"type":"connected"`)
	}
	said, pauses := 0, []time.Duration{}
	for range 3 {
		l.chats(a, b, said, said+100)
		said += 100
		time.Sleep(3 * time.Second) // the first try to leave a relay is over
		begun := time.Now()
		serve.kill()
		serve = l.serve("--relay", "--relay-open")
		l.Logf("the server was away for %v", time.Since(begun).Round(time.Millisecond))
		l.chats(a, b, said, said+1)
		said++
		pauses = append(pauses, time.Since(begun))
		l.Logf("a line arrives after %v", pauses[len(pauses)-1].Round(time.Millisecond))
	}
	l.leave(a, b)
	hasLines(t, b, said)
	for _, p := range pauses {
		if p > most {
			t.Errorf("a pause of %v", p)
		}
	}
	for _, p := range []*process{a, b} {
		for _, line := range regexp.MustCompile(`.*"type":"(disconnected|reconnected|moved|notice)".*`).FindAllString(p.out.String(), -1) {
			t.Log(line)
		}
		if strings.Contains(p.out.String(), `"type":"error"`) {
			t.Error(fmt.Sprint(p.out))
		}
	}
}
