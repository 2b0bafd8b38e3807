package chat

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

func spreads(_ *talker, c *Config) { c.Stripes = StripesAlways }

// A narrow end has no stripes.
type narrow struct{ *end }

func (narrow) OpenApart(context.Context) (io.ReadWriteCloser, error) {
	return nil, errors.New("no further connection")
}

// Files that are spread over stripes arrive whole over one pipe after another, and never two of them have stripes.
func TestSpreadFiles(t *testing.T) {
	const files, cuts = 3, 5
	var paths []string
	want, dir := map[string]string{}, t.TempDir()
	for i := range files {
		path := create(t, strconv.Itoa(i), noise(2<<20+1000*i))
		paths = append(paths, path)
		for name, content := range contents(t, filepath.Dir(path)) {
			want[name] = content
		}
	}
	synctest.Test(t, func(t *testing.T) {
		a, b := newTalker(spreads), newTalker(spreads, into(dir), accepts)
		var mu sync.Mutex
		total := 0 // pieces; guarded by mu
		var rejoin func(after int)
		rejoin = func(after int) {
			left, right := newPair(16)
			pieces, now, before := 0, uint64(0), map[uint64]bool{}
			left.tap = func(out bool, m []byte) {
				mu.Lock()
				defer mu.Unlock()
				if !out || m[0] != filePiece {
					return
				}
				id := binary.BigEndian.Uint64(m[1:])
				if now != id && before[id] {
					t.Errorf("pieces of %d go out between those of %d", now, id)
				}
				now, before[id] = id, true
				total++
				if pieces++; pieces == after && after <= 10+cuts {
					left.cut()
					rejoin(after + 1)
				}
			}
			a.joins(left)
			b.joins(right)
		}
		rejoin(11)
		a.run(t.Context(), nil)
		b.run(t.Context(), nil)
		var ids []uint64
		for _, path := range paths {
			ids = append(ids, offers(t, a, path))
		}
		finish(t, a, b) // they end with the last file, which pauses after a stripe has ended
		<-a.ended
		<-b.ended
		for _, id := range ids {
			if !a.Sent(id) {
				t.Errorf("%d is not sent: %v, %v", id, failures(a), failures(b))
			}
		}
		if log := a.log.String(); strings.Contains(log, "tries=1") { // each cut ends the stripes of its pipe, once
			t.Errorf("stripes are refused: %s", log)
		}
		mu.Lock()
		if n := len(only[Reconnected](a.seen())); n != cuts || total < 11*cuts {
			t.Errorf("it was cut %d times, and %d pieces went out", n, total)
		}
		mu.Unlock()
	})
	holds(t, dir, want)
}

// A file that can have no stripes arrives over its channel.
func TestFileWithoutStripes(t *testing.T) {
	dir, path := t.TempDir(), create(t, "data", noise(1<<20))
	synctest.Test(t, func(t *testing.T) {
		left, right := newPair(16)
		a, b := newTalker(spreads), newTalker(spreads, into(dir), accepts).joins(right).run(t.Context(), nil)
		a.links <- Link{Pipe: narrow{left}}
		a.run(t.Context(), nil)
		id := offers(t, a, path)
		finish(t, a, b)
		<-a.ended
		<-b.ended
		if !a.Sent(id) {
			t.Errorf("it is not sent: %v", failures(a))
		}
	})
	holds(t, dir, contents(t, filepath.Dir(path)))
}

// A receiver that takes nothing from a channel or a stripe does not keep the sender from giving the file up: its channels close, and
// the next file can move.
func TestReceiverThatReadsNothing(t *testing.T) {
	path := create(t, "data", noise(1<<20))
	for what, stripes := range map[string]Stripes{"the channel of a file": StripesNever, "stripes": StripesAlways} {
		t.Run("of "+what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left, right := newPair(1)
				a := newTalker(func(_ *talker, c *Config) { c.Stripes = stripes }).joins(left).run(t.Context(), nil)
				r := raw{right, t}
				go func() { // what is said in the chat is read
					for {
						if _, err := r.Recv(t.Context()); err != nil {
							return
						}
					}
				}()
				k := takes(t, a, r, path, true)
				var all []io.ReadWriteCloser
				for range 4 {
					if synctest.Wait(); len(r.accepts) > 0 {
						s, err := r.Accept(t.Context())
						if err != nil {
							t.Fatal(err)
						}
						all = append(all, s)
					}
				}
				if (len(all) == 4) != (stripes == StripesAlways) {
					t.Fatalf("it has opened %d stripes", len(all))
				}
				if err := a.Cancel(k.id, true); err != nil {
					t.Error(err)
				}
				for _, ch := range append(all, k.ch) {
					untilClosed(ch)
				}
				next := offers(t, a, path)
				r.file(2, kindAccept, note{ID: next, Of: a.stream.ID()})
				k.id, k.at = next, 0
				k.begins(t)
				a.Leave()
				right.hangUp()
				<-a.ended
			})
		})
	}
}

