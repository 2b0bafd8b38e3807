package chat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A taker is the other side of a file of a, over a path of 50 ms.
type taker struct {
	raw
	a  *talker
	id uint64
	ch io.ReadWriteCloser // the current one of the file
	at uint64             // what it has, in order
}

func takes(t *testing.T, a *talker, r raw, path string, understands bool) *taker {
	t.Helper()
	r.Expect(true)
	r.hello(hello{Conversation: "hostile", First: 1, Stripes: understands})
	k := &taker{raw: r, a: a, id: offers(t, a, path)}
	r.file(1, kindAccept, note{ID: k.id, Of: a.stream.ID()})
	k.begins(t)
	return k
}

// begins waits for a channel of the file.
func (k *taker) begins(t *testing.T) {
	t.Helper()
	ch, err := k.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := ch.Read(b); err != nil || !bytes.Equal(b[:n], part8(fileBegin, k.id)) {
		t.Fatalf("the file's channel begins with %q (%v)", b[:n], err)
	}
	k.ch = ch
	k.has(t)
}

func (k *taker) has(t *testing.T) {
	t.Helper()
	if _, err := k.ch.Write(part8(fileHave, k.at)); err != nil {
		t.Fatal(err)
	}
}

// stripes takes messages on the file's channel, until there are stripes or the file has ended.
func (k *taker) stripes(t *testing.T) (all []io.ReadWriteCloser) {
	t.Helper()
	b := make([]byte, 100_000)
	for {
		for synctest.Wait(); len(k.accepts) > 0; synctest.Wait() {
			s, err := k.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		if len(all) > 0 {
			return all
		}
		n, err := k.ch.Read(b)
		switch {
		case err != nil:
			t.Fatal(err)
		case b[0] == fileDone:
			return nil
		}
		k.at += uint64(n - 1) //nolint:gosec // not negative
		time.Sleep(50 * time.Millisecond)
		k.has(t)
	}
}

// A sender opens stripes, unless one of the two does not want them.
func TestStripesAreOpened(t *testing.T) {
	large, small := create(t, "x", noise(6<<20)), create(t, "y", noise(2<<20))
	for what, test := range map[string]struct {
		path        string
		understands bool
		stripes     Stripes
		want        int
	}{
		"for a large file":                      {large, true, StripesAuto, 4},
		"but not for a small one":               {small, true, StripesAuto, 0},
		"but not for one who does not know any": {large, false, StripesAuto, 0},
		"for each file, always":                 {small, true, StripesAlways, 4},
		"but not for one who knows none, ever":  {large, false, StripesAlways, 0},
		"never":                                 {large, true, StripesNever, 0},
	} {
		t.Run(what, func(t *testing.T) {
			withRawOf(t, []option{func(_ *talker, c *Config) { c.Stripes = test.stripes }}, func(t *testing.T, a *talker, r raw) {
				if asks := r.read().hello.Stripes; asks != (test.stripes != StripesNever) {
					t.Errorf("it says that it takes stripes: %v", asks)
				}
				k := takes(t, a, r, test.path, test.understands)
				if n := len(k.stripes(t)); n != test.want {
					t.Errorf("it has opened %d stripes", n)
				}
				_ = k.ch.Close()
			})
		})
	}
}

// A receiver that ends each stripe gets the file without, in the end.
func TestStripesThatKeepEnding(t *testing.T) {
	path := create(t, "x", noise(40<<20))
	withRawOf(t, nil, func(t *testing.T, a *talker, r raw) {
		k := takes(t, a, r, path, true)
		tries := 0
		for all := k.stripes(t); all != nil; all = k.stripes(t) {
			tries++
			for _, s := range all {
				s.Close()
			}
			untilClosed(k.ch)
			k.begins(t)
		}
		if tries != 3 || k.at != 40<<20 {
			t.Errorf("it has tried %d times, and sent %d bytes in order", tries, k.at)
		}
		_ = k.ch.Close()
	})
}

// A receiver that lies about what it has cannot make the sender send what it has not hashed, or run far ahead.
func TestReceiversThatLie(t *testing.T) {
	const current = 1 << 16 // in place of what it has
	path := create(t, "x", noise(40<<20))
	for what, have := range map[string][]uint64{
		"has more than was sent":         {39 << 20},
		"holds more beyond":              {current, 39 << 20},
		"holds less than nothing beyond": {current, 1 << 63},
	} {
		for over := range 2 { // the file's channel, or a stripe
			t.Run(fmt.Sprint("that it ", what, ", over channel ", over), func(t *testing.T) {
				withRawOf(t, nil, func(t *testing.T, a *talker, r raw) {
					k := takes(t, a, r, path, true)
					all := k.stripes(t)
					if len(all) != 4 {
						t.Fatalf("it has opened %d stripes", len(all))
					}
					lie := []byte{fileHave}
					for _, n := range have {
						if n == current {
							n = k.at
						}
						lie = binary.BigEndian.AppendUint64(lie, n)
					}
					writes([]io.Writer{k.ch, all[0]}[over], lie)
					if why := strings.Join(failures(a), ", "); why != "the receiver broke the protocol of transfers" {
						t.Errorf("it goes on, or ends: %s", why)
					}
				})
			})
		}
	}
}

// A collector is what a taker has got on all channels of a file.
type collector struct {
	mu     sync.Mutex
	next   uint64            // what it has in order
	pieces map[uint64]uint64 // beyond that: their lengths by offset
	seen   map[uint64]int    // how often each offset came over a stripe
	loses  int               // pieces, which it has to see again
	done   bool
}

// collects reads what comes, until the channels close.
func (k *taker) collects(stripes []io.ReadWriteCloser, loses int) *collector {
	c := &collector{next: k.at, pieces: map[uint64]uint64{}, seen: map[uint64]int{}, loses: loses}
	own := k.at
	for _, ch := range append(stripes, k.ch) {
		go func() {
			b := make([]byte, 100_000)
			for n, err := ch.Read(b); err == nil; n, err = ch.Read(b) {
				switch b[0] {
				case fileData:
					c.takes(own, n-1)
					own += uint64(n - 1) //nolint:gosec // not negative
				case filePiece:
					c.takesPiece(binary.BigEndian.Uint64(b[1+8:]), n-1-8-8)
				case fileDone:
					c.mu.Lock()
					c.done = true
					c.mu.Unlock()
				}
			}
		}()
	}
	return c
}

func (c *collector) takesPiece(offset uint64, n int) {
	c.mu.Lock()
	c.seen[offset]++
	lost := c.loses > 0 && c.seen[offset] == 1
	if lost {
		c.loses--
	}
	c.mu.Unlock()
	if !lost {
		c.takes(offset, n)
	}
}

func (c *collector) takes(offset uint64, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pieces[offset] = uint64(n) //nolint:gosec // not negative
	for c.pieces[c.next] > 0 {
		n := c.pieces[c.next]
		delete(c.pieces, c.next)
		c.next += n
	}
}

// has is the message that says what there is.
func (c *collector) has() (message []byte, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	beyond := uint64(0)
	for at, n := range c.pieces {
		if at > c.next {
			beyond += n
		}
	}
	return binary.BigEndian.AppendUint64(part8(fileHave, c.next), beyond), c.done
}

// A piece that does not arrive, because its association waits, goes out again over another stripe, and no other one.
func TestPiecesThatAreLost(t *testing.T) {
	path := create(t, "x", noise(12<<20))
	withRawOf(t, nil, func(t *testing.T, a *talker, r raw) {
		k := takes(t, a, r, path, true)
		const lost = 5
		c := k.collects(k.stripes(t), lost)
		for range 1000 {
			synctest.Wait()
			message, done := c.has()
			if done {
				break
			}
			writes(k.ch, message)
			time.Sleep(50 * time.Millisecond)
		}
		c.mu.Lock()
		again := 0
		for _, n := range c.seen {
			again += n - 1
		}
		if c.next != 12<<20 || !c.done || again != lost {
			t.Errorf("%d bytes have arrived in order, and %d pieces came again", c.next, again)
		}
		c.mu.Unlock()
		_ = k.ch.Close()
	})
}

// The file's channel keeps the order of messages, so that all haves wait there for a packet that is lost. The file goes on with those that
// come over stripes, and those that come late change nothing.
func TestHavesThatAreLate(t *testing.T) {
	path := create(t, "x", noise(12<<20))
	withRawOf(t, nil, func(t *testing.T, a *talker, r raw) {
		k := takes(t, a, r, path, true)
		all := k.stripes(t)
		c := k.collects(slices.Clone(all), 0)
		first, done := c.has()
		for i := 0; i < 1000 && !done; i++ {
			synctest.Wait()
			var message []byte
			message, done = c.has()
			writes(all[i%len(all)], message)
			writes(all[(i+1)%len(all)], first)
			time.Sleep(50 * time.Millisecond)
		}
		writes(k.ch, first)
		if why := failures(a); !done || len(why) > 0 {
			t.Errorf("it has sent all: %v; and failed with %v", done, why)
		}
		_ = k.ch.Close()
	})
}

// One that holds all that is sent, except for the beginning, is sent 3 MiB, and the beginning again and again.
func TestReceiverThatLacksTheBeginning(t *testing.T) {
	path := create(t, "x", noise(40<<20))
	withRawOf(t, nil, func(t *testing.T, a *talker, r raw) {
		k := takes(t, a, r, path, true)
		c := k.collects(k.stripes(t), 0)
		for range 100 {
			synctest.Wait()
			message, _ := c.has()
			beyond := binary.BigEndian.Uint64(message[1:]) + binary.BigEndian.Uint64(message[1+8:]) - k.at
			writes(k.ch, binary.BigEndian.AppendUint64(part8(fileHave, k.at), beyond))
			time.Sleep(50 * time.Millisecond)
		}
		message, _ := c.has()
		if n := binary.BigEndian.Uint64(message[1:]) - k.at; n < 3<<20 || n > 3<<20+1<<16 {
			t.Errorf("it has sent %d bytes", n)
		}
		c.mu.Lock()
		most := slices.Max(slices.Collect(maps.Values(c.seen)))
		c.mu.Unlock()
		if most > 40 { // in 5 s
			t.Errorf("it has sent a piece %d times", most)
		}
		_ = k.ch.Close()
	})
}
