package mail

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"p2pchat/peer/contact"
	"p2pchat/signaling"
)

// A liar is a server that has recorded all blocks, and answers a read with what it likes.
type liar struct {
	signaling.Mail
	random   *rand.Rand
	recorded []signaling.Block
	others   []signaling.Block // of another box of the same two
	withheld map[uint64]bool   // numbers that it never sends as they are
}

// Blocks implements signaling.Mail.
func (l *liar) Blocks(_ context.Context, _ signaling.Box, after uint64, _ time.Duration) (list []signaling.Block, err error) {
	for _, b := range l.recorded {
		if b.Number > after && !l.withheld[b.Number] {
			list = append(list, b)
		}
	}
	list = list[:min(len(list), 1+l.random.IntN(6))] // it truncates
	for range l.random.IntN(6) {
		list = append(list, l.lie())
	}
	l.random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list, nil
}

// lie returns a block that was not put like this, or that was put long ago.
func (l *liar) lie() signaling.Block {
	b := l.recorded[l.random.IntN(len(l.recorded))]
	b.Bytes = bytes.Clone(b.Bytes)
	switch l.random.IntN(6) {
	case 0: // under another number
		b.Number += uint64(1 + l.random.IntN(9)) //nolint:gosec // few
	case 1:
		b.Number = max(b.Number-1, 1)
	case 2: // a bit of it is changed
		b.Bytes[l.random.IntN(len(b.Bytes))] ^= 1 << l.random.IntN(8)
	case 3: // of another box
		b.Bytes = l.others[l.random.IntN(len(l.others))].Bytes
	case 4: // noise, far ahead
		b.Number = 1 + l.random.Uint64N(signaling.MaxBlockNumber)
		for i := range b.Bytes {
			b.Bytes[i] = byte(l.random.IntN(256)) //nolint:gosec // it fits
		}
	case 5: // shorter
		b.Bytes = b.Bytes[:l.random.IntN(len(b.Bytes))]
	}
	return b
}

// A server that repeats, reorders, truncates, invents and withholds makes a reader show nothing that was not written, nothing
// twice and nothing in another order; and what it withheld is told, to a letter.
func TestALyingServer(t *testing.T) {
	t.Parallel()
	lies, gaps := 0, uint64(0)
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // reproducible
		l := &liar{random: random, withheld: map[uint64]bool{}}
		out, other := Outgoing{Box: box()}, Outgoing{Box: otherBox()}
		for n := range 20 {
			out, other = seal(t, out, fmt.Sprint("letter ", n)), seal(t, other, fmt.Sprint("other ", n))
			if n < 19 && random.IntN(5) == 0 {
				l.withheld[uint64(n)+1] = true
			}
		}
		l.recorded, l.others = out.Pending, other.Pending

		var got []string
		var report Report
		i := Incoming{box()}
		for read := 0; i.Box.Number < 20; read++ {
			if read == 1000 {
				t.Fatalf("seed %d: the reader is stuck at %d", seed, i.Box.Number)
			}
			next, letters, told, err := i.Take(t.Context(), l, 0)
			if err != nil {
				t.Fatal(err)
			}
			i, got = next, append(got, texts(letters)...)
			report.Missing += told.Missing
			report.Repeated += told.Repeated
			report.Invented += told.Invented
		}
		var want []string
		for n := range 20 {
			if text := fmt.Sprint("letter ", n); !l.withheld[uint64(n)+1] || slices.Contains(got, text) { // a lie may tell the truth
				want = append(want, text)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("seed %d: got %q, want %q", seed, got, want)
		}
		if report.Missing != uint64(20-len(got)) { //nolint:gosec // few
			t.Errorf("seed %d: %d letters came, and %d are told missing", seed, len(got), report.Missing)
		}
		if (report.Missing > 0) != (len(got) < 20) || report.String() == "" {
			t.Errorf("seed %d: %+v is told as %q", seed, report, report.String())
		}
		lies += report.Invented
		gaps += report.Missing
	}
	if lies == 0 || gaps == 0 {
		t.Errorf("the servers told %d lies and withheld %d letters", lies, gaps)
	}
	t.Log(lies, "invented blocks,", gaps, "withheld letters")
}

