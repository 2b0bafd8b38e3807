package transfer

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
	"sync/atomic"
	"syscall"
	"time"

	"p2pchat/chat/disk"
)

// A download is an accepted file of the other side: it has a temporary name in the download
// folder until all of it has arrived. A folder is unpacked while it arrives.
type download struct {
	Offer
	dir       string // as the person knows it
	absolute  string // the same from the root of the file system
	root      *os.Root
	temp      string      // its name in root
	discarded atomic.Bool // what has arrived is to be removed

	mu       sync.Mutex // guards what follows
	closed   bool       // it was given up, or is in its place
	handle   *os.File   // has the name temp; locked, so that Sweep leaves it alone
	unhashed bool       // hash lacks what an earlier run has written
	hash     hash.Hash
	written  int64
	begun    int64 // bytes that an earlier run has written; 0 for a folder
	to       io.Writer
	tree     *tree      // nil for a file
	spoiled  []leftOut  // files that commit removes from a folder
	unpacked chan error // the result of the unpacking of a folder, once
}

// Reasons why a file cannot be received; both sides read them.
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

// createDownload prepares to receive o into dir, which is made if it does not exist. A resumable
// download survives the end of the program: see resumeDownload.
func createDownload(dir string, o Offer, resumable bool) (*download, error) {
	d, err := openDir(dir, o)
	if err != nil {
		return nil, err
	}
	for range 100 { // Sweep of another program may remove what is not locked yet
		d.temp = tempName(resumable)
		if err = d.createTemp(); err == nil && d.lockTemp() {
			return d, d.openStream()
		}
		d.handle.Close()
		if err != nil {
			break
		}
	}
	d.root.Close()
	return nil, cmp.Or(err, errGone)
}

func openDir(dir string, o Offer) (*download, error) {
	d := &download{Offer: o, dir: cmp.Or(dir, "."), hash: sha256.New()}
	absolute, err := filepath.Abs(d.dir)
	if err != nil {
		return nil, err
	}
	d.absolute = absolute
	if err := os.MkdirAll(absolute, 0o777); err != nil { //nolint:gosec // as the person's umask has it
		return nil, err
	}
	d.root, err = os.OpenRoot(absolute)
	return d, err
}

// createTemp makes the temporary file or folder.
func (d *download) createTemp() (err error) {
	if !d.Folder {
		d.handle, err = d.root.OpenFile(d.temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, filePerm(fs.FileMode(d.Mode)))
		return err
	}
	if err = d.root.Mkdir(d.temp, dirPerm(fs.FileMode(d.Mode))); err != nil {
		return err
	}
	if d.handle, err = d.root.Open(d.temp); err != nil {
		_ = d.root.Remove(d.temp) // without a handle it is of no use
	}
	return err
}

// lockTemp locks the temporary file or folder. It returns false if another program has locked or
// removed it. A system that cannot lock folders does not sweep them either.
func (d *download) lockTemp() bool {
	return !errors.Is(disk.Lock(d.handle), disk.ErrLocked) && isAt(d.handle, d.root, d.temp)
}

// isAt reports whether f is the file that has that name.
func isAt(f *os.File, root *os.Root, name string) bool {
	this, err := f.Stat()
	if err != nil {
		return false
	}
	that, err := root.Lstat(name)
	return err == nil && os.SameFile(this, that)
}

// openStream prepares to write the stream: to the file, or through the unpacking goroutine of a folder.
func (d *download) openStream() error {
	if !d.Folder {
		d.to = disk.Eager(d.handle)
		return nil
	}
	inside, err := d.root.OpenRoot(d.temp)
	if err != nil {
		d.remove()
		return err
	}
	r, w := io.Pipe()
	d.to, d.unpacked, d.tree = w, make(chan error, 1), &tree{root: inside, room: d.Size, renamed: map[string]string{}}
	go func() { // ends with the stream: see endStream
		err := d.tree.unpack(r, d.Files, d.Content)
		r.CloseWithError(err)
		d.unpacked <- err
	}()
	return nil
}

// The permissions of a stranger's files: never setuid, setgid or sticky; the umask removes
// what the person does not want to give. The owner can always read the file.
func filePerm(mode fs.FileMode) fs.FileMode { return mode&0o777 | 0o400 }
func dirPerm(mode fs.FileMode) fs.FileMode  { return mode&0o777 | 0o700 }

// write appends b to the stream, and returns the length of the stream.
func (d *download) write(b []byte) (int64, error) {
	d.mu.Lock()
	defer d.unlock()
	switch {
	case d.closed, d.discarded.Load():
		return d.written, errGone
	case int64(len(b)) > d.Size-d.written:
		return d.written, errTooMuch
	}
	if _, err := d.to.Write(b); err != nil {
		return d.written, err
	}
	d.hash.Write(b)
	d.written += int64(len(b))
	return d.written, nil
}

