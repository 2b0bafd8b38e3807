package chat

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// noise is n bytes that are like no others.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%032d", n)))).Read(b) // it never fails
	return b
}

func into(dir string) option { return func(_ *talker, c *Config) { c.DownloadDir = dir } }

func accepts(_ *talker, c *Config) { c.AcceptFiles = true }

// create writes a file into a folder of its own, and returns its path.
func create(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func offers(t *testing.T, c *talker, path string) uint64 {
	t.Helper()
	ids, err := c.SendFiles(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return ids[0]
}

// contents are the files and folders in dir: what is in them, and their permissions.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path) // it is below
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := info.Mode().String()
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path) //nolint:gosec // of the test
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x", sha256.Sum256(b))
		}
		all[name] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func holds(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := contents(t, dir)
	if maps.Equal(got, want) {
		return
	}
	if len(got) > 20 {
		t.Errorf("the folder holds %d files and folders, not %d, or others", len(got), len(want))
		return
	}
	t.Errorf("the folder holds %v, not %v", got, want)
}

// failures are the reasons of what failed.
func failures(c *talker) (why []string) {
	for _, f := range only[FileFailed](c.seen()) {
		why = append(why, f.Reason)
	}
	return why
}

// meets joins two talkers, and ends them when f has returned.
func meets(t *testing.T, as, bs []option, f func(t *testing.T, a, b *talker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		left, right := newPair(16)
		a, b := newTalker(append(as, named("Ann"))...), newTalker(append(bs, named("Ben"))...)
		a.joins(left).run(t.Context(), nil)
		b.joins(right).run(t.Context(), nil)
		f(t, a, b)
		a.Leave()
		b.Leave()
		<-a.ended
		<-b.ended
		for _, c := range []*talker{a, b} {
			if log := c.log.String(); log != "" {
				t.Errorf("the log says %.500s", log)
			}
		}
	})
}

