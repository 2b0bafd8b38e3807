package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"p2pchat/peer/contact"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// box returns a box of two contacts, each side's copy the same.
func box() contact.Box {
	key := bytes.Repeat([]byte{7}, contact.KeySize)
	return contact.Keep(contact.First, key, key[:contact.NonceSize], key[:contact.NonceSize]).Generations[0].Boxes[contact.First]
}

func seal(t *testing.T, o Outgoing, letters ...string) Outgoing {
	t.Helper()
	for _, letter := range letters {
		var err error
		if o, err = o.Seal([]byte(letter)); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func post(t *testing.T, o Outgoing, at signaling.Mail) Outgoing {
	t.Helper()
	o, _, err := o.Post(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func texts(letters []Letter) (all []string) {
	for _, l := range letters {
		all = append(all, string(l.Text))
	}
	return all
}

// take expects exactly these letters.
func take(t *testing.T, i Incoming, at signaling.Mail, want ...string) Incoming {
	t.Helper()
	i, letters, report, err := i.Take(t.Context(), at, 0)
	if err != nil || report != (Report{}) || !slices.Equal(texts(letters), want) {
		t.Fatalf("got %q, %+v, %v; want %q", texts(letters), report, err, want)
	}
	return i
}

func TestLetters(t *testing.T) {
	t.Parallel()
	at, o, i := memstore.NewMail(memstore.MailLimits{}), Outgoing{Box: box()}, Incoming{box()}
	i = take(t, i, at)
	o = post(t, seal(t, o, "one", "", "three"), at)
	i = take(t, i, at, "one", "", "three")
	i = take(t, i, at)
	if err := i.Delete(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	if boxes, _ := at.Usage(); boxes != 0 {
		t.Errorf("%d boxes are left", boxes)
	}
	o = post(t, seal(t, o, "four"), at)
	take(t, i, at, "four")
	if len(o.Pending) != 0 {
		t.Errorf("%d are pending", len(o.Pending))
	}
}

// The size of a block tells of a letter's length only which of three classes it is in.
func TestSizes(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]int{0: 512, 1: 512, 494: 512, 495: 2048, 2030: 2048, 2031: 16384, MaxLetter: 16384} {
		letter := strings.Repeat("x", length)
		o := seal(t, Outgoing{Box: box()}, letter)
		if got := len(o.Pending[0].Bytes); got != want {
			t.Errorf("a letter of %d bytes is a block of %d, want %d", length, got, want)
		}
		_, letters, report := Incoming{box()}.open(o.Pending)
		if len(letters) != 1 || string(letters[0].Text) != letter || report != (Report{}) {
			t.Errorf("a letter of %d bytes does not open", length)
		}
	}
	o := Outgoing{Box: box()}
	after, err := o.Seal(make([]byte, MaxLetter+1))
	if !errors.Is(err, ErrTooLong) || !strings.Contains(err.Error(), strconv.Itoa(MaxLetter)) || after.Box.Number != 0 || len(after.Pending) != 0 {
		t.Errorf("a letter that is too long: %v", err)
	}
}

// A program that is killed after any step goes on from what it saved, and each letter comes once.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	steps := 0
	for killed := 0; killed == 0 || killed <= steps; killed++ {
		at := memstore.NewMail(memstore.MailLimits{})
		savedOut, savedIn := Outgoing{Box: box()}, Incoming{box()}
		var handled []string // the conversation's journal, with the numbers of its frames
		step := 0
		dies := func() bool { step++; return step == killed }
		run := func() bool {
			for savedOut.Box.Number < 3 {
				o := seal(t, savedOut, fmt.Sprint("letter ", savedOut.Box.Number))
				if dies() {
					return false
				}
				savedOut = o
				posted := post(t, savedOut, at)
				if dies() {
					return false
				}
				savedOut = posted
			}
			savedOut = post(t, savedOut, at)
			i, letters, report, err := savedIn.Take(t.Context(), at, 0)
			if err != nil || report != (Report{}) {
				t.Fatalf("killed at step %d: %+v, %v", killed, report, err)
			}
			for _, l := range letters {
				if int(l.Number) == len(handled) { //nolint:gosec // few
					handled = append(handled, string(l.Text))
				}
				if dies() {
					return false
				}
			}
			savedIn = i
			return !dies() && savedIn.Delete(t.Context(), at) == nil
		}
		if finished := run(); !finished { // it is started again
			finished = run()
			if !finished {
				t.Fatalf("killed at step %d, it did not go on", killed)
			}
		}
		if killed == 0 {
			steps = step
		}
		if want := []string{"letter 0", "letter 1", "letter 2"}; !slices.Equal(handled, want) {
			t.Errorf("killed at step %d: handled %q", killed, handled)
		}
	}
}

// A thief who copies either side's file after a letter was read opens neither it nor any before.
func TestStolenState(t *testing.T) {
	t.Parallel()
	at, o, i := memstore.NewMail(memstore.MailLimits{}), seal(t, Outgoing{Box: box()}, "one", "two", "three"), Incoming{box()}
	recorded := slices.Clone(o.Pending) // by the server
	o = post(t, o, at)
	i = take(t, i, at, "one", "two", "three")
	for name, stolen := range map[string]contact.Box{"the reader's": i.Box, "the sender's": o.Box} {
		for _, block := range recorded {
			for number := range uint64(8) { // whatever number the thief writes into the file, or on the block
				stolen.Number, block.Number = number, number+1
				if _, letters, _ := (Incoming{stolen}).open([]signaling.Block{block}); len(letters) > 0 {
					t.Errorf("%s file opens %q", name, texts(letters))
				}
			}
		}
	}
}

// What the server refuses stays pending, in order.
func TestRefused(t *testing.T) {
	t.Parallel()
	at, o, i := memstore.NewMail(memstore.MailLimits{Blocks: 2}), seal(t, Outgoing{Box: box()}, "one", "two", "three", "four"), Incoming{box()}
	o, kept, err := o.Post(t.Context(), at)
	if !errors.Is(err, signaling.ErrBoxFull) || len(o.Pending) != 2 || kept != 0 {
		t.Fatalf("%d are pending, kept %s: %v", len(o.Pending), kept, err)
	}
	i = take(t, i, at, "one", "two")
	if err := i.Delete(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	post(t, o, at)
	take(t, i, at, "three", "four")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, _, err := i.Take(ctx, waiting{at}, signaling.Forever); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := i.Delete(ctx, waiting{at}); !errors.Is(err, context.Canceled) {
		t.Errorf("letters that the server has not deleted: %v", err)
	}
}

// What a person is told of a server that lies.
func TestReports(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Report{
		"": {},
		"1 letter is missing: it expired, or the server withholds it. Its sender still has it.":                                       {Missing: 1},
		"2 letters are missing: they expired, or the server withholds them. Their sender still has them.":                             {Missing: 2},
		"The server sent 1 letter again; it is shown once.":                                                                           {Repeated: 1},
		"The server sent 2 letters again; each is shown once.":                                                                        {Repeated: 2},
		"The server sent 1 letter that your contact did not write; it is not shown.":                                                  {Invented: 1},
		"The server sent 2 letters that your contact did not write; none is shown.":                                                   {Invented: 2},
		"The server sent 1 letter again; it is shown once. The server sent 3 letters that your contact did not write; none is shown.": {Repeated: 1, Invented: 3},
	} {
		if got := r.String(); got != want {
			t.Errorf("%+v is told as %q, want %q", r, got, want)
		}
	}
}

// waiting is a Mail without blocks.
type waiting struct{ signaling.Mail }

func (waiting) Blocks(ctx context.Context, _ signaling.Box, _ uint64, _ time.Duration) ([]signaling.Block, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// DeleteBlocks implements signaling.Mail.
func (waiting) DeleteBlocks(ctx context.Context, _ signaling.Box, _ uint64) error { return ctx.Err() }
