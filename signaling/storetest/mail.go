package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
)

// MailLimits are the limits of the Mail that a test asks for.
type MailLimits struct {
	Blocks   int           // of one box; exactly 128 if zero
	BoxBytes int           // of one box; exactly 256 KiB if zero
	Bytes    int64         // of all boxes, about; at least 4 MiB if zero
	Life     time.Duration // 7 days if zero
}

// A MailOpener opens an empty Mail for one test, and closes it with t.Cleanup. It uses observe as an [Opener] does.
type MailOpener func(t *testing.T, limits MailLimits, observe func(signaling.MailWatcher) signaling.MailWatcher) signaling.Mail

// RunMail runs the tests of a [signaling.Mail] in parallel, each with its own Mail.
func RunMail(t *testing.T, open MailOpener) {
	mailTests(mailSuite{t, open, func(t *testing.T, test func(*testing.T)) { test(t) }})
}

// RunMailVirtual is RunMail with each test in a bubble of [testing/synctest], in virtual time.
func RunMailVirtual(t *testing.T, open MailOpener) { mailTests(mailSuite{t, open, synctest.Test}) }

type mailSuite struct {
	t      *testing.T
	open   MailOpener
	bubble func(*testing.T, func(*testing.T))
}

// A mail is the Mail under test, with helpers for one test.
type mail struct {
	*testing.T
	signaling.Mail

	ctx         context.Context // ends when the test takes too long
	parked      chan struct{}   // has one value for each read that has begun to wait
	putter, box signaling.Box   // the two sides of a box
}

func (s mailSuite) test(sentence string, limits MailLimits, test func(*mail)) {
	s.t.Run(sentence, func(t *testing.T) {
		t.Parallel()
		s.bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			t.Cleanup(cancel)
			x := &mail{T: t, ctx: ctx, parked: make(chan struct{}, 10_000)}
			x.Mail = s.open(t, limits, func(below signaling.MailWatcher) signaling.MailWatcher { return ObserveMail(below, x.parked) })
			x.putter, x.box = signaling.NewBox(rand.Text(), rand.Text())
			test(x)
		})
	})
}

// block returns a block of the shortest size.
func block(number uint64, text string) signaling.Block { return blockOf(number, text, 0) }

func blockOf(number uint64, text string, size int) signaling.Block {
	b := make([]byte, signaling.BlockSizes[size])
	copy(b, text)
	return signaling.Block{Number: number, Bytes: b}
}

func (x *mail) want(err, wanted error, doing string) {
	x.Helper()
	if !errors.Is(err, wanted) {
		x.Fatalf("%s: got error %v, want %v", doing, err, wanted)
	}
}

// put puts blocks into the box.
func (x *mail) put(blocks ...signaling.Block) {
	x.Helper()
	for _, b := range blocks {
		_, err := x.AddBlock(x.ctx, x.putter, b)
		x.want(err, nil, fmt.Sprint("putting block ", b.Number))
	}
}

// holds expects the box to have exactly these blocks after a number.
func (x *mail) holds(after uint64, wanted ...signaling.Block) {
	x.Helper()
	got, err := x.Blocks(x.ctx, x.box, after, 0)
	x.want(err, nil, "reading")
	x.same(got, wanted...)
}

func (x *mail) same(got []signaling.Block, wanted ...signaling.Block) {
	x.Helper()
	if !slices.EqualFunc(got, wanted, func(a, b signaling.Block) bool { return a.Number == b.Number && bytes.Equal(a.Bytes, b.Bytes) }) {
		x.Fatalf("got blocks %v, want %v", numbers(got), numbers(wanted))
	}
}

func numbers(list []signaling.Block) (all []uint64) {
	for _, b := range list {
		all = append(all, b.Number)
	}
	return all
}

type taken struct {
	list []signaling.Block
	err  error
	took time.Duration
}

