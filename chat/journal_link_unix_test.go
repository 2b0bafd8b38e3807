//go:build unix

package chat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A journal whose path is a symbolic link is the file that the link names: the link stays.
func TestJournalBehindALink(t *testing.T) {
	target, link := filepath.Join(t.TempDir(), "box"), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	isLink := func() bool {
		info, err := os.Lstat(link)
		return err == nil && info.Mode()&os.ModeSymlink != 0
	}
	a := newTalker(keeps(t, link)) // makes the target
	a.stopEvents()                 // there is no reader
	for i := range uint64(300) {   // so much that the file is written again
		say(t, a, strings.Repeat("x", 10_000))
		a.delivered(i)
	}
	info, err := os.Stat(target)
	if err != nil || info.Size() == 0 || info.Size() > 2_900_000 || !isLink() {
		t.Fatalf("the target: %v, %v; a link: %v", info, err, isLink())
	}
	if _, err := OpenJournal(target); err == nil {
		t.Error("it is in use by the link's name, and opens by the target's")
	}
	if err := a.config.Journal.End(true); err != nil {
		t.Fatal(err)
	}
	b := newTalker(keeps(t, link))
	if n := b.config.Journal.Waiting(); n != 1 {
		t.Errorf("%d messages wait", n)
	}
	if err := b.config.Journal.End(false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(target); !os.IsNotExist(err) || !isLink() {
		t.Errorf("after a goodbye the target: %v; a link: %v", err, isLink())
	}
	if err := newTalker(keeps(t, link)).config.Journal.End(false); err != nil {
		t.Error(err)
	}
}
