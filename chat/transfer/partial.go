package transfer

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
	"path/filepath"
	"regexp"
	"sync"

	"p2pchat/chat/disk"
)

// A partial file is called .p2pchat-RANDOM.part in the download folder, or .p2pchat-RANDOM.kept if
// the next run of the program can continue it. The program that writes it has locked it.
var partName = sync.OnceValue(func() *regexp.Regexp { // not compiled at each start
	return regexp.MustCompile(`^\.p2pchat-[A-Z2-7]{12}\.part$`)
})

var keptName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\.p2pchat-[A-Z2-7]{12}\.kept$`) })

func tempName(resumable bool) string {
	suffix := ".part"
	if resumable {
		suffix = ".kept"
	}
	return ".p2pchat-" + rand.Text()[:12] + suffix
}

// resumeDownload continues what an earlier run has written in dir under the name temp: a file from
// where it ended, a folder from its beginning. It returns errLost if something else has that name.
func resumeDownload(dir, temp string, o Offer) (_ *download, err error) {
	d := &download{Offer: o, dir: dir, absolute: dir, temp: temp, hash: sha256.New()}
	if d.root, err = os.OpenRoot(dir); err != nil {
		return nil, lost(err)
	}
	if err = d.reopen(); err == nil && !d.lockTemp() {
		err = errLost
	}
	if err != nil {
		if d.handle != nil {
			d.handle.Close()
		}
		d.root.Close()
		return nil, lost(err)
	}
	return d, d.openStream()
}

func lost(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errLost
	}
	return err
}

func (d *download) reopen() error {
	info, err := d.root.Lstat(d.temp)
	switch {
	case err != nil:
		return err
	case info.IsDir() != d.Folder, !d.Folder && (!info.Mode().IsRegular() || info.Size() > d.Size || disk.Links(info) > 1), !disk.IsOwn(info):
		return errLost // another program has put something else there
	case d.Folder:
		if err := d.root.RemoveAll(d.temp); err != nil {
			return err
		}
		return d.createTemp()
	}
	d.unhashed, d.begun = true, info.Size()
	d.handle, err = d.root.OpenFile(d.temp, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrPermission) { // it has the permissions of the sender's file, which may be read-only
		perm := info.Mode().Perm()
		if err = d.root.Chmod(d.temp, perm|0o600); err != nil {
			return err
		}
		if d.handle, err = d.root.OpenFile(d.temp, os.O_RDWR, 0); err == nil {
			err = d.handle.Chmod(perm)
		}
	}
	return err
}

// has returns how many bytes have arrived. It first reads, once, what an earlier run has written, for
// the hash; it returns errGone if the file is given up before that ends.
func (d *download) has(ctx context.Context) (int64, error) {
	b := make([]byte, fileChunk)
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if written, done, err := d.hashNext(b); done || err != nil {
			return written, err
		}
	}
}

// hashNext hashes the next len(b) bytes of an earlier run. It returns done if the hash lacks none.
func (d *download) hashNext(b []byte) (written int64, done bool, err error) {
	d.mu.Lock()
	defer d.unlock()
	switch {
	case d.closed, d.discarded.Load():
		return 0, false, errGone
	case !d.unhashed:
		return d.written, true, nil
	}
	n, err := d.handle.Read(b)
	d.hash.Write(b[:n])
	d.written += int64(n)
	if errors.Is(err, io.EOF) {
		d.unhashed = false
		err = nil
	}
	return 0, false, err
}

// Sweep removes from dir the partial files and folders of programs that were killed, and returns how
// many there were. It leaves alone what a running program writes, what a later run can continue, and
// what another user owns.
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
		if partName().MatchString(e.Name()) && sweep(root, e.Name()) == nil {
			removed++
		}
	}
	return removed
}

func sweep(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular() && !info.IsDir(), !disk.IsOwn(info):
		return errNotOurs
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := disk.Lock(f); err != nil {
		return err
	}
	if !isAt(f, root, name) {
		return errNotOurs
	}
	return root.RemoveAll(name)
}

var errNotOurs = errors.New("another program or user has put something else there")

// RemoveKept removes what an earlier run has kept of a file of the other side. It returns an error that names it if it is still there.
func (r Record) RemoveKept() error {
	if r.Outgoing || !keptName().MatchString(r.Temp) {
		return nil
	}
	root, err := os.OpenRoot(r.Dir)
	if err == nil {
		defer root.Close()
		err = sweep(root, r.Temp)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%s: %w", filepath.Join(r.Dir, r.Temp), disk.WithoutPath(err))
}

// CheckFolder returns an error unless files can be written to dir. If dir does not exist, it is made only when a file comes: the folder
// in which it would be made is checked instead. An empty dir is the working directory.
func CheckFolder(dir string) error {
	d, err := createDownload(existing(dir), Offer{}, false)
	if err != nil {
		return fmt.Errorf("files cannot be written to %s: %w", cmp.Or(dir, "the working directory"), disk.WithoutPath(err))
	}
	d.discard()
	return nil
}

// existing returns dir, or the closest folder above it that exists.
func existing(dir string) string {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return dir
	}
	for at := absolute; ; {
		above := filepath.Dir(at)
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) || above == at { // a drive may be missing
			return at
		}
		at = above
	}
}