// wait starts a read, and returns once it waits.
func (x *mail) wait(ctx context.Context, after uint64, wait time.Duration) <-chan taken {
	x.Helper()
	done := make(chan taken, 1)
	go func() {
		asked := time.Now()
		list, err := x.Blocks(ctx, x.box, after, wait)
		done <- taken{list, err, time.Since(asked)}
	}()
	select {
	case <-x.parked:
	case got := <-done:
		x.Fatalf("the read did not wait: %v, %v", numbers(got.list), got.err)
	case <-x.ctx.Done():
		x.Fatal("the read did not begin to wait in time")
	}
	return done
}

func mailTests(s mailSuite) {
	mailModels(s)
	s.test("blocks are taken in order, byte for byte, by those who ask for later ones", MailLimits{}, func(x *mail) {
		x.holds(0)
		one, two, nine := blockOf(1, "one", 0), blockOf(2, "two", 1), blockOf(9, "nine", 2)
		x.put(one, two, nine)
		x.holds(0, one, two, nine)
		x.holds(1, two, nine)
		x.holds(2, nine)
		x.holds(9)
		x.holds(signaling.MaxBlockNumber)
	})
	s.test("a repeated block changes nothing, and its number is taken", MailLimits{}, func(x *mail) {
		one, three := block(1, "one"), block(3, "three")
		x.put(one, three, three, one)
		x.holds(0, one, three)
		for _, b := range []signaling.Block{block(3, "other"), block(2, "late"), block(1, "other")} {
			_, err := x.AddBlock(x.ctx, x.putter, b)
			x.want(err, signaling.ErrBlockExists, "putting a number that is taken, or passed")
		}
		x.holds(0, one, three)
	})
	s.test("deleted blocks are gone, and the rest is not", MailLimits{}, func(x *mail) {
		x.want(x.DeleteBlocks(x.ctx, x.box, 5), nil, "deleting in an empty box")
		x.put(block(1, ""), block(2, ""), block(4, ""))
		x.want(x.DeleteBlocks(x.ctx, x.box, 3), nil, "deleting")
		x.want(x.DeleteBlocks(x.ctx, x.box, 3), nil, "deleting again")
		x.holds(0, block(4, ""))
		x.put(block(5, ""))
		x.want(x.DeleteBlocks(x.ctx, x.box, signaling.MaxBlockNumber), nil, "deleting all")
		x.holds(0)
		x.put(block(6, ""))
		x.holds(0, block(6, ""))
	})
	s.test("only the owner of a token may put or take", MailLimits{}, foreignBoxes)
	s.test("a block has one of three sizes and a number", MailLimits{}, func(x *mail) {
		for _, n := range []int{0, 511, 513, 2047, 16<<10 + 1} {
			_, err := x.AddBlock(x.ctx, x.putter, signaling.Block{Number: 1, Bytes: make([]byte, n)})
			x.want(err, signaling.ErrInvalid, fmt.Sprint("putting ", n, " bytes"))
		}
		for _, n := range []uint64{0, signaling.MaxBlockNumber + 1} {
			_, err := x.AddBlock(x.ctx, x.putter, block(n, ""))
			x.want(err, signaling.ErrInvalid, fmt.Sprint("putting number ", n))
		}
		x.holds(0)
		x.put(block(signaling.MaxBlockNumber, "last"))
		x.holds(0, block(signaling.MaxBlockNumber, "last"))
	})
	s.test("boxes do not see each other", MailLimits{}, func(x *mail) {
		x.put(block(1, "one"))
		_, other := signaling.NewBox(rand.Text(), rand.Text())
		list, err := x.Blocks(x.ctx, other, 0, 0)
		x.want(err, nil, "reading another box")
		x.same(list)
		x.want(x.DeleteBlocks(x.ctx, other, 9), nil, "deleting in another box")
		x.holds(0, block(1, "one"))
	})
	s.test("a read returns as many blocks as fit, and at least one", MailLimits{}, func(x *mail) {
		for n := range 6 {
			x.put(blockOf(uint64(n+1), "", 2))
		}
		got, err := x.Blocks(x.ctx, x.box, 0, 0)
		x.want(err, nil, "reading")
		if len(got) != signaling.MaxBlocksRead/signaling.BlockSizes[2] {
			x.Errorf("got %d blocks", len(got))
		}
		x.holds(uint64(len(got)), blockOf(5, "", 2), blockOf(6, "", 2))
	})
	mailLimits(s)
	mailWaits(s)
	s.test("of many who put a number at once one succeeds, and none is lost", MailLimits{}, putAtOnce)
}