func TestFile(t *testing.T) {
	for _, size := range []int{0, 1, fileChunk, fileChunk + 1, 5<<20 + 7} {
		t.Run(fmt.Sprintf("of %d bytes arrives", size), func(t *testing.T) {
			dir, content := t.TempDir(), noise(size)
			path := create(t, "data.bin", content)
			sum := sha256.Sum256(content)
			meets(t, nil, []option{into(dir)}, func(t *testing.T, a, b *talker) {
				id := offers(t, a, path)
				synctest.Wait()
				if got := only[FileOffered](b.seen()); len(got) != 1 || got[0] != (FileOffered{ID: id, From: "Ann", Name: "data.bin", Size: int64(size)}) {
					t.Fatalf("it is offered %+v", got)
				}
				holds(t, dir, nil)
				if err := b.Accept(id); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if got := only[FileReceived](b.seen()); len(got) != 1 || got[0] != (FileReceived{ID: id, Name: "data.bin", Path: filepath.Join(dir, "data.bin"), Size: int64(size), SHA256: sum}) {
					t.Errorf("it receives %+v", got)
				}
				if got := only[FileSent](a.seen()); len(got) != 1 || got[0] != (FileSent{ID: id, Name: "data.bin", Size: int64(size), SHA256: sum}) {
					t.Errorf("it has sent %+v", got)
				}
				if got := only[FileOffering](a.seen()); len(got) != 1 || got[0] != (FileOffering{ID: id, Name: "data.bin", Size: int64(size)}) {
					t.Errorf("it says that it offers %+v", got)
				}
				if !a.Sent(id) || b.Sent(id) {
					t.Errorf("it was sent: %v, %v", a.Sent(id), b.Sent(id))
				}
				holds(t, dir, map[string]string{"data.bin": fmt.Sprintf("-rw------- %x", sum)})
			})
		})
	}

	t.Run("many go both ways at once, and talk between them", func(t *testing.T) {
		dirs, content := []string{t.TempDir(), t.TempDir()}, noise(3<<20)
		path := create(t, "a", content)
		meets(t, []option{into(dirs[0]), accepts}, []option{into(dirs[1]), accepts}, func(t *testing.T, a, b *talker) {
			for i := range 20 {
				offers(t, a, path)
				offers(t, b, path)
				say(t, a, strconv.Itoa(i))
			}
			synctest.Wait()
			for i, c := range []*talker{a, b} {
				if n, m := len(only[FileReceived](c.seen())), len(only[FileSent](c.seen())); n != 20 || m != 20 {
					t.Errorf("%d were received, %d sent; %v failed", n, m, failures(c))
				}
				if n := len(contents(t, dirs[i])); n != 20 {
					t.Errorf("there are %d files", n)
				}
			}
			if n := len(texts(b.seen())); n != 20 {
				t.Errorf("%d messages were read", n)
			}
		})
	})

	t.Run("keeps its permissions, but for what would run as somebody else", func(t *testing.T) {
		for mode, want := range map[fs.FileMode]fs.FileMode{0o755: 0o755, 0o444: 0o444, fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky | 0o755: 0o755, 0o640: 0o640} {
			dir, path := t.TempDir(), create(t, "run", []byte("#!/bin/sh\n"))
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			meets(t, nil, []option{into(dir), accepts}, func(t *testing.T, a, _ *talker) {
				offers(t, a, path)
				synctest.Wait()
				info, err := os.Stat(filepath.Join(dir, "run"))
				if err != nil {
					t.Fatalf("%v: %v; %v failed", mode, err, failures(a))
				}
				if info.Mode() != want {
					t.Errorf("%v arrives as %v", mode, info.Mode())
				}
			})
		}
	})

	t.Run("arrives beside others though the path slows down", func(t *testing.T) {
		dir := t.TempDir()
		var paths []string
		for i := range fileMoving {
			paths = append(paths, create(t, fmt.Sprint("data", i), noise(8<<20)))
		}
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(64)
			var out atomic.Int64
			left.tap = func(sends bool, m []byte) {
				switch {
				case !sends:
				case out.Add(int64(len(m))) < 8<<20:
					time.Sleep(time.Millisecond) // 64 MB/s for each
				default:
					time.Sleep(64 * time.Millisecond) // 1 MB/s
				}
			}
			a, b := newTalker(), newTalker(into(dir), accepts)
			a.joins(left).run(t.Context(), nil)
			b.joins(right).run(t.Context(), nil)
			for _, path := range paths {
				offers(t, a, path)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if got := only[FileSent](a.seen()); len(got) != fileMoving {
				t.Errorf("after a minute %d of %d have arrived, and %d bytes went out", len(got), fileMoving, out.Load())
			}
			a.Leave()
			b.Leave()
			<-a.ended
			<-b.ended
		})
	})

	t.Run("never takes the place of another", func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"a.txt", "a (1).txt"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("/etc/passwd", filepath.Join(dir, "a (2).txt")); err != nil {
			t.Fatal(err)
		}
		before := contents(t, dir)
		path := create(t, "a.txt", []byte("new"))
		meets(t, nil, []option{into(dir), accepts}, func(t *testing.T, a, b *talker) {
			offers(t, a, path)
			synctest.Wait()
			if got := only[FileReceived](b.seen()); len(got) != 1 || got[0].Path != filepath.Join(dir, "a (3).txt") {
				t.Errorf("it is %+v", got)
			}
		})
		before["a (3).txt"] = fmt.Sprintf("-rw------- %x", sha256.Sum256([]byte("new")))
		holds(t, dir, before)
	})

	t.Run("that cannot be read is not offered", func(t *testing.T) {
		meets(t, nil, nil, func(t *testing.T, a, b *talker) {
			for path, why := range map[string]string{filepath.Join(t.TempDir(), "none"): "no such file", "/dev/null": "neither a file nor a folder"} {
				if _, err := a.SendFiles(t.Context(), path); err == nil || !strings.Contains(err.Error(), why) || !strings.HasPrefix(err.Error(), path) {
					t.Errorf("it says %v", err)
				}
			}
			synctest.Wait()
			if got := only[FileOffered](b.seen()); len(got) > 0 {
				t.Errorf("it is offered %+v", got)
			}
		})
	})
}

// toOne is what a side hears of why: that it has cancelled a file, it knows.
func toOne(why, side string) string {
	if why == "cancelled by its "+side {
		return Cancelled
	}
	return why
}

