package chat

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat/reliable"
)

// Of what waits for the next pipe for more than a minute, the reader learns when it was written, and of nothing else.
func TestTimeOfWhatWaited(t *testing.T) {
	meeting(t, func(t *testing.T, a, b *talker) {
		say(t, a, "before the loss")
		synctest.Wait()
		a.ends[0].cut()
		lost := time.Now()
		say(t, a, "at once")
		time.Sleep(30 * time.Second)
		say(t, a, "soon after") // shares its time
		time.Sleep(2 * time.Hour)
		say(t, a, "hours later")
		time.Sleep(longWait * time.Second)
		left, right := newPair(16)
		a.joins(left)
		b.joins(right)
		synctest.Wait()
		say(t, a, "after the loss")
		synctest.Wait()
		want := map[string]time.Time{"at once": lost, "soon after": lost}
		got := only[Message](b.seen())
		if len(got) != 5 {
			t.Errorf("%d messages arrive", len(got))
		}
		for _, m := range got {
			if !m.Written.Equal(want[m.Text]) {
				t.Errorf("%q was written at %v, want %v", m.Text, m.Written, want[m.Text])
			}
		}
	})
}

// A letter that is left again says of each message when that was written.
func TestTimeOfLettersThatAreLeftAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ann, ben := New(Config{Contact: "ben"}), New(Config{Contact: "ann"})
		t.Cleanup(ben.Close)
		begun := time.Now()
		for _, text := range []string{"a week ago", "now"} {
			if _, err := ann.Say(t.Context(), text); err != nil {
				t.Fatal(err)
			}
			if text != "now" {
				time.Sleep(7 * 24 * time.Hour)
			}
		}
		l, err := ann.Letter(0, 1<<10, false)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if _, err := ben.Open(l.Text); err != nil {
				t.Error(err)
			}
		}()
		for _, want := range []time.Time{begun, time.Now()} {
			for e := range ben.Events() {
				if m, ok := e.(Message); ok {
					if !m.Written.Equal(want) {
						t.Errorf("%q was written at %v, want %v", m.Text, m.Written, want)
					}
					break
				}
			}
		}
	})
}

// The times in a hello are few, and a time that cannot be is none.
func TestWaited(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	frame := func(seq uint64, at int64) reliable.Frame { return reliable.Frame{Seq: seq, At: at} }
	many := make([]reliable.Frame, 4096)
	for i := range many {
		many[i] = frame(uint64(i+1), int64(1+i*(longWait+1)))
	}
	for name, c := range map[string]struct {
		frames []reliable.Frame
		want   []waited
	}{
		"none":                   {},
		"no time":                {[]reliable.Frame{frame(1, 0), frame(2, 7)}, nil},
		"fresh":                  {[]reliable.Frame{frame(1, now.Unix()-longWait)}, nil},
		"of the future":          {[]reliable.Frame{frame(1, now.Unix()+9)}, nil},
		"by a clock set back":    {[]reliable.Frame{frame(3, 5000), frame(4, 4999)}, []waited{{3, 5000}, {4, 4999}}},
		"and a fresh one":        {[]reliable.Frame{frame(3, 5000), frame(4, now.Unix())}, []waited{{3, 5000}}},
		"within the same minute": {[]reliable.Frame{frame(3, 5000), frame(4, 5000+longWait), frame(5, 5001+longWait)}, []waited{{4, 5000}, {5, 5001 + longWait}}},
	} {
		if got := waitedOf(c.frames, now); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	list := waitedOf(many, now)
	full := frame0(list)
	if b, err := full.encode(); err != nil || len(list) != maxWaited || len(b) > maxHello {
		t.Errorf("%d times, %d bytes, %v", len(list), len(b), err)
	}

	for _, at := range []int64{0, -1, math.MinInt64, now.Unix(), now.Unix() + 1, math.MaxInt64} {
		if got := writtenAt([]waited{{9, at}}, 1, now); !got.IsZero() {
			t.Errorf("the time %d is shown as %v", at, got)
		}
	}
	if got := writtenAt([]waited{{4, 5}, {9, 7}}, 5, now); !got.Equal(time.Unix(7, 0)) {
		t.Errorf("message 5 was written at %v", got)
	}
	if got := writtenAt([]waited{{4, 5}, {9, 7}}, 10, now); !got.IsZero() {
		t.Errorf("message 10 was written at %v", got)
	}
}

// frame0 returns a hello that is as long as one can be, with these times.
func frame0(list []waited) frame {
	for i := range list {
		list[i] = waited{math.MaxUint64, math.MaxInt64}
	}
	long := "abcdefghijklmnopqrstuvwxyz"
	return frame{kind: kindHello, hello: hello{Conversation: long, Name: long + long, First: math.MaxUint64, Heard: math.MaxUint64, Of: long, Holds: long + long, Waited: list}}
}
