package chat

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// diedMidway returns Ann, who sends a file, and a receiver with a journal whose Run was told to end in the middle of it.
func diedMidway(t *testing.T, path, dir, box string) (a, b *talker) {
	t.Helper()
	left, right := newPair(16)
	a, b = newTalker(named("Ann")), newTalker(keeps(t, box), into(dir), accepts)
	stop := stopsAt(t, left, fileData, 20)
	a.joins(left).run(t.Context(), nil)
	ctx, die := context.WithCancel(t.Context())
	b.joins(right).run(ctx, nil)
	offers(t, a, path)
	<-stop
	die()
	return a, b
}

// A receiver is stopped in the middle of a file and restarted with its journal; change is what
// happens to the part in between.
func TestResumedReceiver(t *testing.T) {
	content := noise(3 << 20)
	for name, test := range map[string]struct {
		mode   os.FileMode
		change func(part string) error
		fails  string // with it nothing arrives
	}{
		"from where it was":               {0o600, func(string) error { return nil }, ""},
		"of a file that may only be read": {0o444, func(string) error { return nil }, ""},
		"that lost what was not synced":   {0o600, func(part string) error { return os.Truncate(part, 5) }, ""},
		"that holds something else": {0o600, func(part string) error {
			return os.WriteFile(part, []byte("something else"), 0o600)
		}, damaged},
		"that is gone":      {0o600, os.Remove, lost},
		"that is too large": {0o600, func(part string) error { return os.Truncate(part, 4<<20) }, lost},
		"that is a link now": {0o600, func(part string) error {
			return errors.Join(os.Rename(part, part+"x"), os.Symlink(part+"x", part))
		}, lost},
	} {
		t.Run(name, func(t *testing.T) {
			path, dir, box := create(t, "data", content), t.TempDir(), filepath.Join(t.TempDir(), "box")
			if err := os.Chmod(path, test.mode); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				left, right := newPair(16)
				a, b := newTalker(named("Ann")), newTalker(keeps(t, box), into(dir), accepts)
				stop := stopsAt(t, left, fileData, 20)
				a.joins(left).run(t.Context(), nil)
				ctx, die := context.WithCancel(t.Context())
				b.joins(right).run(ctx, nil)
				id := offers(t, a, path)
				<-stop
				die()
				_ = b.end() // the context's
				if err := b.config.Journal.End(b.Resumable()); err != nil {
					t.Fatal(err)
				}
				parts, err := filepath.Glob(filepath.Join(dir, ".p2pchat-*.kept"))
				if err != nil || len(parts) != 1 {
					t.Fatal(parts, err)
				}
				if n := Sweep(dir); n != 0 {
					t.Errorf("%d are swept away", n)
				}
				if err := test.change(parts[0]); err != nil {
					t.Fatal(err)
				}

				left, right = newPair(16)
				a.joins(left)
				b = newTalker(keeps(t, box), into("elsewhere"), accepts).joins(right).run(t.Context(), nil)
				synctest.Wait()
				if test.fails == "" {
					got, err := os.ReadFile(filepath.Join(dir, "data")) //nolint:gosec // the test's own
					if err != nil || !bytes.Equal(got, content) || !a.Sent(id) || len(contents(t, dir)) != 1 {
						t.Errorf("%d bytes have arrived, %v; sent: %v %v", len(got), err, a.Sent(id), failures(a))
					}
					if info, err := os.Stat(filepath.Join(dir, "data")); err == nil && info.Mode().Perm() != test.mode {
						t.Errorf("its mode is %v", info.Mode())
					}
				} else {
					equal(t, "the sender hears", failures(a), []string{test.fails})
					equal(t, "the receiver hears", failures(b), []string{test.fails})
				}
				a.Leave()
				_, _ = a.end(), b.end() // what failed
				if err := b.config.Journal.End(b.Resumable()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A sender is stopped and restarted with its journal: in the middle of a file or a folder, and when
// only the receiver's word was lost.
func TestResumedSender(t *testing.T) {
	path := create(t, "data", noise(3<<20))
	for name, test := range map[string]struct {
		path string
		when byte // of a message
		nth  int
	}{
		"in the middle of a file":   {path, fileData, 20},
		"in the middle of a folder": {filepath.Dir(path), fileData, 20},
		"when all was sent":         {path, fileDone, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir, box := t.TempDir(), filepath.Join(t.TempDir(), "box")
			synctest.Test(t, func(t *testing.T) {
				left, right := newPair(16)
				a, b := newTalker(named("Ann"), keeps(t, box)), newTalker(into(dir), accepts).joins(right).run(t.Context(), nil)
				stop := stopsAt(t, left, test.when, test.nth)
				ctx, die := context.WithCancel(t.Context())
				a.joins(left).run(ctx, nil)
				id := offers(t, a, test.path)
				<-stop
				synctest.Wait()
				die()
				_ = a.end() // the context's
				if err := a.config.Journal.End(a.Resumable()); err != nil {
					t.Fatal(err)
				}

				left, right = newPair(16)
				a = newTalker(keeps(t, box))
				if again := offers(t, a, test.path); again != id { // by the same command
					t.Errorf("it is offered as %d, not %d", again, id)
				}
				a.joins(left).run(t.Context(), nil)
				b.joins(right)
				synctest.Wait()
				if got := only[FileReceived](b.seen()); len(got) != 1 || !a.Sent(id) {
					t.Errorf("received %v, sent: %v; %v, %v", got, a.Sent(id), failures(a), failures(b))
				} else if sent := only[FileSent](a.seen()); len(sent) != 1 || sent[0].SHA256 != got[0].SHA256 {
					t.Errorf("sent %v, received %v", sent, got)
				}
				a.Leave()
				if err := errors.Join(a.end(), b.end(), a.config.Journal.End(a.Resumable())); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A restarted receiver is told of its files in their order, with what there is of them, before their channels come in any order: a screen
// numbers them by that.
func TestResumedReceiverOfSeveralFiles(t *testing.T) {
	content := noise(1 << 20)
	paths, dir, box := []string{create(t, "c", content), create(t, "b", content), create(t, "a", content)}, t.TempDir(), filepath.Join(t.TempDir(), "box")
	synctest.Test(t, func(t *testing.T) {
		left, right := newPair(16)
		a, b := newTalker(), newTalker(keeps(t, box), into(dir), accepts)
		stop := stopsAt(t, left, fileData, 30)
		var mu sync.Mutex // three files move at once
		counts, accepted := left.tap, make(chan struct{})
		left.tap = func(out bool, m []byte) {
			if out && m[0] == fileData {
				<-accepted
			}
			mu.Lock()
			defer mu.Unlock()
			counts(out, m)
		}
		a.joins(left).run(t.Context(), nil)
		ctx, die := context.WithCancel(t.Context())
		b.joins(right).run(ctx, nil)
		for _, path := range paths {
			offers(t, a, path)
		}
		synctest.Wait()
		close(accepted)
		<-stop
		die()
		_ = b.end() // as it was told
		if err := b.config.Journal.End(true); err != nil {
			t.Fatal(err)
		}
		b = newTalker(keeps(t, box), into(dir), accepts).run(t.Context(), nil)
		synctest.Wait()
		var told []string
		bytes := int64(0)
		for _, p := range only[FileProgress](b.seen()) {
			told, bytes = append(told, p.Name), bytes+p.Bytes
			if !p.Resumed || p.Outgoing {
				t.Errorf("it is told %+v", p)
			}
		}
		equal(t, "it is told of", told, []string{"c", "b", "a"})
		if bytes == 0 {
			t.Error("nothing has arrived")
		}
		a.Leave()
		b.Leave()
		_, _ = a.end(), b.end() // neither has its files
	})
}

// What the journal says of files stays, however often it is compacted.
func TestSenderRestartedTwice(t *testing.T) {
	path, box, dir := create(t, "data", noise(1<<20)), filepath.Join(t.TempDir(), "box"), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		for run := range 2 {
			a := newTalker(keeps(t, box))
			ctx, die := context.WithCancel(t.Context())
			a.run(ctx, nil)
			if run == 0 {
				offers(t, a, path)
			}
			synctest.Wait()
			die()
			_ = a.end() // as it was told
			if err := a.config.Journal.End(a.Resumable()); err != nil {
				t.Fatal(err)
			}
		}
		left, right := newPair(16)
		a := newTalker(keeps(t, box)).joins(left).run(t.Context(), nil)
		b := newTalker(into(dir), accepts).joins(right).run(t.Context(), nil)
		synctest.Wait()
		if n := len(only[FileReceived](b.seen())); n != 1 {
			t.Errorf("%d files arrive: %v, %v", n, failures(a), failures(b))
		}
		a.Leave()
		if err := errors.Join(a.end(), b.end(), a.config.Journal.End(a.Resumable())); err != nil {
			t.Error(err)
		}
	})
}

func TestJournalRewrittenAtTheEnd(t *testing.T) {
	box := filepath.Join(t.TempDir(), "box")
	path, dir := create(t, "data", noise(3<<20)), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, b := diedMidway(t, path, dir, box)
		_ = b.end()    // as it was told
		for range 40 { // its journal is compacted while it is open
			b.noted(entry{Resumption: strings.Repeat("x", 100_000)})
		}
		if info, err := os.Stat(box); err != nil || info.Size() > 3_000_000 {
			t.Errorf("the journal was not compacted: %v, %v", info, err)
		}
		_ = b.config.Journal.End(true) // it stays
		for range 2 {                  // each opening compacts it
			j, err := OpenJournal(box)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(j.memory.records()); n != 1 {
				t.Errorf("the journal knows %d files", n)
			}
			if err := j.End(true); err != nil {
				t.Fatal(err)
			}
		}
		a.Leave()
		_ = a.end() // the other side has ended before
	})
}

// A resumed receiver whose journal cannot be written says so.
func TestResumedReceiverWithoutAJournal(t *testing.T) {
	box := filepath.Join(t.TempDir(), "box")
	path, dir := create(t, "data", noise(3<<20)), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, b := diedMidway(t, path, dir, box)
		_ = b.end()                    // as it was told
		_ = b.config.Journal.End(true) // it stays
		a.Leave()
		_ = a.end() // the other side has ended before

		b = newTalker(keeps(t, box), into(dir))
		_ = b.config.Journal.End(true) // its file is closed, so that no write succeeds
		ctx, die := context.WithCancel(t.Context())
		b.run(ctx, nil)
		synctest.Wait()
		if got := only[Notice](b.seen()); len(got) != 1 || !strings.HasPrefix(got[0].Text, sentence(ErrUnkept)) {
			t.Errorf("the reader is told %v", got)
		}
		die()
		_ = b.end() // the context's
	})
}

func TestFilesOfAKilledProgram(t *testing.T) {
	path := create(t, "data", noise(3<<20))
	// Ann's program is killed while each side has offered files, and goes on from its journal.
	synctest.Test(t, func(t *testing.T) {
		box, dir := filepath.Join(t.TempDir(), "box"), t.TempDir()
		left, right := newPair(16)
		a, b := newTalker(keeps(t, box), into(dir)), newTalker(into(dir)).joins(right).run(t.Context(), nil)
		ctx, die := context.WithCancel(t.Context())
		a.joins(left).run(ctx, nil)
		theirs, mine := offers(t, b, path), offers(t, a, path)
		synctest.Wait()
		if err := b.Accept(mine); err != nil {
			t.Fatal(err)
		}
		left.cut()
		synctest.Wait()
		unheard := offers(t, a, path)
		fresh := offers(t, b, path)
		die()
		<-a.ended
		if err := a.config.Journal.End(true); err != nil {
			t.Fatal(err)
		}

		left, right = newPair(16)
		a = newTalker(keeps(t, box), into(dir)).joins(left).run(t.Context(), nil)
		b.joins(right)
		synctest.Wait()
		equal(t, "Ben hears", failures(b), nil)
		if err := b.Accept(unheard); err != nil {
			t.Errorf("what it offered last: %v", err)
		}
		synctest.Wait()
		if !a.Sent(mine) || !a.Sent(unheard) {
			t.Errorf("what it offered is not sent: %v", failures(a))
		}
		if got := only[FileOffered](a.seen()); len(got) != 2 || got[0].ID != theirs || got[1].ID != fresh {
			t.Errorf("it is offered %v", got)
		}
		for _, id := range []uint64{theirs, fresh} {
			if err := a.Accept(id); err != nil {
				t.Errorf("accepting %d: %v", id, err)
			}
			synctest.Wait()
			if !b.Sent(id) {
				t.Errorf("%d is not sent", id)
			}
		}
		a.Leave()
		_, _ = a.end(), b.end() // they have left
	})
}