// check returns an error unless the whole stream has arrived, and has that SHA-256.
func (d *download) check(sum [sha256.Size]byte) error {
	d.mu.Lock()
	defer d.unlock()
	switch {
	case d.closed:
		return errGone
	case d.written != d.Size:
		return errTooEarly
	case [sha256.Size]byte(d.hash.Sum(nil)) != sum:
		return errDamaged
	}
	return nil
}

// leaveOut names the files that commit removes from a folder.
func (d *download) leaveOut(spoiled []leftOut) {
	d.mu.Lock()
	defer d.unlock()
	d.spoiled = spoiled
}

// commit syncs the file and gives it its name, or the next one that is free. It returns the path.
func (d *download) commit() (path string, err error) {
	d.mu.Lock()
	defer d.unlock()
	if d.closed {
		return "", errGone
	}
	if d.Folder {
		if err = d.endStream(io.EOF); err == nil {
			err = d.tree.finish(d.spoiled)
		}
		d.tree.root.Close()
	} else {
		err = d.handle.Sync()
	}
	if err == nil && hasDate(d.Modified) {
		_ = d.root.Chtimes(d.temp, time.Now(), d.Modified) // the file is worth having without its date
	}
	if err != nil {
		d.remove()
		return "", err
	}
	name, err := d.rename() // still locked
	if err != nil {
		d.remove()
		return "", err
	}
	syncFolder(d.root, ".")
	d.closed = true
	d.handle.Close() // it was synced: closing it cannot lose anything
	path = filepath.Join(d.dir, name)
	if strings.HasPrefix(path, "-") { // commands would take it for a flag
		path = "." + string(filepath.Separator) + path
	}
	return path, d.root.Close()
}

// changes returns how many names in a folder had to be changed, and one of them as an example.
func (d *download) changes() (n int, example string) {
	if d.tree == nil {
		return 0, ""
	}
	for was, is := range d.tree.renamed {
		if text := fmt.Sprintf("%q is now %q", was, is); example == "" || text < example {
			example = text
		}
	}
	return len(d.tree.renamed), example
}

// discard removes what has arrived, unless commit has given it its name. It does not wait for a disk that another
// goroutine writes to: that one removes it, see unlock.
func (d *download) discard() {
	d.discarded.Store(true)
	if d.mu.TryLock() {
		defer d.mu.Unlock()
		d.cleanUp()
	}
}

// unlock unlocks mu. What was discarded in the meantime is removed.
func (d *download) unlock() {
	d.mu.Unlock()
	if d.discarded.Load() && d.mu.TryLock() {
		defer d.mu.Unlock()
		d.cleanUp()
	}
}

// cleanUp, under mu, removes what has arrived.
func (d *download) cleanUp() {
	if !d.closed {
		_ = d.endStream(errGone) // it is given up
		d.closeTree()
		d.remove()
	}
}

// suspend leaves what has arrived to the next run of the program.
func (d *download) suspend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed = true
		_ = d.endStream(errGone) // a folder starts over in the next run
		d.closeTree()
		d.handle.Close()
		d.root.Close()
	}
}

func (d *download) closeTree() {
	if d.tree != nil {
		d.tree.root.Close()
	}
}

// endStream, under mu, ends the stream of a folder, and returns the error of its unpacking.
func (d *download) endStream(why error) error {
	w, ok := d.to.(*io.PipeWriter)
	if !ok {
		return nil
	}
	w.CloseWithError(why)
	return <-d.unpacked
}

// remove, under mu, removes the temporary file or folder.
func (d *download) remove() {
	d.closed = true
	d.handle.Close() // Windows removes no open file
	_ = d.root.RemoveAll(d.temp)
	d.root.Close()
}

// rename, under mu, gives the file the first of its names that is free, and returns that.
func (d *download) rename() (string, error) {
	base := d.Name
	for n := range 10_000 {
		name := numbered(base, n)
		err := d.claim(name)
		if errors.Is(err, syscall.EINVAL) && base != portable(base) { // the file system takes only Windows' names
			base = portable(base)
			name = base
			err = d.claim(name)
		}
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = d.root.Rename(d.temp, name)
		}
		if d.Folder && errors.Is(err, fs.ErrExist) { // another program was faster
			continue
		}
		if err != nil && !d.Folder {
			_ = d.root.Remove(name) // claim may have created it
		}
		return name, err
	}
	return "", fmt.Errorf("all names like %q are taken", d.Name)
}

// claim returns an error unless name is free. Renaming a file replaces what has the name, so claim
// creates an empty file of that name first; a folder cannot be replaced so.
func (d *download) claim(name string) error {
	if d.Folder {
		if err := d.root.Mkdir(name, 0o700); err != nil {
			return err
		}
		return d.root.Remove(name)
	}
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// syncFolder makes the names in a folder survive a crash of the machine, on systems that can sync folders.
func syncFolder(root *os.Root, name string) {
	if d, err := root.Open(name); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
