package reliable

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

// Two streams over pipes that lose what is on its way, at random: every frame is taken once, in order.
func TestStream(t *testing.T) {
	const frames = 500
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // the same every time
		a, b := New(nil, nil), New(nil, nil)
		for i := range frames {
			if seq, err := a.Put(testMessage, strconv.Itoa(i)); seq != uint64(i+1) || err != nil {
				t.Fatalf("frame %d: %d, %v", i, seq, err)
			}
		}
		taken, delivered := 0, 0
		for pipes := 0; a.Status().Left > 0; pipes++ {
			if pipes > 10*frames {
				t.Fatalf("seed %d: %d are left", seed, a.Status().Left)
			}
			helloA, helloB := a.Hello(), b.Hello()
			a.Greet(helloB)
			b.Greet(helloA)
			if helloB.Of == a.ID() {
				got, _ := a.Acked(helloB.Heard)
				delivered += len(got)
			}
			for range r.IntN(30) { // then the pipe breaks
				f, ok := a.Next(MaxBytes)
				if !ok {
					break
				}
				at, verdict := b.Receive(f.Seq)
				if verdict == Known {
					continue
				}
				if verdict != Fresh || f.Text != strconv.Itoa(taken) {
					t.Fatalf("seed %d: frame %q is %v after %d", seed, f.Text, verdict, taken)
				}
				taken++
				b.Took(at)
				b.Handled(at, nil)
				if seq, ok := b.NextAck(); ok && r.IntN(2) == 0 { // or it is lost
					got, _ := a.Acked(seq)
					delivered += len(got)
				}
			}
		}
		if taken != frames || delivered != frames {
			t.Errorf("seed %d: %d are taken, %d delivered", seed, taken, delivered)
		}
	}
}

func TestReceive(t *testing.T) {
	s := New(nil, nil)
	if fresh, _ := s.Greet(Hello{Conversation: "theirs", First: 3}); !fresh {
		t.Error("a first program is not fresh")
	}
	for seq, want := range map[uint64]Verdict{2: Known, 3: Fresh, 4: Gap, 1 << 63: Gap} {
		if at, got := s.Receive(seq); got != want || at != (Place{"theirs", seq}) {
			t.Errorf("frame %d is %v at %v", seq, got, at)
		}
	}
	old, _ := s.Receive(3)
	if fresh, _ := s.Greet(Hello{Conversation: "another", First: 1}); !fresh {
		t.Error("another program is not fresh")
	}
	s.Took(old)
	if s.Handled(old, nil) {
		t.Error("what the program before has sent counts for the new one")
	}
	if _, got := s.Receive(1); got != Fresh {
		t.Errorf("the first frame of the new program is %v", got)
	}
	if seq, ok := s.NextAck(); ok {
		t.Errorf("%d is acknowledged", seq)
	}
}
