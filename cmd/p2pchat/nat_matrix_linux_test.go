package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	public   = "public"
	fullCone = "full cone"
)

// The kinds of networks of the matrix, with the names of its table. Filtering and mapping as in RFC 4787: a full cone's are
// endpoint-independent, "cone" filters by address and port, a symmetric NAT maps each destination to another port.
var matrixKinds = []struct{ name, nat string }{
	{"a public address", public},
	{"a full cone", fullCone},
	{"a port-restricted cone", cone},
	{"a symmetric NAT", symmetric},
	{"a network without UDP", noUDP},
}

// machine makes the router of one side a NAT of that kind, and returns the machine that the program runs on.
func (l *lab) machine(side, nat string) string {
	l.Helper()
	switch router := "r" + side; nat {
	case public:
		l.rules(router, "flush ruleset")
		return router
	case fullCone:
		l.rules(router, `
			flush ruleset
			table ip nat {
				chain before {
					type nat hook prerouting priority dstnat
					iifname "wan" meta l4proto udp dnat to 10.`+map[string]string{"a": "1", "b": "2"}[side]+`.0.2
				}
				chain after {
					type nat hook postrouting priority srcnat
					oifname "wan" masquerade
				}
			}
		`)
	default:
		l.nat(router, nat)
	}
	return side
}

// matrixPath returns the best path between two kinds of networks: no UDP goes to or from a network without it, and two NATs of which one is
// symmetric connect only if the other one lets all packets in. (The program tries TCP where there is no relay.)
func matrixPath(a, b string) string {
	either := func(nat string) bool { return a == nat || b == nat }
	switch {
	case either(noUDP), either(symmetric) && !either(fullCone) && !either(public):
		return relayed
	case a == public && b == public:
		return "host"
	case either(public):
		return "host|" + direct
	}
	return direct
}

// Five kinds of networks call each other. P2PCHATTEST_MATRIX says how often, for medians: 'task bench:nat'.
func TestNATMatrix(t *testing.T) {
	needsLab(t)
	calls, err := strconv.Atoi(os.Getenv("P2PCHATTEST_MATRIX"))
	if err != nil {
		calls = 1
	}
	l := newLab(t, cone, cone, quality{})
	l.serve("--relay", "--relay-open")
	header := []string{"caller \\ callee"}
	for _, callee := range matrixKinds {
		header = append(header, callee.name)
	}
	table := []string{tableRow(header), tableRow(slices.Repeat([]string{"---"}, len(header)))}
	for _, caller := range matrixKinds {
		row := []string{caller.name}
		for _, callee := range matrixKinds {
			from, to := l.machine("a", caller.nat), l.machine("b", callee.nat)
			var paths []string
			var took []time.Duration
			for range calls {
				path, after := l.matrixCall(from, to)
				if want := matrixPath(caller.nat, callee.nat); !slices.Contains(strings.Split(want, "|"), path) {
					t.Errorf("%s calls %s: the path is %s, want %s", caller.name, callee.name, path, want)
				}
				paths, took = append(paths, path), append(took, after)
			}
			slices.Sort(paths)
			slices.Sort(took)
			row = append(row, fmt.Sprintf("%s, %d ms", strings.Join(slices.Compact(paths), ", "), took[len(took)/2].Milliseconds()))
		}
		table = append(table, tableRow(row))
	}
	t.Logf("%d calls each, from the callee's start, as a process, until it is connected:\n%s", calls, strings.Join(table, "\n"))
}

// tableRow returns a row of a table in Markdown.
func tableRow(cells []string) string { return "| " + strings.Join(cells, " | ") + " |" }

// matrixCall returns the path of a call, and how long it took from the callee's start.
func (l *lab) matrixCall(from, to string) (path string, took time.Duration) {
	l.Helper()
	l.calls++
	args := []string{fmt.Sprintf("%d-falcon-zebra", 100+l.calls), "--server", "http://" + serverAddress + ":3000", "--ui", "json"}
	caller := l.start(from, append([]string{"call"}, args...)...)
	l.sees(caller, `"type":"waiting"`)
	begun := time.Now()
	callee := l.start(to, append([]string{"answer"}, args...)...)
	path = l.sees(callee, `"path":"(\w+)".*"type":"connected"`)[1]
	took = time.Since(begun)
	l.sees(caller, `"type":"connected"`)
	l.say(caller, "ping")
	l.sees(callee, `"text":"ping"`)
	_, _ = io.WriteString(caller.in, `{"type":"leave"}`+"\n") // or else it is killed in the end
	<-caller.ended
	<-callee.ended
	return path, took
}