func TestFileAnswers(t *testing.T) {
	path := create(t, "data", noise(100))
	unaccepted := func(t *testing.T, what string, end func(a, b *talker, id uint64) error, why string, options ...option) {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			meets(t, nil, append(options, into(dir)), func(t *testing.T, a, b *talker) {
				id := offers(t, a, path)
				synctest.Wait()
				if err := end(a, b, id); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				equal(t, "the sender hears", failures(a), []string{toOne(why, "sender")})
				equal(t, "the receiver hears", failures(b), []string{toOne(why, "receiver")})
				for _, err := range []error{b.Accept(id), b.Decline(id), b.Cancel(id, false), a.Cancel(id, true), a.Accept(id)} {
					if !errors.Is(err, ErrNoFile) {
						t.Errorf("afterwards it says %v", err)
					}
				}
				holds(t, dir, nil)
				offers(t, a, path) // the conversation goes on
			})
		})
	}
	nothing := func(_, _ *talker, _ uint64) error { return nil }
	unaccepted(t, "declined", func(_, b *talker, id uint64) error { return b.Decline(id) }, "declined")
	unaccepted(t, "cancelled by the sender before", func(a, _ *talker, id uint64) error { return a.Cancel(id, true) }, "cancelled by its sender")
	unaccepted(t, "cancelled by the receiver before", func(_, b *talker, id uint64) error { return b.Cancel(id, false) }, "cancelled by its receiver")
	unaccepted(t, "declined because nobody is asked", nothing, "no files here", func(_ *talker, c *Config) { c.DeclineFiles = "no files here" })
	unaccepted(t, "declined when the input ends", func(_, b *talker, _ uint64) error { return b.Finish(context.Background()) }, unattended)

	t.Run("an offer that finds an ended input is declined", func(t *testing.T) {
		meets(t, nil, nil, func(t *testing.T, a, b *talker) {
			finish(t, b)
			offers(t, a, path)
			synctest.Wait()
			equal(t, "the sender hears", failures(a), []string{unattended})
		})
	})

	t.Run("a download folder that cannot be is an error, and the file can still be accepted", func(t *testing.T) {
		dir := create(t, "no-folder", nil)
		meets(t, nil, []option{into(dir)}, func(t *testing.T, a, b *talker) {
			id := offers(t, a, path)
			synctest.Wait()
			if err := b.Accept(id); err == nil || errors.Is(err, ErrNoFile) {
				t.Errorf("it says %v", err)
			}
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
			if err := b.Accept(id); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := only[FileReceived](b.seen()); len(got) != 1 {
				t.Errorf("it receives %v; %v", got, failures(b))
			}
		})
	})

	t.Run("without anybody to ask it is an error for both", func(t *testing.T) {
		dir := create(t, "no-folder", nil)
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(16)
			a, b := newTalker().joins(left).run(t.Context(), nil), newTalker(into(dir), accepts, leavesWhenSaid).joins(right).run(t.Context(), nil)
			offers(t, a, path)
			finish(t, b)
			if i := (*Incomplete)(nil); !errors.As(b.end(), &i) || i.Files != 1 {
				t.Errorf("it ends with %v", b.err)
			}
			<-a.ended
			if why := failures(a); len(why) != 1 || !strings.Contains(why[0], "not a directory") || strings.Contains(why[0], dir) {
				t.Errorf("the sender hears %q", why)
			}
		})
	})

	t.Run("a plain WebRTC program is offered nothing", func(t *testing.T) {
		withForeign(t, 16, nil, func(t *testing.T, a *talker, r raw) {
			if _, err := a.SendFiles(t.Context(), path); !errors.Is(err, ErrNoFiles) {
				t.Errorf("it says %v", err)
			}
			equal(t, "the other side gets", r.wire(), nil)
		})
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(16)
			a := newTalker()
			offers(t, a, path) // before it is known who comes
			a.links <- Link{Pipe: left, Foreign: true}
			a.run(t.Context(), nil)
			synctest.Wait()
			equal(t, "it hears", failures(a), []string{ErrNoFiles.Error()})
			equal(t, "the other side gets", (raw{right, t}).wire(), nil)
			a.Leave()
			<-a.ended
		})
	})

	t.Run("a reason of any length is told, and the conversation goes on", func(t *testing.T) {
		meets(t, nil, nil, func(t *testing.T, a, b *talker) {
			id := offers(t, a, path)
			synctest.Wait()
			a.giveUp(a.list(func(f *file) bool { return f.id == id })[0], strings.Repeat("<", 5000), kindCancel)
			say(t, a, "next")
			synctest.Wait()
			equal(t, "the receiver hears", failures(b), []string{strings.Repeat("<", 200)})
			equal(t, "and reads", texts(b.seen()), []string{"next"})
		})
	})

	t.Run("hundreds wait for each other", func(t *testing.T) {
		dir := t.TempDir()
		meets(t, nil, []option{into(dir)}, func(t *testing.T, a, b *talker) {
			ids, err := a.SendFiles(t.Context(), slices.Repeat([]string{path}, 300)...)
			if err != nil || len(ids) != maxOffers {
				t.Fatalf("%d are offered at once: %v", len(ids), err)
			}
			for accepted := 0; accepted < 300; {
				synctest.Wait()
				offered := only[FileOffered](b.seen())
				if n := len(offered) - accepted; n == 0 || n > maxOffers {
					t.Fatalf("%d wait at once, after %d", n, accepted)
				}
				for _, o := range offered[accepted:] {
					if err := b.Accept(o.ID); err != nil {
						t.Fatal(err)
					}
				}
				accepted = len(offered)
			}
			finish(t, a)
			synctest.Wait()
			if n := len(only[FileSent](a.seen())); n != 300 || len(contents(t, dir)) != 300 {
				t.Errorf("%d are sent, %d have arrived", n, len(contents(t, dir)))
			}
		})
	})

	t.Run("not too many can wait", func(t *testing.T) {
		meets(t, nil, nil, func(t *testing.T, a, b *talker) {
			if _, err := a.SendFiles(t.Context(), slices.Repeat([]string{path}, maxQueued+1)...); !errors.Is(err, ErrTooManyFiles) {
				t.Errorf("it says %v", err)
			}
			synctest.Wait()
			equal(t, "offered", only[FileOffered](b.seen()), nil)
		})
	})

	t.Run("one too many is declined", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(hello{Conversation: "x", First: 1})
			for i := range uint64(maxFiles + 1) {
				r.write(frame{kind: kindOffer, seq: i + 1, text: `{"name":"a","size":1}`})
				synctest.Wait()
			}
			all := r.drain()
			if last := all[len(all)-1]; !slices.ContainsFunc(all, func(f frame) bool { return f.kind == kindCancel && strings.Contains(f.text, "too many files") }) {
				t.Errorf("it hears, last, %+v", last)
			}
			equal(t, "offers", []int{len(only[FileOffered](a.seen()))}, []int{maxFiles})
		})
	})

	for name, test := range map[string]struct {
		send   func(a *talker) error
		ends   func(a, b *talker)
		missed int
	}{
		"a file that the other side leaves without counts":          {func(a *talker) error { _, err := a.SendFiles(t.Context(), path); return err }, func(_, b *talker) { b.Leave() }, 1},
		"one that this side leaves without does not":                {func(a *talker) error { _, err := a.SendFiles(t.Context(), path); return err }, func(a, _ *talker) { a.Leave() }, 0},
		"one that the other side declines does not":                 {func(a *talker) error { _, err := a.SendFiles(t.Context(), path); return err }, func(_, b *talker) { _ = b.Decline(1); synctest.Wait(); b.Leave() }, 0},
		"files that had to be sent count, if they were not offered": {func(a *talker) error { return a.MustSend(t.Context(), slices.Repeat([]string{path}, 100)...) }, func(a, _ *talker) { a.Leave() }, 100},
		"and if they are declined":                                  {func(a *talker) error { return a.MustSend(t.Context(), path) }, func(_, b *talker) { _ = b.Decline(1); synctest.Wait(); b.Leave() }, 1},
		"all that waits counts where the other side leaves": {func(a *talker) error {
			_, err := a.SendFiles(t.Context(), slices.Repeat([]string{path}, 100)...)
			return err
		}, func(_, b *talker) { b.Leave() }, 100},
	} {
		t.Run(name, func(t *testing.T) {
			meets(t, nil, nil, func(t *testing.T, a, b *talker) {
				if err := test.send(a); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				test.ends(a, b)
				missed := 0
				if i := (*Incomplete)(nil); errors.As(a.end(), &i) {
					missed = i.Files
				}
				if missed != test.missed {
					t.Errorf("%d files are missed, not %d", missed, test.missed)
				}
			})
		})
	}
}

