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

// What the reader handles on a new pipe before the other side's hello is acknowledged after it, and only to the program that wrote it:
// another one would take the number for one of its own frames, and lose that.
func TestNoAcknowledgementBeforeTheHello(t *testing.T) {
	for _, program := range []string{"the same", "another"} {
		s := New(nil, nil)
		s.Hello()
		s.Greet(Hello{Conversation: "the same", First: 1})
		at, _ := s.Receive(1)
		s.Took(at)
		s.Hello() // the next pipe
		s.Handled(at, nil)
		if seq, ok := s.NextAck(); ok {
			t.Errorf("frame %d is acknowledged to whichever program is there", seq)
		}
		s.Greet(Hello{Conversation: program, First: 1})
		if seq, ok := s.NextAck(); ok != (program == "the same") || ok && seq != 1 {
			t.Errorf("frame %d is acknowledged to %s program: %t", seq, program, ok)
		}
	}
}

// A program that begins from nothing is told nothing of what was for this side's program before; one that goes on is.
func TestGreetings(t *testing.T) {
	for name, c := range map[string]struct {
		of    string // instead of this side's conversation
		heard uint64
		want  uint64
	}{
		"of this conversation":           {"", 3, 3},
		"of this conversation, far back": {"", 1, 2},
		"of another conversation":        {"another", 3, 2},
	} {
		s := New(nil, nil)
		for range 4 {
			if _, err := s.Put(testMessage, "text"); err != nil {
				t.Fatal(err)
			}
		}
		if frames, ok := s.Acked(2); !ok || len(frames) != 2 {
			t.Fatalf("%d, %t", len(frames), ok)
		}
		h := Hello{Conversation: "theirs", First: 1, Heard: c.heard, Of: c.of}
		if c.of == "" {
			h.Of = s.ID()
		}
		for _, want := range []bool{true, false} {
			if fresh, heard := s.Greet(h); fresh != want || heard != c.want {
				t.Errorf("a hello %s: fresh %t, heard %d; want %t, %d", name, fresh, heard, want, c.want)
			}
		}
	}
}

// What the reader has handled of a program is known when that program comes back, and of others nothing is.
func TestProgramThatComesBack(t *testing.T) {
	s := New(nil, nil)
	s.Greet(Hello{Conversation: "first", First: 1})
	for range 2 {
		at, _ := s.Receive(s.took + 1)
		s.Took(at)
		s.Handled(at, nil)
	}
	s.Greet(Hello{Conversation: "second", First: 1})
	for seq, want := range map[uint64]bool{0: true, 2: true, 3: false} {
		if got := s.HasRead("first", seq); got != want {
			t.Errorf("frame %d of the first one was read: %t", seq, got)
		}
	}
	if s.HasRead("third", 0) {
		t.Error("a program that never came was read")
	}
	if fresh, _ := s.Greet(Hello{Conversation: "first", First: 1}); !fresh {
		t.Error("it is not another program than the one before")
	}
	if _, got := s.Receive(2); got != Known {
		t.Errorf("what was read is %v", got)
	}
	if _, got := s.Receive(3); got != Fresh {
		t.Errorf("the next one is %v", got)
	}
}

// A full outbox has room again once something is acknowledged, and all who wait hear of it.
func TestRoom(t *testing.T) {
	s := New(nil, nil)
	for range MaxFrames {
		if room := s.Room(); room != nil {
			t.Fatal("there is no room")
		}
		if _, err := s.Put(testMessage, ""); err != nil {
			t.Fatal(err)
		}
	}
	one, two := s.Room(), s.Room()
	if one == nil || two == nil {
		t.Fatal("there is room for more")
	}
	select {
	case <-one:
		t.Error("there is room before anything is acknowledged")
	default:
	}
	if _, ok := s.Acked(1); !ok {
		t.Fatal("the first frame is not acknowledged")
	}
	<-one
	<-two
	if s.Room() != nil {
		t.Error("there is no room afterwards")
	}
}

// Next gives out what fits, to the byte, and an acknowledgement goes out once.
func TestLimits(t *testing.T) {
	a, b := New(nil, nil), New(nil, nil)
	if _, err := a.Put(testMessage, "four"); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.Next(3); ok {
		t.Error("a frame of four bytes fits into three")
	}
	if _, ok := a.Next(4); !ok {
		t.Error("a frame of four bytes does not fit into four")
	}
	b.Greet(a.Hello())
	at, _ := b.Receive(1)
	b.Took(at)
	b.Handled(at, nil)
	if h := b.Hello(); h.Heard != 1 || h.Of != a.ID() {
		t.Errorf("%+v", h)
	}
	if seq, ok := b.NextAck(); ok {
		t.Errorf("%d is acknowledged after a hello that said so", seq)
	}
}
