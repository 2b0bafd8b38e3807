package chat

import (
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
	"syscall"
	"time"
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
	tree    *tree      // of a folder,
	spoiled []leftOut  // and what is to be left out of it
	ended   chan error // how the unpacking of a folder ended, once
}

// Why a file cannot be received: the reasons that both sides are told.
var (
	errGone     = errors.New("it was cancelled")
	errTooMuch  = errors.New("the sender sent more than it offered")
	errTooEarly = errors.New("the sender sent less than it offered")
	errDamaged  = errors.New("it arrived damaged: its SHA-256 does not match")
	errNoTar    = errors.New("it is not the folder that was offered")
	errLeadsOut = errors.New("a name in it leads out of the folder")
	errTooDeep  = fmt.Errorf("folders may be %d deep, with paths of %d bytes", maxDepth, maxPath)
	errLost     = errors.New("what had arrived of it is no longer there")
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
	l.to, l.ended, l.tree = w, make(chan error, 1), &tree{root: inside, room: l.Size, renamed: map[string]string{}}
	go func() {
		err := l.tree.unpack(r, l.Files)
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

// leaveOut says what settle is to remove from a folder.
func (l *landing) leaveOut(spoiled []leftOut) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spoiled = spoiled
}

// settle puts it into its place, where nothing is yet, and returns that.
func (l *landing) settle() (path string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return "", errGone
	}
	if l.Folder {
		if err = l.unpacked(io.EOF); err == nil {
			err = l.tree.finish(l.spoiled)
		}
		l.tree.root.Close()
	} else {
		err = l.hold.Sync()
	}
	if err == nil && hasDate(l.Modified) {
		_ = l.root.Chtimes(l.temp, time.Now(), l.Modified) // it is no reason to do without the file
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
	path = filepath.Join(l.dir, name)
	if strings.HasPrefix(path, "-") { // it would be a flag
		path = "." + string(filepath.Separator) + path
	}
	return path, l.root.Close()
}

// changes says how many names in a folder had to be changed, and of one how.
func (l *landing) changes() (n int, example string) {
	if l.tree == nil {
		return 0, ""
	}
	for was, is := range l.tree.renamed {
		if text := fmt.Sprintf("%q is now %q", was, is); example == "" || text < example {
			example = text
		}
	}
	return len(l.tree.renamed), example
}

// discard removes what there is of it, if it is not in its place.
func (l *landing) discard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.gone {
		_ = l.unpacked(errGone) // it is given up
		l.closeTree()
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
		l.closeTree()
		l.hold.Close()
		l.root.Close()
	}
}

func (l *landing) closeTree() {
	if l.tree != nil {
		l.tree.root.Close()
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
	base := l.Name
	for n := range 10_000 {
		name := numbered(base, n)
		err := l.claim(name)
		if errors.Is(err, syscall.EINVAL) && base != portable(base) { // a file system for Windows
			base = portable(base)
			name = base
			err = l.claim(name)
		}
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
	return "", fmt.Errorf("all names like %q are taken", l.Name)
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
