package transfer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"p2pchat/chat/internal/chattest"
)

// Files of a folder change while it is sent, and the pipe breaks at any place. What arrives has the size that was offered, and each file
// in it is as it was offered, unless the receiver is told to remove it.
func TestFolderThatChangesBetweenPipes(t *testing.T) {
	seeds := uint64(400)
	if testing.Short() {
		seeds = 100
	}
	removed, grown := 0, 0
	for seed := range seeds {
		c := newChanging(t, seed)
		if err := c.send(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		left := c.s.leftOuts()
		removed += missing(left)
		grown += len(left) - missing(left)
		c.check(left)
		c.s.close()
	}
	t.Logf("%d files are removed, %d have grown", removed, grown)
	if removed < 10 || grown < 10 {
		t.Error("too few of each")
	}
}

// changing is a folder that changes while it is sent.
type changing struct {
	t       *testing.T
	seed    uint64
	random  *rand.Rand
	dir     string
	was     map[string][]byte // the files when they were offered
	s       *source
	arrived []byte // of the stream; what the receiver has acknowledged
}

func newChanging(t *testing.T, seed uint64) *changing {
	t.Helper()
	c := &changing{t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 0)), dir: t.TempDir(), was: map[string][]byte{}} //nolint:gosec // a test's
	for i, size := range []int{700, 3000, 512, 1} {
		name := fmt.Sprint("file", i)
		c.was[name] = chattest.Noise(size)
		if err := os.WriteFile(filepath.Join(c.dir, name), c.was[name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if c.s, err = newSource(t.Context(), c.dir); err != nil {
		t.Fatal(err)
	}
	return c
}

// change changes one of the files, or none. One that has become shorter does not grow: that could not be told from a log.
func (c *changing) change() {
	path := filepath.Join(c.dir, fmt.Sprint("file", c.random.IntN(4)))
	var err error
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return
	}
	switch c.random.IntN(8) {
	case 0:
		err = os.Remove(path)
	case 1:
		err = os.Truncate(path, 0)
	case 2:
		err = os.Chtimes(path, time.Time{}, time.Unix(1, 0))
	case 3, 4:
		var f *os.File
		if f, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0); err == nil { //nolint:gosec // the test's own
			_, err = f.WriteString("more")
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.t.Fatal(err)
	}
}

// send reads the stream over one pipe after another, of which the receiver acknowledges a part, and over a last one that holds.
func (c *changing) send() error {
	for range c.random.IntN(4) {
		r := c.s.open(int64(len(c.arrived)))
		sent, err := io.ReadAll(io.LimitReader(r, c.random.Int64N(c.s.Size-int64(len(c.arrived))+1)))
		c.change()
		if err == nil {
			var rest []byte
			rest, err = io.ReadAll(io.LimitReader(r, c.random.Int64N(2000)))
			sent = append(sent, rest...)
		}
		r.Close()
		if err != nil {
			return err
		}
		c.arrived = append(c.arrived, sent[:c.random.IntN(len(sent)+1)]...)
		c.change()
	}
	r := c.s.open(int64(len(c.arrived)))
	defer r.Close()
	rest, err := io.ReadAll(r)
	c.arrived = append(c.arrived, rest...)
	return err
}

func (c *changing) check(left []leftOut) {
	if int64(len(c.arrived)) != c.s.Size {
		c.t.Errorf("seed %d: %d bytes of %d", c.seed, len(c.arrived), c.s.Size)
	}
	r := tar.NewReader(bytes.NewReader(c.arrived))
	files := 0
	for h, err := r.Next(); !errors.Is(err, io.EOF); h, err = r.Next() {
		if err != nil {
			c.t.Fatalf("seed %d: %v", c.seed, err)
		}
		files++
		b, err := io.ReadAll(r)
		if slices.ContainsFunc(left, func(l leftOut) bool { return l.Name == h.Name && !l.Kept }) {
			continue
		}
		if err != nil || !bytes.Equal(b, c.was[h.Name]) {
			c.t.Errorf("seed %d: %s arrives with other bytes: %v; removed are %+v", c.seed, h.Name, err, left)
		}
	}
	if files != len(c.was) {
		c.t.Errorf("seed %d: %d files arrive", c.seed, files)
	}
}
