package chat

import (
	"bytes"
	"math/bits"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// good is the hello of a side that behaves.
var good = hello{Conversation: "theirs", Name: "Ben", First: 1}

func TestHostile(t *testing.T) {
	for name, test := range map[string]struct {
		frames [][]byte
		drops  uint64
	}{
		"an empty frame":                        {[][]byte{{}}, 1},
		"binary noise":                          {[][]byte{{0xff, 0x00, 0x80}, bytes.Repeat([]byte{0xa5}, 300)}, 2},
		"kinds of a later version":              {[][]byte{{0}, {6}, {7, 1, 2, 3}, {255}}, 4},
		"short frames":                          {[][]byte{{2}, {2, 0, 0, 0, 0, 0, 0, 0}, {3}, {4, 1}, {5}}, 5},
		"a message of 1 MB":                     {[][]byte{append([]byte{2, 0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 1<<20)...)}, 1},
		"a message of one byte too many":        {[][]byte{append([]byte{2, 0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, MaxMessage+1)...)}, 1},
		"a message that is not UTF-8":           {[][]byte{[]byte("\x02\x00\x00\x00\x00\x00\x00\x00\x01\xff")}, 1},
		"a second hello":                        {[][]byte{[]byte(`` + "\x01" + `{"conversation":"other","first":100}`)}, 1},
		"a giant hello":                         {[][]byte{append([]byte{1}, bytes.Repeat([]byte{' '}, 1<<20)...)}, 1},
		"a hello that is no JSON":               {[][]byte{{1}, []byte("\x01[]"), []byte("\x01{\"first\":-1}")}, 3},
		"an acknowledgement of what was unsaid": {[][]byte{{4, 0, 0, 0, 0, 0, 0, 0, 9}, {4, 255, 255, 255, 255, 255, 255, 255, 255}}, 2},
		"frames out of order":                   {[][]byte{{2, 0, 0, 0, 0, 0, 0, 0, 9}, {3, 255, 255, 255, 255, 255, 255, 255, 255}}, 2},
		"bundles that make no sense":            {[][]byte{{13}, {13, 0, 0, 0}, {13, 0, 0, 0, 2, 4}, {13, 255, 255, 255, 255, 4}, {13, 0, 0, 0, 0}}, 5},
		"a bundle in a bundle":                  {[][]byte{{13, 0, 0, 0, 14, 13, 0, 0, 0, 9, 2, 0, 0, 0, 0, 0, 0, 0, 1}}, 1},
		"a hello in a bundle":                   {[][]byte{append([]byte{13, 0, 0, 0, 3, 1}, "{}"...)}, 1},
		"a bundle whose frames make no sense":   {[][]byte{{13, 0, 0, 0, 1, 255, 0, 0, 0, 1, 2, 0, 0, 0, 9, 2, 0, 0, 0, 0, 0, 0, 0, 9}}, 3},
		"a message that came before":            {[][]byte{{2, 0, 0, 0, 0, 0, 0, 0, 0, 'x'}}, 0},
	} {
		t.Run(name+" is dropped, and the conversation goes on", func(t *testing.T) {
			withRaw(t, func(t *testing.T, a *talker, r raw) {
				r.hello(good)
				for _, b := range test.frames {
					r.send(b)
				}
				r.say(1, "still here")
				say(t, a, "so am I")
				var said []string
				for _, f := range r.drain() {
					if f.kind == kindMessage {
						said = append(said, f.text)
					}
				}
				r.write(frame{kind: kindAck, seq: 1})
				synctest.Wait()
				equal(t, "this side reads", texts(a.seen()), []string{"still here"})
				equal(t, "this side says", said, []string{"so am I"})
				equal(t, "delivered", deliveries(a.seen()), []uint64{1})
				equal(t, "it talks to", names(a), []string{"Ben"})
				dropped(t, a, test.drops)
			})
		})
	}

	t.Run("what comes before a hello is dropped", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			say(t, a, "x")
			r.say(1, "too early")
			r.write(frame{kind: kindAck, seq: 1})
			r.write(frame{kind: kindGoodbye})
			r.send(append([]byte{1}, bytes.Repeat([]byte{' '}, maxHello+1)...))
			r.say(1, "still too early")
			r.hello(good)
			r.say(1, "in time")
			synctest.Wait()
			equal(t, "this side reads", texts(a.seen()), []string{"in time"})
			equal(t, "delivered", deliveries(a.seen()), nil)
			dropped(t, a, 5)
			r.write(frame{kind: kindAck, seq: 1})
		})
	})

	t.Run("a hundred thousand bad frames are few lines in the log, and all counted", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(good)
			for range 100_000 {
				r.send([]byte{0xff})
			}
			r.say(1, "still here")
			synctest.Wait()
			equal(t, "this side reads", texts(a.seen()), []string{"still here"})
			dropped(t, a, 100_000)
			if lines := strings.Count(a.log.String(), "\n"); lines >= 20 {
				t.Errorf("%d lines in the log", lines)
			}
			for _, count := range []string{" count=1\n", " count=2\n", " count=4\n", " count=65536\n"} {
				if !strings.Contains(a.log.String(), count) {
					t.Errorf("the log has no %q: %s", count, a.log)
				}
			}
		})
	})

	t.Run("a message is told once, however often it comes", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(good)
			for range 3 {
				r.say(1, "one")
			}
			r.say(2, "two")
			r.say(1, "one")
			synctest.Wait()
			equal(t, "this side reads", texts(a.seen()), []string{"one", "two"})
		})
	})

	t.Run("a goodbye counts once", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			begun := time.Now()
			r.hello(good)
			r.write(frame{kind: kindGoodbye})
			r.write(frame{kind: kindGoodbye})
			synctest.Wait()
			equal(t, "this side is told", only[Left](a.seen()), []Left{{}})
			goodbyes := 0
			for _, f := range r.drain() {
				if f.kind == kindGoodbye {
					goodbyes++
				}
			}
			if goodbyes != 1 {
				t.Errorf("it answers %d times", goodbyes)
			}
			if lines := strings.Count(a.log.String(), "a second goodbye"); lines != 1 {
				t.Errorf("the log says %s", a.log)
			}
			r.hangUp()
			if err := a.end(); err != nil {
				t.Error(err)
			}
			within(t, begun, 0)
		})
	})

	t.Run("who says goodbye and stays on the line is left after two seconds", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			begun := time.Now()
			r.hello(good)
			r.write(frame{kind: kindGoodbye})
			if err := a.end(); err != nil {
				t.Error(err)
			}
			within(t, begun, goodbyeTimeout)
		})
	})

	t.Run("no name, a name of binary noise and numbers at the edge are no harm", func(t *testing.T) {
		for hello, called := range map[string]string{
			`null`:                Stranger,
			`{}`:                  Stranger,
			`{"name":"\ud800"}`:   "\ufffd",
			"{\"name\":\"\xff\"}": "\ufffd",
			`{"conversation":"x","first":18446744073709551615,"heard":18446744073709551615,"of":"x"}`: Stranger,
			`{"conversation":"x","first":0}`: Stranger,
		} {
			withRaw(t, func(t *testing.T, a *talker, r raw) {
				r.send([]byte("\x01" + hello))
				r.write(frame{kind: kindEnd, seq: 1<<64 - 1})
				r.write(frame{kind: kindMessage, seq: 0})
				r.say(1, "x")
				synctest.Wait()
				equal(t, hello+": it is called", names(a), []string{called})
			})
		}
	})
}