// foreignBoxes tries to use a box without the right token.
func foreignBoxes(x *mail) {
	x.put(block(1, "one"))
	stranger, _ := signaling.NewBox(rand.Text(), rand.Text())
	squatter, swapped, other := x.putter, x.putter, x.box
	squatter.Token = rand.Text()
	swapped.Other = signaling.TokenHash{}
	stranger.Name, other.Token = x.putter.Name, x.putter.Token
	for name, b := range map[string]signaling.Box{"another token": squatter, "another hash": swapped, "tokens of another box": stranger, "the take token": x.box} {
		_, err := x.AddBlock(x.ctx, b, block(2, ""))
		x.want(err, signaling.ErrWrongToken, "putting with "+name)
	}
	for name, b := range map[string]signaling.Box{"another token": squatter, "the put token": x.putter, "the put token and the put hash": other, "tokens of another box": stranger} {
		_, err := x.Blocks(x.ctx, b, 0, 0)
		x.want(err, signaling.ErrWrongToken, "taking with "+name)
		_, err = x.Blocks(x.ctx, b, 0, signaling.Forever)
		x.want(err, signaling.ErrWrongToken, "waiting with "+name)
		x.want(x.DeleteBlocks(x.ctx, b, 9), signaling.ErrWrongToken, "deleting with "+name)
	}
	for _, name := range []string{"", "box", x.box.Name + "a", "../" + x.box.Name[3:], "A" + x.box.Name[1:]} {
		b := x.box
		b.Name = name
		_, err := x.Blocks(x.ctx, b, 0, 0)
		x.want(err, signaling.ErrInvalid, "taking from "+name)
	}
	x.holds(0, block(1, "one"))
}

func mailLimits(s mailSuite) {
	s.test("a box holds a bounded number of blocks", MailLimits{Blocks: 2}, func(x *mail) {
		x.put(block(1, ""), block(2, ""))
		_, err := x.AddBlock(x.ctx, x.putter, block(3, ""))
		x.want(err, signaling.ErrBoxFull, "putting a third")
		x.put(block(2, ""))
		x.want(x.DeleteBlocks(x.ctx, x.box, 1), nil, "deleting")
		x.put(block(3, ""))
		x.holds(0, block(2, ""), block(3, ""))
	})
	s.test("a box holds a bounded number of bytes", MailLimits{BoxBytes: 3 << 10}, func(x *mail) {
		x.put(blockOf(1, "", 1))
		_, err := x.AddBlock(x.ctx, x.putter, blockOf(2, "", 1))
		x.want(err, signaling.ErrBoxFull, "putting a second")
		x.put(block(2, ""))
	})
	s.test("all boxes together hold a bounded number of bytes", MailLimits{Bytes: 256 << 10, BoxBytes: 128 << 10}, func(x *mail) {
		var putters, boxes []signaling.Box
		err := error(nil)
		for n := 0; err == nil && n < 1000; n++ {
			putter, box := signaling.NewBox(rand.Text(), rand.Text())
			putters, boxes = append(putters, putter), append(boxes, box)
			_, err = x.AddBlock(x.ctx, putter, blockOf(1, "", 2))
		}
		x.want(err, signaling.ErrMailFull, "filling all")
		if n := len(putters) - 1; n < 8 || n > 16 {
			x.Errorf("%d blocks of 16 KiB fit into 256 KiB", n)
		}
		x.want(x.DeleteBlocks(x.ctx, boxes[0], 1), nil, "deleting")
		_, err = x.AddBlock(x.ctx, putters[0], blockOf(2, "", 2))
		x.want(err, nil, "putting where something was deleted")
	})
	s.test("a block says how long it is kept, and is gone then", MailLimits{Life: 2 * time.Second}, func(x *mail) {
		kept, err := x.AddBlock(x.ctx, x.putter, block(1, ""))
		x.want(err, nil, "putting")
		if kept < time.Second || kept > 2*time.Second {
			x.Errorf("it is kept for %v", kept)
		}
		gone := x.ctx
		for err == nil {
			var list []signaling.Block
			if list, err = x.Blocks(gone, x.box, 0, 0); err == nil && len(list) == 0 {
				x.put(block(2, ""))
				x.holds(0, block(2, ""))
				return
			}
			select { // waits for the block's end, which no event tells
			case <-time.After(50 * time.Millisecond):
			case <-gone.Done():
				err = gone.Err()
			}
		}
		x.Fatal(err)
	})
}

