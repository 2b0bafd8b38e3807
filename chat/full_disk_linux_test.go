package chat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

// tiny is a file system that is small; filled, nothing more fits in, until freed.
func tiny(t *testing.T) (dir string, fill, free func()) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("no file system can be mounted: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(dir, "filler")
	fill = func() {
		f, err := os.Create(filler) //nolint:gosec // the test's own
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		if !errors.Is(err, syscall.ENOSPC) || f.Close() != nil {
			t.Fatal(err)
		}
	}
	free = func() {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}
	return dir, fill, free
}

// An outbox on a disk that is full: what is said is refused, and what cannot be noted is told once;
// with room again all goes on, and the outbox has what was taken.
func TestOutboxOnAFullDisk(t *testing.T) {
	dir, fill, free := tiny(t)
	box := filepath.Join(dir, "box")
	taken, journal := []string{}, (*Journal)(nil)
	meets(t, []option{keeps(t, box), into(t.TempDir())}, nil, func(t *testing.T, a, b *talker) {
		synctest.Wait()
		fill()
		var err error
		for i := range 100 { // the last page of the file has room
			text := fmt.Sprint(i, " ", strings.Repeat("x", 200))
			if _, err = a.Say(t.Context(), text); err != nil {
				break
			}
			taken = append(taken, text)
		}
		if !errors.Is(err, ErrUnkept) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), box) {
			t.Errorf("what is said on a full disk is answered %v", err)
		}
		for i := range 3 {
			say(t, b, fmt.Sprint("heard ", i))
			synctest.Wait()
		}
		if got := notices(a); len(got) != 1 || !strings.Contains(got[0], "The outbox cannot be written: "+box+": no space left on device. Make room there") {
			t.Errorf("the reader is told %q", got)
		}
		path := create(t, "data", noise(5))
		if _, err := a.SendFiles(t.Context(), path); !errors.Is(err, ErrUnkept) {
			t.Errorf("an offer on a full disk is answered %v", err)
		}
		id := offers(t, b, path)
		synctest.Wait()
		if err := a.Accept(id); !errors.Is(err, ErrUnkept) {
			t.Errorf("accepting on a full disk is answered %v", err)
		}
		free()
		if err := a.Accept(id); err != nil {
			t.Errorf("accepting with room again is answered %v", err)
		}
		say(t, a, "with room")
		taken = append(taken, "with room")
		say(t, b, "heard, too")
		synctest.Wait()
		if got := notices(a); len(got) != 2 || got[1] != "The outbox "+box+" is up to date again." {
			t.Errorf("then the reader is told %q", got)
		}
		equal(t, "the other side hears", texts(b.seen()), taken)
		journal = a.config.Journal
	})
	if err := journal.End(false); err != nil {
		t.Error(err)
	}
}

// What was taken before the disk was full is there for the next program.
func TestRestartAfterAFullDisk(t *testing.T) {
	dir, fill, free := tiny(t)
	box := filepath.Join(dir, "box")
	c, n := newTalker(keeps(t, box)), 0
	fill()
	for {
		if _, err := c.Say(t.Context(), strings.Repeat("x", 300)); err != nil {
			break
		}
		n++
	}
	if _, err := c.Say(t.Context(), "refused"); !errors.Is(err, ErrUnkept) {
		t.Fatal(err)
	}
	if err := c.config.Journal.End(true); err != nil {
		t.Fatal(err)
	}
	free()
	j, err := OpenJournal(box)
	if err != nil {
		t.Fatal(err)
	}
	if got := j.Waiting(); got != n || n == 0 {
		t.Errorf("%d messages are kept, and %d were taken", got, n)
	}
	if err := j.End(false); err != nil {
		t.Error(err)
	}
}

func notices(c *talker) (list []string) {
	for _, n := range only[Notice](c.seen()) {
		list = append(list, n.Text)
	}
	return list
}