// TestFileMidway has what happens while a file is on its way: the receiver has accepted it,
// and the sender has said so much and waits for room.
func TestFileMidway(t *testing.T) {
	content := noise(10 << 20)
	midway := func(t *testing.T, what string, end func(t *testing.T, a, b *talker, id uint64, path string), why string) {
		t.Run(what, func(t *testing.T) {
			dir, path := t.TempDir(), create(t, "data", content)
			halfway, goOn := make(chan struct{}), make(chan struct{})
			synctest.Test(t, func(t *testing.T) {
				halfway, goOn = make(chan struct{}), make(chan struct{})
				left, right := newPair(16)
				data := 0
				left.tap = func(out bool, m []byte) {
					if out && m[0] == fileData {
						if data++; data == 5 {
							close(halfway)
							<-goOn
						}
					}
				}
				a, b := newTalker(named("Ann")), newTalker(named("Ben"), into(dir), accepts)
				a.joins(left).run(t.Context(), nil)
				b.joins(right).run(t.Context(), nil)
				id := offers(t, a, path)
				<-halfway
				synctest.Wait()
				end(t, a, b, id, path)
				close(goOn)
				synctest.Wait()
				equal(t, "the sender hears", failures(a), []string{toOne(why, "sender")})
				equal(t, "the receiver hears", failures(b), []string{toOne(why, "receiver")})
				holds(t, dir, nil)
				if !isClosed(a.ended) {
					id := offers(t, a, create(t, "next", []byte("x")))
					synctest.Wait()
					if !a.Sent(id) {
						t.Errorf("the next file is not sent: %v", failures(a))
					}
				}
				a.Leave()
				b.Leave()
				<-a.ended
				<-b.ended
				if log := a.log.String() + b.log.String(); log != "" {
					t.Errorf("the logs say %s", log)
				}
			})
		})
	}
	change := func(f func(path string) error) func(*testing.T, *talker, *talker, uint64, string) {
		return func(t *testing.T, _, _ *talker, _ uint64, path string) {
			if err := f(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	midway(t, "cancelled by the sender", func(t *testing.T, a, _ *talker, id uint64, _ string) {
		if err := a.Cancel(id, true); err != nil {
			t.Error(err)
		}
	}, "cancelled by its sender")
	midway(t, "cancelled by the receiver", func(t *testing.T, _, b *talker, id uint64, _ string) {
		if err := b.Cancel(id, false); err != nil {
			t.Error(err)
		}
	}, "cancelled by its receiver")
	midway(t, "it shrinks", change(func(path string) error { return os.Truncate(path, 1<<20) }), "it became shorter while it was being sent")
	midway(t, "it grows", change(func(path string) error { return os.Truncate(path, 11<<20) }), "it became longer while it was being sent")
	midway(t, "it changes", change(func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) }), "it was changed while it was being sent")

	t.Run("it vanishes before it is accepted", func(t *testing.T) {
		dir, path := t.TempDir(), create(t, "data", content)
		meets(t, nil, []option{into(dir)}, func(t *testing.T, a, b *talker) {
			id := offers(t, a, path)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if err := b.Accept(id); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			equal(t, "the sender hears", failures(a), []string{"it is no longer there"})
			equal(t, "the receiver hears", failures(b), []string{"it is no longer there"})
			holds(t, dir, nil)
		})
	})

	t.Run("somebody leaves", func(t *testing.T) {
		dir, path := t.TempDir(), create(t, "data", content)
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(0)
			a, b := newTalker().joins(left), newTalker(into(dir), accepts).joins(right)
			left.tap = func(out bool, m []byte) {
				if out && m[0] == fileData {
					a.Leave()
				}
			}
			offers(t, a, path)
			a.run(t.Context(), nil)
			b.run(t.Context(), nil)
			if i := (*Incomplete)(nil); !errors.As(b.end(), &i) || i.Files != 1 {
				t.Errorf("the receiver ends with %v", b.err)
			}
			if err := a.end(); err != nil {
				t.Errorf("the sender ends with %v", err)
			}
			equal(t, "the sender hears", failures(a), []string{"the conversation has ended"})
			equal(t, "the receiver hears", failures(b), []string{"the other side has left"})
		})
		holds(t, dir, nil)
	})
}