func mailWaits(s mailSuite) {
	s.test("a waiting read returns what is put", MailLimits{}, func(x *mail) {
		for _, wait := range []time.Duration{time.Minute, signaling.Forever} {
			x.want(x.DeleteBlocks(x.ctx, x.box, signaling.MaxBlockNumber), nil, "deleting")
			first, second := x.wait(x.ctx, 0, wait), x.wait(x.ctx, 1, wait)
			x.put(block(1, "one"))
			got := <-first
			x.want(got.err, nil, "waiting")
			x.same(got.list, block(1, "one"))
			x.put(block(2, "two"))
			got = <-second
			x.want(got.err, nil, "waiting for the second")
			x.same(got.list, block(2, "two"))
		}
	})
	s.test("a read returns nothing when its wait is over", MailLimits{}, func(x *mail) {
		x.put(block(1, "one"))
		got := <-x.wait(x.ctx, 1, time.Second)
		x.want(got.err, nil, "waiting")
		if len(got.list) > 0 || got.took < time.Second {
			x.Errorf("got %v after %v", numbers(got.list), got.took)
		}
	})
	s.test("a waiting read ends with its context", MailLimits{}, func(x *mail) {
		ctx, cancel := context.WithCancel(x.ctx)
		waiting := x.wait(ctx, 0, signaling.Forever)
		cancel()
		x.want((<-waiting).err, context.Canceled, "waiting")
	})
}

// putAtOnce has several putters, as when a program is started again while its last request is under way.
func putAtOnce(x *mail) {
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := uint64(1); n <= 20; n++ {
				_, err := x.AddBlock(x.ctx, x.putter, block(n, fmt.Sprint("of ", i)))
				if err != nil && !errors.Is(err, signaling.ErrBlockExists) {
					x.Error(err)
				}
			}
		})
	}
	wg.Wait()
	list, err := x.Blocks(x.ctx, x.box, 0, 0)
	x.want(err, nil, "reading")
	if len(list) != 20 {
		x.Errorf("got %v", numbers(list))
	}
}

// ObserveMail returns a Mail that sends to parked for each read that begins to wait, as [Observe] does.
func ObserveMail(below signaling.MailWatcher, parked chan<- struct{}) signaling.MailWatcher {
	return observedMail{below, parked}
}

type observedMail struct {
	signaling.MailWatcher
	parked chan<- struct{}
}

func (o observedMail) Blocks(ctx context.Context, b signaling.Box, after uint64, wait time.Duration) ([]signaling.Block, error) {
	return o.MailWatcher.Blocks(observed{parked: o.parked}.context(ctx, wait), b, after, wait)
}