// dropped checks how many frames a did not handle, and that the log has the 1st, the 2nd, the 4th
// and so on.
func dropped(t *testing.T, a *talker, n uint64) {
	t.Helper()
	if a.dropped != n {
		t.Errorf("%d were dropped, not %d", a.dropped, n)
	}
	if lines := strings.Count(a.log.String(), "dropped what the other side sent"); lines != bits.Len64(n) {
		t.Errorf("%d lines in the log for %d: %.500s", lines, n, a.log)
	}
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x05\x02\x00\x00\x00\x00\x00\x00\x00\x01\x09\x04\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Add([]byte("\x09\x03\x00\x00\x00\x00\x00\x00\x00\x01\x09\x05\x00\x00\x00\x00\x00\x00\x00\x01\x03\x01{}"))
	f.Fuzz(func(t *testing.T, script []byte) {
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(1024)
			a := newTalker().joins(left).run(t.Context(), nil)
			r := raw{right, t}
			r.hello(good)
			say(t, a, "one", "two")
			for len(script) > 0 { // a length, then a frame
				n := min(int(script[0]), len(script)-1)
				if right.Send(t.Context(), script[1:1+n]) != nil {
					break
				}
				script = script[1+n:]
				r.t = t
				for synctest.Wait(); len(right.in.frames) > 0; synctest.Wait() {
					<-right.in.frames
				}
			}
			begun := time.Now()
			a.Leave()
			_ = a.end()
			within(t, begun, goodbyeTimeout)
			for i, id := range deliveries(a.seen()) {
				if id != uint64(i+1) || id > 2 {
					t.Errorf("%d is delivered", id)
				}
			}
		})
	})
}