func TestFileThroughLosses(t *testing.T) {
	const cuts = 10
	content := noise(8<<20 + 5)
	for _, what := range []string{"file", "folder"} {
		t.Run("a "+what+" arrives whole, and nothing twice that was acknowledged", func(t *testing.T) {
			dir, path := t.TempDir(), create(t, "data", content)
			if what == "folder" {
				path = filepath.Dir(path)
				for i := range 50 {
					if err := os.WriteFile(filepath.Join(path, strconv.Itoa(i)), content[:1000*i], 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			synctest.Test(t, func(t *testing.T) {
				a, b := newTalker(), newTalker(into(dir), accepts)
				var mu sync.Mutex
				var acked, at, sent int64 // of the sender's channel; guarded by mu
				var joinAnew func(after int)
				joinAnew = func(after int) {
					left, right := newPair(4)
					first, data := true, 0
					left.tap = func(out bool, m []byte) {
						mu.Lock()
						defer mu.Unlock()
						switch {
						case !out && m[0] == fileHave:
							have := int64(binary.BigEndian.Uint64(m[1:])) //nolint:gosec // small
							if have < acked {
								t.Errorf("the receiver had %d, and begins at %d", acked, have)
							}
							if acked = have; first {
								at, first = have, false
							}
						case out && m[0] == fileData:
							if at < acked && data == 0 {
								t.Errorf("%d goes out again, and %d were acknowledged", at, acked)
							}
							at += int64(len(m) - 1)
							sent += int64(len(m) - 1)
							if data++; data == after {
								left.cut()
								joinAnew(after + 1)
							}
						}
					}
					if after > 2+cuts {
						left.tap = nil
					}
					a.joins(left)
					b.joins(right)
				}
				joinAnew(3)
				a.run(t.Context(), nil)
				b.run(t.Context(), nil)
				id := offers(t, a, path)
				synctest.Wait()
				if !a.Sent(id) {
					t.Errorf("it is not sent: %v", failures(a))
				}
				if n := len(only[Reconnected](a.seen())); n != cuts {
					t.Errorf("it was cut %d times", n)
				}
				if most := int64(len(content)) + cuts*windowMost; sent > most {
					t.Errorf("%d bytes went out, more than %d", sent, most)
				}
				a.Leave()
				<-a.ended
				<-b.ended
			})
			if what == "folder" {
				dir = filepath.Join(dir, filepath.Base(path))
			} else {
				path = filepath.Dir(path)
			}
			holds(t, dir, contents(t, path))
		})
	}

	t.Run("what was offered before a loss can be accepted after it", func(t *testing.T) {
		dir, path := t.TempDir(), create(t, "data", content)
		meets(t, nil, []option{into(dir)}, func(t *testing.T, a, b *talker) {
			id := offers(t, a, path)
			synctest.Wait()
			a.ends[0].cut()
			synctest.Wait()
			if err := b.Accept(id); err != nil {
				t.Fatal(err)
			}
			left, right := newPair(4)
			a.joins(left)
			b.joins(right)
			synctest.Wait()
			if !a.Sent(id) {
				t.Errorf("it is not sent: %v", failures(a))
			}
		})
	})

	t.Run("a program that was started anew has none of the old one's files", func(t *testing.T) {
		dir, path := t.TempDir(), create(t, "data", content)
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(16)
			a, b := newTalker(into(dir)).joins(left).run(t.Context(), nil), newTalker(into(dir)).joins(right)
			ctx, die := context.WithCancel(t.Context())
			b.run(ctx, nil)
			mine, theirs := offers(t, a, path), offers(t, b, path)
			synctest.Wait()
			die()
			<-b.ended
			fresh := offers(t, a, path) // goes to the new one
			left, right = newPair(16)
			a.joins(left)
			b = newTalker(into(dir)).joins(right).run(t.Context(), nil)
			synctest.Wait()
			const anew = "the other side's program was restarted"
			equal(t, "it hears", failures(a), []string{anew, anew})
			for _, err := range []error{a.Accept(theirs), a.Cancel(mine, true), b.Accept(mine)} {
				if !errors.Is(err, ErrNoFile) {
					t.Errorf("it says %v", err)
				}
			}
			if err := b.Accept(fresh); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if !a.Sent(fresh) {
				t.Errorf("the new one has nothing: %v", failures(a))
			}
			a.Leave()
			<-a.ended
			<-b.ended
		})
	})
}

func TestFileEndings(t *testing.T) {
	path := create(t, "data", noise(3<<20))
	t.Run("a conversation whose inputs have ended lasts until the files are there", func(t *testing.T) {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(4)
			a, b := newTalker().joins(left), newTalker(into(dir), accepts).joins(right)
			ids := []uint64{offers(t, a, path), offers(t, a, path)}
			finish(t, a, b)
			a.run(t.Context(), nil)
			b.run(t.Context(), nil)
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			if !a.Sent(ids[0]) || !a.Sent(ids[1]) {
				t.Errorf("not all were sent: %v", failures(a))
			}
		})
	})

	t.Run("with LeaveWhenSaid on both sides, too", func(t *testing.T) {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(4)
			a, b := newTalker(leavesWhenSaid).joins(left), newTalker(leavesWhenSaid, into(dir), accepts).joins(right)
			finish(t, b)
			b.run(t.Context(), nil)
			a.run(t.Context(), nil)
			time.Sleep(time.Minute) // b waits for the first
			id := offers(t, a, path)
			finish(t, a)
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			if !a.Sent(id) {
				t.Errorf("it was not sent: %v", failures(a))
			}
		})
	})
}

