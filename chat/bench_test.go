package chat

import (
	"errors"
	"strings"
	"testing"
)

// BenchmarkConversation is messages of 64 bytes one way, acknowledged: Say waits when
// too many are not.
func BenchmarkConversation(b *testing.B) {
	left, right := newPair(64)
	from, to := newTalker(leavesWhenSaid).joins(left), newTalker().joins(right)
	from.run(b.Context(), nil)
	to.run(b.Context(), nil)
	text := strings.Repeat("x", 64)
	b.SetBytes(64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := from.Say(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(from.Finish(b.Context()), from.end(), to.end()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

// BenchmarkRoundTrip is a message of 64 bytes and its acknowledgement.
func BenchmarkRoundTrip(b *testing.B) {
	left, right := newPair(64)
	delivered := make(chan struct{}, 1)
	from, to := newTalker().joins(left), newTalker().joins(right)
	from.run(b.Context(), func(e Event) bool {
		if _, ok := e.(Delivered); ok {
			delivered <- struct{}{}
		}
		return true
	})
	to.run(b.Context(), nil)
	text := strings.Repeat("x", 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := from.Say(b.Context(), text); err != nil {
			b.Fatal(err)
		}
		<-delivered
	}
	from.Leave()
	if err := errors.Join(from.end(), to.end()); err != nil {
		b.Fatal(err)
	}
}
