package chat

import (
	"testing"
	"time"

	"p2pchat/chat/reliable"
)

// What is not acknowledged in time is followed by one acknowledgement that says nothing new; what is, by nothing.
func TestTail(t *testing.T) {
	withRaw(t, func(t *testing.T, a *talker, r raw) {
		r.hello(hello{Conversation: "raw", First: 1})
		r.say(1, "hello")
		r.drain()
		for seq := uint64(1); seq <= 4; seq++ {
			say(t, a, "in time")
			r.drain()
			time.Sleep(50 * time.Millisecond)
			r.write(frame{kind: kindAck, seq: seq})
		}
		time.Sleep(time.Hour)
		if got := r.drain(); len(got) != 0 {
			t.Errorf("what is acknowledged is followed by %v", got)
		}

		begun := time.Now()
		say(t, a, "late")
		if f := r.read(); f.kind != kindMessage || f.text != "late" {
			t.Errorf("the message is %v", f)
		}
		if f, took := r.read(), time.Since(begun); f.kind != kindAck || f.seq != 1 || took != 62500*time.Microsecond { // a quarter more than the others took
			t.Errorf("after %v it is followed by %v", took, f)
		}
		time.Sleep(time.Hour)
		if got := r.drain(); len(got) != 0 {
			t.Errorf("then come %v", got)
		}
		r.write(frame{kind: kindAck, seq: 5})
	})
}

// A probe is for losses alone: a stranger's program would show it.
func TestTailOfAStranger(t *testing.T) {
	withForeign(t, 4, nil, func(t *testing.T, a *talker, r raw) {
		say(t, a, "hello")
		time.Sleep(time.Hour)
		equal(t, "it gets", r.wire(), []string{"hello"})
	})
}

// What is acknowledged before look sees that it is out, as on an earlier pipe, measures nothing: the next look may come an hour later.
func TestTailMeasuresRoundTripsOnly(t *testing.T) {
	const trip = 100 * time.Millisecond
	begun := time.Now()
	tail := newTail(trip)
	defer tail.stop()
	for i, after := range []time.Duration{0, time.Hour, 2 * time.Hour} {
		n := uint64(7 + i)
		if tail.look(reliable.Status{Out: n, Confirmed: n}, begun.Add(after)) != nil {
			t.Error("a probe is due for what is acknowledged")
		}
	}
	if got := tail.patience(); got != trip+trip/4 {
		t.Errorf("a probe is due after %v", got)
	}
}