// A rawFile is the other side of a file, played by the test.
func (r raw) file(seq uint64, k kind, content any) {
	r.t.Helper()
	b, err := json.Marshal(content)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(frame{kind: k, seq: seq, text: string(b)})
}

func (r raw) opens(messages ...[]byte) io.ReadWriteCloser {
	r.t.Helper()
	ch, err := r.Open(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, m := range messages {
		if _, err := ch.Write(m); err != nil {
			r.t.Fatal(err)
		}
	}
	return ch
}

func part8(kind byte, n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{kind}, n) }

func TestHostileSender(t *testing.T) {
	begin, data := part8(fileBegin, 1), append([]byte{fileData}, "four"...)
	done := func(text string) []byte {
		sum := sha256.Sum256([]byte(text))
		return append([]byte{fileDone}, sum[:]...)
	}
	for what, test := range map[string]struct {
		messages [][]byte
		why      string
	}{
		"sends more than it offered":   {[][]byte{begin, data, data, data}, errTooMuch.Error()},
		"ends too early":               {[][]byte{begin, data, done("four")}, errTooEarly.Error()},
		"promises another hash":        {[][]byte{begin, data, data, done("four")}, errDamaged.Error()},
		"says what makes no sense":     {[][]byte{begin, {9}}, "the sender broke the protocol of transfers"},
		"says nothing":                 {[][]byte{begin, {}}, "the sender broke the protocol of transfers"},
		"says half an end":             {[][]byte{begin, data, data, {fileDone, 1}}, "the sender broke the protocol of transfers"},
		"goes on after it was told so": {[][]byte{begin, {9}, data, data, done("fourfour")}, "the sender broke the protocol of transfers"},
	} {
		t.Run("a sender that "+what+" is told so, and leaves nothing", func(t *testing.T) {
			dir := t.TempDir()
			withRawOf(t, []option{into(dir), accepts}, func(t *testing.T, a *talker, r raw) {
				r.hello(hello{Conversation: "hostile", First: 1})
				r.file(1, kindOffer, offer{Name: "x", Size: 8})
				r.drain()
				r.opens(test.messages...)
				synctest.Wait()
				equal(t, "the reader hears", failures(a), []string{test.why})
				var said note
				for _, f := range r.drain() {
					if f.kind == kindCancel {
						_ = json.Unmarshal([]byte(f.text), &said) // or it is not what is wanted
					}
				}
				if said != (note{ID: 1, Of: "hostile", Reason: test.why}) {
					t.Errorf("the other side is told %+v", said)
				}
				holds(t, dir, nil)
			})
		})
	}

	t.Run("offers that make no sense are not shown, and what follows is", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(hello{Conversation: "hostile", First: 1})
			seq := uint64(1)
			for _, text := range []string{"", "{", `{"name":"x","size":-1}`, `{"name":"x","size":1e300}`, `{"name":"x","files":1}`, `{"name":"x","folder":true,"files":-1}`, `{"name":["x"]}`} {
				r.write(frame{kind: kindOffer, seq: seq, text: text})
				r.write(frame{kind: kindAccept, seq: seq + 1, text: text})
				seq += 2
			}
			for _, k := range []kind{kindAccept, kindReceived, kindCancel} { // of nothing
				for _, of := range []string{a.id, "hostile", "x"} {
					r.file(seq, k, note{ID: 1, Of: of})
					seq++
				}
			}
			r.file(seq, kindOffer, offer{Name: "\x1b[2J../../.bashrc\u202e", Size: 1, Mode: 1 << 31})
			for _, k := range []kind{kindAccept, kindReceived} { // of its own
				r.file(seq+1, k, note{ID: seq, Of: "hostile"})
				seq++
			}
			synctest.Wait()
			if got := only[FileOffered](a.seen()); len(got) != 1 || got[0].Name != "_bashrc_" {
				t.Errorf("it is offered %+v", got)
			}
		})
	})

	t.Run("channels that nobody waits for are closed", func(t *testing.T) {
		dir := t.TempDir()
		withRawOf(t, []option{into(dir)}, func(t *testing.T, a *talker, r raw) {
			r.hello(hello{Conversation: "hostile", First: 1})
			closed := func(what string, messages ...[]byte) {
				ch := r.opens()
				for _, m := range messages {
					if _, err := ch.Write(m); err != nil && !errors.Is(err, errCut) { // it may be closed already
						t.Fatal(err)
					}
				}
				synctest.Wait()
				time.Sleep(2 * patience)
				if n, err := ch.Read(make([]byte, 100)); err == nil {
					t.Errorf("%s: it says %d bytes", what, n)
				}
			}
			closed("nothing was offered", begin)
			r.file(1, kindOffer, offer{Name: "x", Size: 8})
			closed("nothing was accepted", begin)
			synctest.Wait()
			if err := a.Accept(1); err != nil {
				t.Fatal(err)
			}
			closed("another file", part8(fileBegin, 2))
			closed("no file", data)
			closed("silence")
			ch := r.opens(begin)
			synctest.Wait()
			closed("a second one", begin)
			r.file(2, kindCancel, note{ID: 1, Of: "hostile"})
			_ = ch.Close() // the pair knows no other way
			synctest.Wait()
			equal(t, "the reader hears", failures(a), []string{"the other side cancelled it"})
			closed("a cancelled one", begin)
			holds(t, dir, nil)
		})
	})

	t.Run("it cannot fill the memory with offers", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(hello{Conversation: "hostile", First: 1})
			for i := range uint64(3 * maxFiles) {
				r.file(i+1, kindOffer, offer{Name: "x"})
			}
			synctest.Wait()
			if n := len(only[FileOffered](a.seen())); n != maxFiles {
				t.Errorf("%d are shown", n)
			}
		})
	})
}

