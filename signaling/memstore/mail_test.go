package memstore

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
)

func boxOf() (putter, taker signaling.Box) {
	return signaling.NewBox("abcdefghijklmnopqrstuvwxya", "abcdefghijklmnopqrstuvwxyb")
}

func block(number uint64, of byte) signaling.Block {
	return signaling.Block{Number: number, Bytes: slices.Repeat([]byte{of}, signaling.BlockSizes[0])}
}

// holds expects these numbers of blocks in the box.
func holds(t *testing.T, m *Mail, want ...uint64) {
	t.Helper()
	_, taker := boxOf()
	list, err := m.Blocks(t.Context(), taker, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for _, one := range list {
		got = append(got, one.Number)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the box has %d, want %d", got, want)
	}
}

// A mail without limits of its own keeps a block for seven days, and then nothing of it.
func TestLifeOfABlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMail(MailLimits{})
		putter, _ := boxOf()
		const life = 7 * 24 * time.Hour
		if kept, err := m.AddBlock(t.Context(), putter, block(1, 1)); err != nil || kept != life {
			t.Fatalf("kept for %s: %v", kept, err)
		}
		time.Sleep(time.Hour)
		if kept, err := m.AddBlock(t.Context(), putter, block(2, 2)); err != nil || kept != life {
			t.Fatalf("kept for %s: %v", kept, err)
		}
		if kept, err := m.AddBlock(t.Context(), putter, block(1, 1)); err != nil || kept != life-time.Hour {
			t.Errorf("the first one again: kept for %s: %v", kept, err)
		}
		time.Sleep(life - time.Hour)
		holds(t, m, 1, 2)
		time.Sleep(time.Second)
		holds(t, m, 2)
		time.Sleep(time.Hour)
		holds(t, m)
		time.Sleep(2 * time.Second)
		if boxes, bytes := m.Usage(); boxes != 0 || bytes != 0 {
			t.Errorf("%d boxes of %d bytes are left", boxes, bytes)
		}
	})
}

// A box whose blocks have expired makes room for others.
func TestExpiredBoxesMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMail(MailLimits{Bytes: int64(signaling.BlockSizes[0]) * 3 / 2, Life: time.Hour})
		putter, _ := boxOf()
		other, _ := signaling.NewBox("abcdefghijklmnopqrstuvwxyc", "abcdefghijklmnopqrstuvwxyd")
		if _, err := m.AddBlock(t.Context(), putter, block(1, 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := m.AddBlock(t.Context(), other, block(1, 1)); !errors.Is(err, signaling.ErrMailFull) {
			t.Fatalf("a second block: %v", err)
		}
		time.Sleep(time.Hour + 2*time.Second)
		if _, err := m.AddBlock(t.Context(), other, block(1, 1)); err != nil {
			t.Errorf("after the first one has expired: %v", err)
		}
	})
}

// A box takes what its limits say, to the byte, and an empty box is none.
func TestLimitsOfABox(t *testing.T) {
	putter, taker := boxOf()
	for name, c := range map[string]struct {
		limits MailLimits
		want   uint64
	}{
		"blocks by default": {MailLimits{}, 128},
		"blocks":            {MailLimits{Blocks: 2}, 2},
		"bytes":             {MailLimits{BoxBytes: 3 * signaling.BlockSizes[0]}, 3},
	} {
		m := NewMail(c.limits)
		for n := range c.want {
			if _, err := m.AddBlock(t.Context(), putter, block(n+1, 1)); err != nil {
				t.Fatalf("%s: block %d: %v", name, n+1, err)
			}
		}
		if _, err := m.AddBlock(t.Context(), putter, block(c.want+1, 1)); !errors.Is(err, signaling.ErrBoxFull) {
			t.Errorf("%s: block %d: %v", name, c.want+1, err)
		}
		if err := m.DeleteBlocks(t.Context(), taker, c.want); err != nil {
			t.Error(err)
		}
		if boxes, bytes := m.Usage(); boxes != 0 || bytes != 0 {
			t.Errorf("%s: %d boxes of %d bytes are left", name, boxes, bytes)
		}
	}
}

// Reads that end leave no watchers, whether they found something, were woken for nothing, or gave up.
func TestReadsOfABoxThatEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMail(MailLimits{})
		putter, taker := boxOf()
		if list, err := m.Blocks(t.Context(), taker, 0, time.Second); len(list) > 0 || err != nil {
			t.Errorf("%v, %v", list, err)
		}
		read := make(chan []signaling.Block, 1)
		go func() {
			list, err := m.Blocks(t.Context(), taker, 0, signaling.Forever)
			if err != nil {
				t.Error(err)
			}
			read <- list
		}()
		synctest.Wait()
		m.Changed(taker.Name)
		synctest.Wait()
		if n := len(*m.watchers[taker.Name]); n != 1 {
			t.Errorf("%d watch the box", n)
		}
		if _, err := m.AddBlock(t.Context(), putter, block(1, 1)); err != nil {
			t.Fatal(err)
		}
		if list := <-read; len(list) != 1 {
			t.Errorf("%v", list)
		}
		if n := len(m.watchers); n != 0 {
			t.Errorf("%d boxes are still watched", n)
		}
	})
}