// Four files move at a time, those that were offered first before others.
func TestFilesMoveInTheirOrder(t *testing.T) {
	path := create(t, "data", noise(1<<20))
	withRawOf(t, nil, func(t *testing.T, a *talker, r raw) {
		r.Expect(true)
		r.hello(hello{Conversation: "hostile", First: 1})
		var ids []uint64
		for range fileMoving + 3 {
			ids = append(ids, offers(t, a, path))
		}
		seq := uint64(0)
		says := func(k kind, ids ...uint64) {
			for _, id := range ids {
				seq++
				r.file(seq, k, note{ID: id, Of: a.stream.ID()})
			}
			synctest.Wait()
		}
		moving := map[uint64]io.ReadWriteCloser{}
		began := func() (ids []uint64) {
			for synctest.Wait(); len(r.accepts) > 0; synctest.Wait() {
				ch, err := r.Accept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				b := make([]byte, 100)
				if n, err := ch.Read(b); err != nil || n != 1+8 || b[0] != fileBegin {
					t.Fatalf("it begins with %q (%v)", b[:n], err)
				}
				id := binary.BigEndian.Uint64(b[1:])
				moving[id] = ch
				ids = append(ids, id)
			}
			return ids
		}
		says(kindAccept, ids[:fileMoving]...)
		if got := began(); len(got) != fileMoving {
			t.Errorf("%v move", got)
		}
		says(kindAccept, ids[fileMoving+2], ids[fileMoving], ids[fileMoving+1])
		equal(t, "beside four, these move", began(), nil)
		for i, id := range ids[1:fileMoving] {
			says(kindCancel, id)
			untilClosed(moving[id])
			equal(t, "next, these move", began(), ids[fileMoving+i:fileMoving+i+1])
		}
		a.Leave()
		for _, ch := range moving {
			_ = ch.Close() // as the receiver leaves
		}
	})
}

// On a new pipe, no file moves before the other side has said who it is, and none begins once this side leaves.
func TestNoFileBeforeHelloOrAfterLeave(t *testing.T) {
	path := create(t, "data", noise(1<<20))
	withRawOf(t, nil, func(t *testing.T, a *talker, r raw) {
		r.Expect(true)
		r.hello(hello{Conversation: "hostile", First: 1})
		ids := []uint64{offers(t, a, path), offers(t, a, path)}
		r.file(1, kindAccept, note{ID: ids[0], Of: a.stream.ID()})
		if _, err := r.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.cut()
		left, right := newPair(64)
		a.joins(left)
		r.end = right
		r.Expect(true)
		if synctest.Wait(); len(r.accepts) > 0 {
			t.Error("a file moves before the other side has said hello")
		}
		r.hello(hello{Conversation: "hostile", First: 1, Heard: 1})
		if _, err := r.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.Leave()
		r.file(2, kindAccept, note{ID: ids[1], Of: a.stream.ID()})
		if synctest.Wait(); len(r.accepts) > 0 {
			t.Error("a file begins to move though this side leaves")
		}
		right.hangUp()
	})
}

// A file is not given up because pipes keep breaking before any of it moves: only a receiver that closes its channel is.
func TestPipesThatBreakBeforeAFileMoves(t *testing.T) {
	dir, path := t.TempDir(), create(t, "data", noise(100))
	synctest.Test(t, func(t *testing.T) {
		a, b := newTalker(), newTalker(into(dir), accepts)
		var rejoin func(more int)
		rejoin = func(more int) {
			left, right := newPair(4)
			left.tap = func(_ bool, m []byte) {
				if m[0] == fileHave && more > 0 {
					left.cut()
					rejoin(more - 1)
				}
			}
			a.joins(left)
			b.joins(right)
		}
		rejoin(2 * maxFutile)
		a.run(t.Context(), nil)
		b.run(t.Context(), nil)
		id := offers(t, a, path)
		synctest.Wait()
		if !a.Sent(id) || len(only[Reconnected](a.seen())) != 2*maxFutile {
			t.Errorf("it is not sent: %v, after %d more pipes", failures(a), len(only[Reconnected](a.seen())))
		}
		a.Leave()
		b.Leave()
		<-a.ended
		<-b.ended
	})
	holds(t, dir, contents(t, filepath.Dir(path)))
}
