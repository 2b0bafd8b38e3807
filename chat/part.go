package chat

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
)

// What has not all arrived is called .p2pchat-RANDOM.part in the download folder, or .kept if the
// next run of the program goes on with it, as a Journal has it. Each is locked while a program
// writes it.
var partName = regexp.MustCompile(`^\.p2pchat-[A-Z2-7]{12}\.part$`)

func temporary(kept bool) string {
	suffix := ".part"
	if kept {
		suffix = ".kept"
	}
	return ".p2pchat-" + rand.Text()[:12] + suffix
}

// resumeLanding goes on with what an earlier run has written in dir under the name temp: with the
// file from where it is, with a folder from its beginning.
func resumeLanding(dir, temp string, o offer) (_ *landing, err error) {
	l := &landing{offer: o, dir: dir, whole: dir, temp: temp, kept: true, hash: sha256.New()}
	if l.root, err = os.OpenRoot(dir); err != nil {
		return nil, lost(err)
	}
	if err = l.reopen(); err == nil && !l.isHeld() {
		err = errLost
	}
	if err != nil {
		if l.hold != nil {
			l.hold.Close()
		}
		l.root.Close()
		return nil, lost(err)
	}
	return l, l.begin()
}

func lost(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errLost
	}
	return err
}

func (l *landing) reopen() error {
	info, err := l.root.Lstat(l.temp)
	switch {
	case err != nil:
		return err
	case info.IsDir() != l.Folder, !l.Folder && (!info.Mode().IsRegular() || info.Size() > l.Size || links(info) > 1), !isOwn(info):
		return errLost // somebody has put another thing there
	case l.Folder:
		if err := l.root.RemoveAll(l.temp); err != nil {
			return err
		}
		return l.create()
	}
	l.unread = true
	l.hold, err = l.root.OpenFile(l.temp, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrPermission) { // the sender's cannot be written
		perm := info.Mode().Perm()
		if err = l.root.Chmod(l.temp, perm|0o600); err != nil {
			return err
		}
		if l.hold, err = l.root.OpenFile(l.temp, os.O_RDWR, 0); err == nil {
			err = l.hold.Chmod(perm)
		}
	}
	return err
}

// has is how much of it there is. What an earlier run has written is read once, for the hash.
func (l *landing) has(ctx context.Context) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := make([]byte, fileChunk)
	for l.unread && !l.gone {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := l.hold.Read(b)
		l.hash.Write(b[:n])
		l.written += int64(n)
		switch {
		case errors.Is(err, io.EOF):
			l.unread = false
		case err != nil:
			return 0, err
		}
	}
	if l.gone {
		return 0, errGone
	}
	return l.written, nil
}

// Sweep removes from dir what killed programs had not received all of, and says how many files and
// folders that were. It leaves alone what a living program writes, what a Journal goes on with, what is
// another user's, and whatever is called otherwise.
func Sweep(dir string) (removed int) {
	root, err := os.OpenRoot(cmp.Or(dir, "."))
	if err != nil {
		return 0
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if partName.MatchString(e.Name()) && sweep(root, e.Name()) {
			removed++
		}
	}
	return removed
}

func sweep(root *os.Root, name string) bool {
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() && !info.IsDir() || !isOwn(info) {
		return false
	}
	f, err := root.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	return lock(f) == nil && isAt(f, root, name) && root.RemoveAll(name) == nil
}

// CheckFolder tells whether files can be written to dir, which is made if it is not there; the working
// directory if empty.
func CheckFolder(dir string) error {
	l, err := land(dir, offer{}, false)
	if err != nil {
		return fmt.Errorf("files cannot be written to %s: %w", cmp.Or(dir, "the working directory"), plain(err))
	}
	l.discard()
	return nil
}