// An interrupted primary runs a request before it saves.
type interrupted struct {
	MailPrimary
	before func()
}

func (i *interrupted) Save(ctx context.Context, name string, revision uint64, encoded []byte) error {
	if run := i.before; run != nil {
		i.before = nil
		run()
	}
	return i.MailPrimary.Save(ctx, name, revision, encoded)
}

// Of two requests for one box at the same time neither undoes the other.
func TestTwoRequestsForOneBox(t *testing.T) {
	putter, taker := boxOf()
	m := NewMail(MailLimits{})
	primary := &interrupted{MailPrimary: m.primary}
	m.primary = primary
	add := func(b signaling.Block) error {
		_, err := m.AddBlock(t.Context(), putter, b)
		return err
	}
	primary.before = func() {
		if err := add(block(1, 1)); err != nil {
			t.Error(err)
		}
	}
	if err := add(block(1, 2)); !errors.Is(err, signaling.ErrBlockExists) {
		t.Errorf("the second of two blocks with one number: %v", err)
	}
	primary.before = func() {
		if err := add(block(2, 1)); err != nil {
			t.Error(err)
		}
	}
	if err := add(block(3, 1)); err != nil {
		t.Error(err)
	}
	holds(t, m, 1, 2, 3)
	primary.before = func() {
		if err := add(block(4, 1)); err != nil {
			t.Error(err)
		}
	}
	if err := m.DeleteBlocks(t.Context(), taker, 2); err != nil {
		t.Error(err)
	}
	holds(t, m, 3, 4)
}

// What a primary cannot do is told, and a box with other bytes than a mailbox's is no box.
func TestBrokenPrimary(t *testing.T) {
	putter, taker := boxOf()
	broken := errors.New("broken")
	whole := mailbox{{block(1, 1), 7}, {block(300, 2), -8}}
	encoded := whole.encode()
	swapped := mailbox{whole[1], whole[0]}.encode()
	for name, c := range map[string]struct {
		primary fixed
		want    error
	}{
		"fails":             {fixed{err: broken}, broken},
		"another format":    {fixed{encoded: append([]byte{mailFormat + 1}, encoded[1:]...)}, errNotMailbox},
		"cut":               {fixed{encoded: encoded[:len(encoded)-1]}, errNotMailbox},
		"cut to a number":   {fixed{encoded: encoded[:2]}, errNotMailbox},
		"an endless number": {fixed{encoded: append([]byte{mailFormat}, slices.Repeat([]byte{0xff}, 12)...)}, errNotMailbox},
		"no order":          {fixed{encoded: swapped}, errNotMailbox},
		"a number twice":    {fixed{encoded: mailbox{whole[0], whole[0]}.encode()}, errNotMailbox},
		"an empty block":    {fixed{encoded: mailbox{{signaling.Block{Number: 1}, 7}}.encode()}, errNotMailbox},
	} {
		m := NewMailReplica(MailLimits{}, c.primary)
		_, added := m.AddBlock(t.Context(), putter, block(301, 1))
		_, read := m.Blocks(t.Context(), taker, 0, 0)
		if deleted := m.DeleteBlocks(t.Context(), taker, 1); !errors.Is(added, c.want) || !errors.Is(read, c.want) || !errors.Is(deleted, c.want) {
			t.Errorf("%s: %v, %v, %v", name, added, read, deleted)
		}
	}
}

// A fixed primary has the same bytes in every box, or an error.
type fixed struct {
	encoded []byte
	err     error
}

func (f fixed) Load(context.Context, string) ([]byte, uint64, error) { return f.encoded, 1, f.err }

func (f fixed) Save(context.Context, string, uint64, []byte) error { return f.err }

// A primary that has lost track of what changed wakes all who wait, and otherwise those of one box.
func TestChangedBoxes(t *testing.T) {
	m := NewMail(MailLimits{})
	for changed, want := range map[string]int{"": 2, "one": 1, "none": 0} {
		woken := 0
		for _, name := range []string{"one", "two"} {
			defer m.WatchBox(name, func(error) { woken++ })()
		}
		if m.Changed(changed); woken != want {
			t.Errorf("a change of %q wakes %d, want %d", changed, woken, want)
		}
	}
	m.Changed("")
	if n := len(m.watchers); n != 0 {
		t.Errorf("%d boxes are still watched", n)
	}
}