// A letter that the server sends again is told as that, and not as another's: before and after it was saved.
func TestRepeatedLetters(t *testing.T) {
	t.Parallel()
	o := seal(t, Outgoing{Box: box()}, "one", "two")
	i, letters, report := Incoming{box()}.open(slices.Concat(o.Pending, o.Pending[:1]))
	if !slices.Equal(texts(letters), []string{"one", "two"}) || report != (Report{Repeated: 1}) {
		t.Errorf("twice in one read: %q, %+v", texts(letters), report)
	}
	if _, letters, report := i.open(o.Pending); len(letters) > 0 || report != (Report{Repeated: 2}) {
		t.Errorf("again in the next read: %q, %+v", texts(letters), report)
	}
}

// Letters come through a gap of maxGap, and none through a longer one.
func TestLongestGap(t *testing.T) {
	t.Parallel()
	o := Outgoing{Box: box()}
	for range maxGap {
		_, _, o.Box = o.Box.Next()
	}
	o = seal(t, o, "last", "too far", "farther")
	_, letters, report := Incoming{box()}.open(o.Pending[:1])
	if !slices.Equal(texts(letters), []string{"last"}) || report != (Report{Missing: maxGap}) {
		t.Errorf("after %d: %q, %+v", maxGap, texts(letters), report)
	}
	if _, letters, report := (Incoming{box()}).open(o.Pending[1:]); len(letters) > 0 || report != (Report{Invented: 2}) {
		t.Errorf("farther: %q, %+v", texts(letters), report)
	}
}

// A contact whose program seals what no letter looks like is told like a block that does not open.
func TestHostileContact(t *testing.T) {
	t.Parallel()
	for sealed, opens := range map[string]bool{"": false, "\x00": false, "\x00\x00": true, "\x00\x01": false, "\x00\x02x": false, "\x00\x01x": true, "\xff\xffx": false} {
		key, number, _ := box().Next()
		block := signaling.Block{Number: number + 1, Bytes: newCipher(key).Seal(nil, make([]byte, chacha20poly1305.NonceSize), []byte(sealed), box().Context())}
		_, letters, report := Incoming{box()}.open([]signaling.Block{block})
		if got := len(letters) == 1; got != opens || (report == Report{}) != opens {
			t.Errorf("%q: %q, %+v", sealed, texts(letters), report)
		}
	}
}

// Every byte of a block counts.
func TestEveryByteOfABlock(t *testing.T) {
	t.Parallel()
	o := seal(t, Outgoing{Box: box()}, "a letter")
	for at := range o.Pending[0].Bytes {
		b := o.Pending[0]
		b.Bytes = bytes.Clone(b.Bytes)
		b.Bytes[at] ^= 1
		i, letters, report := Incoming{box()}.open([]signaling.Block{b, o.Pending[0]})
		if len(letters) != 1 || report != (Report{Invented: 1}) || i.Box.Number != 1 {
			t.Fatalf("byte %d: %q, %+v", at, texts(letters), report)
		}
	}
}

// Invented blocks cost one walk along the chain, however many a server sends in one read. Not parallel: it counts allocations, of which each
// step of the chain needs as many.
func TestInventedBlocksCostOneWalk(t *testing.T) {
	invented := func(n int) (list []signaling.Block) {
		for k := range n {
			list = append(list, signaling.Block{Number: uint64(maxGap - k), Bytes: make([]byte, signaling.BlockSizes[0])})
		}
		return append(list, signaling.Block{Number: 2 * maxGap, Bytes: make([]byte, signaling.BlockSizes[0])})
	}
	cost := func(n int) float64 {
		list := invented(n)
		return testing.AllocsPerRun(1, func() {
			if _, letters, report := (Incoming{box()}).open(list); len(letters) > 0 || report != (Report{Invented: n + 1}) {
				t.Errorf("%d letters, %+v", len(letters), report)
			}
		})
	}
	if one, many := cost(1), cost(200); many > 1.5*one {
		t.Errorf("one invented block costs %.0f allocations, and 200 cost %.0f", one, many)
	}
}

func otherBox() contact.Box {
	key := bytes.Repeat([]byte{7}, contact.KeySize)
	return contact.Keep(contact.First, key, key[:contact.NonceSize], key[:contact.NonceSize]).Generations[0].Boxes[contact.Second]
}
