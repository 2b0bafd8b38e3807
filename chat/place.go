package chat

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// A landing is where an accepted file comes down: under a temporary name in the download
// folder, until it is whole. A folder is unpacked while it comes.
type landing struct {
	offer
	dir   string // as the person knows it,
	whole string // and from the root of the file system
	root  *os.Root
	temp  string // in root
	kept  bool   // the next run of the program goes on with it

	mu      sync.Mutex // guards what follows
	gone    bool       // it was given up, or is in its place
	hold    *os.File   // what has the name temp: locked, so that Sweep leaves it alone
	unread  bool       // what an earlier run has written is not in the hash
	hash    hash.Hash
	written int64
	to      io.Writer
	ended   chan error // how the unpacking of a folder ended, once
}

// Why a file cannot be received: the reasons that both sides are told.
var (
	errGone     = errors.New("it was given up")
	errTooMuch  = errors.New("more of it came than was offered")
	errTooEarly = errors.New("it ended too early")
	errDamaged  = errors.New("it arrived damaged: its SHA-256 is another one")
	errNoTar    = errors.New("it is not the folder that was offered")
	errLeadsOut = errors.New("a name in it leads out of the folder")
	errLost     = errors.New("what had arrived of it before its receiver was started anew is no longer there")
)

// land makes ready for a file in dir, which is made if it is not there. What is kept lasts if the
// program is killed, for resumeLanding.
func land(dir string, o offer, kept bool) (*landing, error) {
	l, err := openLanding(dir, o)
	if err != nil {
		return nil, err
	}
	l.kept = kept
	for range 100 { // somebody may sweep away what is not locked yet
		l.temp = temporary(kept)
		if err = l.create(); err == nil && l.isHeld() {
			return l, l.begin()
		}
		l.hold.Close()
		if err != nil {
			break
		}
	}
	l.root.Close()
	return nil, cmp.Or(err, errGone)
}

func openLanding(dir string, o offer) (*landing, error) {
	l := &landing{offer: o, dir: cmp.Or(dir, "."), hash: sha256.New()}
	whole, err := filepath.Abs(l.dir)
	if err != nil {
		return nil, err
	}
	l.whole = whole
	if err := os.MkdirAll(whole, 0o777); err != nil { //nolint:gosec // as the person's umask has it
		return nil, err
	}
	l.root, err = os.OpenRoot(whole)
	return l, err
}

// create makes the temporary file or folder.
func (l *landing) create() (err error) {
	if !l.Folder {
		l.hold, err = l.root.OpenFile(l.temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, filePerm(fs.FileMode(l.Mode)))
		return err
	}
	if err = l.root.Mkdir(l.temp, dirPerm(fs.FileMode(l.Mode))); err != nil {
		return err
	}
	if l.hold, err = l.root.Open(l.temp); err != nil {
		_ = l.root.Remove(l.temp) // it is of no use
	}
	return err
}

// isHeld locks the temporary file or folder. It is false for one that somebody else has, or has
// removed. Where a system can lock no folders, it sweeps none either.
func (l *landing) isHeld() bool {
	return !errors.Is(lock(l.hold), ErrJournalInUse) && isAt(l.hold, l.root, l.temp)
}

// isAt tells whether f is what has that name.
func isAt(f *os.File, root *os.Root, name string) bool {
	this, err := f.Stat()
	if err != nil {
		return false
	}
	that, err := root.Lstat(name)
	return err == nil && os.SameFile(this, that)
}

// begin makes ready for the stream.
func (l *landing) begin() error {
	if !l.Folder {
		l.to = l.hold
		return nil
	}
	inside, err := l.root.OpenRoot(l.temp)
	if err != nil {
		l.remove()
		return err
	}
	r, w := io.Pipe()
	l.to, l.ended = w, make(chan error, 1)
	go func() {
		err := unpack(r, inside, l.offer)
		inside.Close()
		r.CloseWithError(err)
		l.ended <- err
	}()
	return nil
}

// The permissions of what a stranger sent: neither setuid nor the like; the umask takes
// away what the person does not want to give. The owner can always read it.
func filePerm(mode fs.FileMode) fs.FileMode { return mode&0o777 | 0o400 }
func dirPerm(mode fs.FileMode) fs.FileMode  { return mode&0o777 | 0o700 }

// write takes the next bytes of the stream, and returns how many there are now.
func (l *landing) write(b []byte) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.gone:
		return l.written, errGone
	case int64(len(b)) > l.Size-l.written:
		return l.written, errTooMuch
	}
	if _, err := l.to.Write(b); err != nil {
		return l.written, err
	}
	l.hash.Write(b)
	l.written += int64(len(b))
	return l.written, nil
}