func TestHostileReceiver(t *testing.T) {
	const nonsense = "the receiver broke the protocol of transfers"
	for what, says := range map[string][][]byte{
		"has what was not sent":    {part8(fileHave, 1)},
		"has less than nothing":    {part8(fileHave, 1<<63)},
		"loses what it had":        {part8(fileHave, 0), part8(fileHave, 5), part8(fileHave, 4)},
		"says what makes no sense": {{fileData, 1}},
		"says half a number":       {{fileHave, 0}},
	} {
		t.Run("a receiver that "+what+" is sent nothing more", func(t *testing.T) {
			path := create(t, "data", noise(8))
			withRaw(t, func(t *testing.T, a *talker, r raw) {
				ch := accepted(t, a, r, path)
				b := make([]byte, 1+fileChunk)
				for i, m := range says {
					if i == 1 {
						for range 2 { // data, done
							if _, err := ch.Read(b); err != nil {
								t.Fatal(err)
							}
						}
					}
					if _, err := ch.Write(m); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				equal(t, "the reader hears", failures(a), []string{nonsense})
			})
		})
	}

	t.Run("a receiver that has received what was not sent is not believed", func(t *testing.T) {
		path := create(t, "data", noise(8))
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			accepted(t, a, r, path)
			r.file(2, kindReceived, note{ID: 1, Of: a.id})
			synctest.Wait()
			equal(t, "the reader hears", failures(a), []string{"the receiver confirmed what was not sent"})
			if a.Sent(1) {
				t.Error("it counts as sent")
			}
		})
	})

	t.Run("a receiver that closes every channel is given up", func(t *testing.T) {
		path := create(t, "data", noise(8))
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			ch := accepted(t, a, r, path)
			for range maxFutile - 1 {
				_ = ch.Close() // as it is
				var err error
				if ch, err = r.Accept(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			_ = ch.Close() // as it is
			synctest.Wait()
			equal(t, "the reader hears", failures(a), []string{"the other side keeps closing the channel of the file"})
		})
	})

	t.Run("memory does not grow with a receiver that falls behind", func(t *testing.T) {
		path := create(t, "data", noise(3*windowFirst))
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			ch := accepted(t, a, r, path)
			if _, err := ch.Write(part8(fileHave, 0)); err != nil {
				t.Fatal(err)
			}
			received := 0
			b := make([]byte, 1+fileChunk)
			go func() {
				for {
					n, err := ch.Read(b)
					if err != nil {
						return
					}
					received += n - 1
				}
			}()
			synctest.Wait()
			if received != windowFirst {
				t.Errorf("%d bytes came without an acknowledgement", received)
			}
		})
	})
}

// accepted plays a receiver until the sender has opened the channel and said which file it
// is for.
func accepted(t *testing.T, a *talker, r raw, path string) io.ReadWriteCloser {
	t.Helper()
	r.Expect(true)
	r.hello(hello{Conversation: "hostile", First: 1})
	id := offers(t, a, path)
	r.file(1, kindAccept, note{ID: id, Of: a.id})
	ch, err := r.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := ch.Read(b); err != nil || !bytes.Equal(b[:n], part8(fileBegin, id)) {
		t.Fatalf("it begins with %q (%v)", b[:n], err)
	}
	return ch
}

// withRawOf is withRaw with options.
func withRawOf(t *testing.T, options []option, f func(t *testing.T, a *talker, r raw)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		left, right := newPair(64)
		a := newTalker(append(options, named("Ann"))...).joins(left).run(t.Context(), nil)
		f(t, a, raw{right, t})
		a.Leave()
		right.hangUp()
		<-a.ended
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
