package main

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkConnectFar is how long a cold connection takes where caller, answerer and server are 100 ms from each other, there
// and back: from the answerer's exec until both have shown the first message, in such round trips. With 'task bench:links'.
func BenchmarkConnectFar(b *testing.B) {
	needsLab(b)
	const roundTrip = 100 * time.Millisecond
	l := newLab(b, cone, cone, quality{delay: roundTrip / 4})
	l.serve("--relay", "--relay-open")
	server := "http://" + serverAddress + ":3000"
	var took []float64
	for b.Loop() {
		caller := l.start("a", "call", "417-falcon-zebra", "--server", server, "--ui", "json")
		l.sees(caller, `"type":"waiting"`)
		l.say(caller, "a first line") // both are typed ahead
		begun := time.Now()
		callee := l.start("b", "answer", "417-falcon-zebra", "--server", server, "--ui", "json")
		l.say(callee, "a first line")
		l.sees(callee, `"type":"message"`)
		l.sees(caller, `"type":"message"`)
		took = append(took, float64(time.Since(begun))/float64(roundTrip))
		caller.say(l, `{"type":"leave"}`)
		<-caller.ended
		<-callee.ended
	}
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(took[0], "round-trips/least")
	b.ReportMetric(took[len(took)/2], "round-trips/median")
	b.ReportMetric(took[len(took)-1], "round-trips/most")
}