// check says whether all of it is there, and as it was sent.
func (l *landing) check(sum [sha256.Size]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.gone:
		return errGone
	case l.written != l.Size:
		return errTooEarly
	case [sha256.Size]byte(l.hash.Sum(nil)) != sum:
		return errDamaged
	}
	return nil
}

// settle puts it into its place, where nothing is yet, and returns that.
func (l *landing) settle() (path string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return "", errGone
	}
	if l.Folder {
		err = l.unpacked(io.EOF)
	} else {
		err = l.hold.Sync()
	}
	if err != nil {
		l.remove()
		return "", err
	}
	name, err := l.rename() // which stays locked meanwhile
	if err != nil {
		l.remove()
		return "", err
	}
	syncFolder(l.root, ".")
	l.gone = true
	l.hold.Close() // it was synced: nothing can fail
	return filepath.Join(l.dir, name), l.root.Close()
}

// discard removes what there is of it, if it is not in its place.
func (l *landing) discard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.gone {
		_ = l.unpacked(errGone) // it is given up
		l.remove()
	}
}

// suspend leaves what there is of it to the next run of the program.
func (l *landing) suspend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.gone {
		l.gone = true
		_ = l.unpacked(errGone) // it begins anew then
		l.hold.Close()
		l.root.Close()
	}
}

// unpacked ends, under mu, the stream of a folder.
func (l *landing) unpacked(why error) error {
	w, ok := l.to.(*io.PipeWriter)
	if !ok {
		return nil
	}
	w.CloseWithError(why)
	return <-l.ended
}

// remove takes away the temporary file or folder, under mu.
func (l *landing) remove() {
	l.gone = true
	l.hold.Close() // Windows may remove nothing that is open
	_ = l.root.RemoveAll(l.temp)
	l.root.Close()
}

// rename gives it the first name that is free, under mu.
func (l *landing) rename() (string, error) {
	for n := range 10_000 {
		name := numbered(l.Name, n)
		err := l.claim(name)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = l.root.Rename(l.temp, name)
		}
		if l.Folder && errors.Is(err, fs.ErrExist) { // somebody was quicker
			continue
		}
		if err != nil && !l.Folder {
			_ = l.root.Remove(name) // it was taken for this file alone, if it was
		}
		return name, err
	}
	return "", fmt.Errorf("there are too many files of the name %s", l.Name)
}

// claim makes sure that name is free. A file would replace what has that name, so it takes
// the name first; a folder cannot.
func (l *landing) claim(name string) error {
	if l.Folder {
		if err := l.root.Mkdir(name, 0o700); err != nil {
			return err
		}
		return l.root.Remove(name)
	}
	f, err := l.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// syncFolder makes names in a folder last, where a folder can be synced.
func syncFolder(root *os.Root, name string) {
	if d, err := root.Open(name); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}

// unpack makes files and folders of a tar stream, and nothing else. All of the stream is
// read.
func unpack(r io.Reader, root *os.Root, o offer) error {
	t := tar.NewReader(r)
	files, room := 0, o.Size
	for parts := 0; ; parts++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			_, err := io.Copy(io.Discard, r)
			if err == nil && files != o.Files {
				err = errNoTar
			}
			return err
		case errors.Is(err, tar.ErrHeader):
			return errNoTar
		case err != nil:
			return err
		case parts == maxParts:
			return errNoTar
		}
		name, err := properPath(h.Name)
		if err != nil {
			return err
		}
		switch {
		case isSparse(h): // it holds more than was sent for it
			return errNoTar
		case h.Size < 0, h.Size > room-tarBlock:
			return errTooMuch
		case h.Typeflag == tar.TypeDir:
			err = root.MkdirAll(name, dirPerm(fs.FileMode(h.Mode)&0o777)) //nolint:gosec // nine bits of it
		case h.Typeflag == tar.TypeReg:
			files++
			err = unpackFile(t, root, name, fs.FileMode(h.Mode)&0o777) //nolint:gosec // nine bits of it
		default:
			return errNoTar
		}
		if err != nil {
			return err
		}
		room -= tarBlock + h.Size
	}
}

// isSparse tells whether a file has holes, which this program sends of none.
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false // the older kind has a type of its own
}

func unpackFile(from io.Reader, root *os.Root, name string, mode fs.FileMode) error {
	if parent := filepath.Dir(name); parent != "." {
		if err := root.MkdirAll(parent, 0o777); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm(mode))
	for n := 1; errors.Is(err, fs.ErrExist) && n < 1000; n++ { // two names can be one here
		other := filepath.Join(filepath.Dir(name), numbered(filepath.Base(name), n))
		f, err = root.OpenFile(other, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm(mode))
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
