package chat

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

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

	t.Run("keeps its permissions, but for what would run as another user", func(t *testing.T) {
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

func TestNamesThatArrive(t *testing.T) {
	for name, test := range map[string]struct {
		is, called string // the same as the name if empty
	}{
		"10:30.log":         {},
		"1.M2.host:2,S":     {},
		"می\u200cخواهم.txt": {},
		"a\u00a0b":          {},
		"-rf":               {},
		".profile":          {"_profile", ".profile"},
		"a\x1b[31m\n":       {"a_[31m_", "a\x1b[31m\n"},
		`a\b`:               {"b", `a\b`},
	} {
		t.Run(name, func(t *testing.T) {
			dir, path := t.TempDir(), create(t, name, noise(5))
			meets(t, nil, []option{into(dir), accepts}, func(t *testing.T, a, b *talker) {
				offers(t, a, path)
				synctest.Wait()
				got, sent := only[FileReceived](b.seen()), only[FileSent](a.seen())
				if len(got) != 1 || len(sent) != 1 {
					t.Fatalf("%v, %v", failures(a), failures(b))
				}
				if got[0].Path != filepath.Join(dir, cmp.Or(test.is, name)) || got[0].Called != test.called || sent[0].As != test.is {
					t.Errorf("%+v, and the sender hears %+v", got[0], sent[0])
				}
			})
		})
	}

	t.Run("the next free one is told, too", func(t *testing.T) {
		dir, path := t.TempDir(), create(t, "a.txt", noise(5))
		meets(t, nil, []option{into(dir), accepts}, func(t *testing.T, a, b *talker) {
			for range 2 { // one after the other
				offers(t, a, path)
				synctest.Wait()
			}
			if got, sent := only[FileReceived](b.seen()), only[FileSent](a.seen()); len(got) != 2 || got[1].Called != "a.txt" || sent[0].As != "" || sent[1].As != "a (1).txt" {
				t.Errorf("%+v, and the sender hears %+v", got, sent)
			}
		})
	})

	t.Run("those in a folder are counted on both sides", func(t *testing.T) {
		dir, root := t.TempDir(), t.TempDir()
		for _, name := range []string{"a\nb", "c\u202ed", "10:30"} {
			if err := os.WriteFile(filepath.Join(root, name), noise(5), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		meets(t, nil, []option{into(dir), accepts}, func(t *testing.T, a, b *talker) {
			offers(t, a, root)
			synctest.Wait()
			if got, sent := only[FileReceived](b.seen()), only[FileSent](a.seen()); len(got) != 1 || got[0].Renamed != 2 || got[0].Example != `"a\nb" is now "a_b"` || len(sent) != 1 || sent[0].Renamed != 2 {
				t.Errorf("%+v, and the sender hears %+v", got, sent)
			}
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
