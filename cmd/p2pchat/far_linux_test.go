package main

import (
	"testing"
	"time"
)

// BenchmarkConnectFar is how long a cold connection takes where caller, answerer and server are 100 ms from each other, there
// and back: from the answerer's exec until both have shown the first message, in such round trips. With 'task bench:links'.
func BenchmarkConnectFar(b *testing.B) {
	needsLab(b)
	const roundTrip = 100 * time.Millisecond
	for _, c := range []struct {
		name           string
		caller, callee string // where they run
		prepare        func(*lab)
	}{
		{"without NATs", "ra", "rb", func(l *lab) {
			for _, router := range []string{"ra", "rb"} {
				l.rules(router, "flush ruleset")
			}
		}},
		{"two cones", "a", "b", func(*lab) {}},
	} {
		b.Run(c.name, func(b *testing.B) {
			l := newLab(b, cone, cone, quality{delay: roundTrip / 4})
			c.prepare(l)
			l.serve("--relay", "--relay-open")
			connect := func() (took time.Duration) {
				args := []string{"417-falcon-zebra", "--server", "http://" + serverAddress + ":3000", "--ui", "json"}
				caller := l.start(c.caller, append([]string{"call"}, args...)...)
				l.sees(caller, `"type":"waiting"`)
				l.say(caller, "a first line") // both are typed ahead
				begun := time.Now()
				callee := l.startAtOnce(c.callee, append([]string{"answer"}, args...)...)
				l.say(callee, "a first line")
				l.sees(callee, `"type":"message"`)
				l.sees(caller, `"type":"message"`)
				took = time.Since(begun)
				caller.say(l, `{"type":"leave"}`)
				<-caller.ended
				<-callee.ended
				return took
			}
			connect() // on links of the world, no one asks for hardware addresses
			var took time.Duration
			for b.Loop() {
				took += connect()
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(took)/float64(roundTrip)/float64(b.N), "round-trips")
		})
	}
}
