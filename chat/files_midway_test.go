package chat

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

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
	midway(t, "it shrinks", change(func(path string) error { return os.Truncate(path, 1<<20) }), "it became shorter after it was offered; send it again")
	midway(t, "it grows", change(func(path string) error { return os.Truncate(path, 11<<20) }), "it became longer after it was offered; send it again")
	midway(t, "it changes", change(func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) }), "it was changed after it was offered; send it again")

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

	t.Run("the sender leaves", func(t *testing.T) {
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
				var rejoin func(after int)
				rejoin = func(after int) {
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
								rejoin(after + 1)
							}
						}
					}
					if after > 2+cuts {
						left.tap = nil
					}
					a.joins(left)
					b.joins(right)
				}
				rejoin(3)
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

	t.Run("a restarted program has none of the earlier one's files", func(t *testing.T) {
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
			const restarted = "the other side's program was restarted"
			equal(t, "it hears", failures(a), []string{restarted, restarted})
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
