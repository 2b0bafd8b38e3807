// Package contacts keeps the people whom a person calls without a code: one file for each, which only the user can read.
package contacts

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"p2pchat/chat/disk"
	"p2pchat/peer/contact"
	"p2pchat/signaling"
)

// Errors of a Book.
var (
	ErrNone   = errors.New("there is no such contact")
	ErrUnread = errors.New("no contact that can be read has that name")
	ErrTaken  = errors.New("there is another contact with that name")
	ErrName   = errors.New("a contact's name has up to 32 letters, digits, - and _")
	ErrInUse  = errors.New("another program is in a call with this contact, calls it, or reads its letters")
	errNewer  = errors.New("a later version of p2pchat wrote it: update this one")
	errFile   = errors.New("it is not the file of a contact, or it is damaged: remove it, and keep each other again in a call with a code")
)

// What listen does when a contact calls.
const (
	RingAsk    = "ask" // or empty
	RingAccept = "accept"
	RingRefuse = "refuse"
)

// extension is that of a contact's file.
const extension = ".contact"

// maxFile bounds the bytes of a file that are read.
const maxFile = 256 << 10

// format is that of the files. A version that does not know a later one must not write it: it would drop what it does not know.
const format = 1

// A Contact is a person who was kept.
type Contact struct {
	Format int          `json:"format"`           // see format; 0 in the first files
	ID     string       `json:"id"`               // of the file: random, so that names do not have to be fit for file systems
	Name   string       `json:"name"`             // by which this person calls the other
	Peer   string       `json:"peer,omitempty"`   // the name that the other gives itself
	Server string       `json:"server"`           // where the two meet
	Kept   time.Time    `json:"kept"`             // when the two kept each other
	Seen   time.Time    `json:"seen"`             // when their last call began
	Ring   string       `json:"ring,omitempty"`   // what listen does when the contact calls: ask if empty, accept or refuse
	Folder string       `json:"folder,omitempty"` // where listen puts the contact's files, which it accepts; empty: it does not
	Keys   contact.Keys `json:"keys"`
	Mail   Mail         `json:"mail,omitzero"`
}

// Mail is how far the letters between the two are. What was read of them is in the boxes of Keys.
type Mail struct {
	Generation   string                       `json:"generation,omitempty"`   // the newest one when this was written: a call makes the rest void
	Conversation string                       `json:"conversation,omitempty"` // of this side, in which Through counts
	Through      uint64                       `json:"through,omitempty"`      // the last message that is in a letter
	Until        time.Time                    `json:"until,omitzero"`         // when the server deletes the oldest of the letters that were not read
	Owed         bool                         `json:"owed,omitempty"`         // messages of letters were read, and no letter says so yet
	Pending      map[string][]signaling.Block `json:"pending,omitempty"`      // letters that are sealed and perhaps not at the server, by the ID of their generation
}

// A Book is a folder of contacts. Several programs may use it at once.
type Book struct {
	dir     string
	replace func(file *os.File, path string, content []byte) (*os.File, error) // disk.Replace, but for tests
}

// Open returns the Book in dir, which is made when the first contact is added.
func Open(dir string) *Book { return &Book{dir, disk.Replace} }

// List returns the contacts by name, and an error that names each file that cannot be read.
func (b *Book) List() ([]Contact, error) {
	entries, err := os.ReadDir(b.dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) { // HOME may be /dev/null
		return nil, nil
	}
	var list []Contact
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), extension) {
			continue
		}
		path := filepath.Join(b.dir, e.Name())
		c, bad := read(path)
		switch {
		case bad == nil:
			list = append(list, c)
		case !errors.Is(bad, fs.ErrNotExist): // forgotten since
			err = errors.Join(err, fmt.Errorf("%s: %w", path, disk.WithoutPath(bad)))
		}
	}
	slices.SortFunc(list, func(x, y Contact) int {
		return cmp.Or(cmp.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name)), cmp.Compare(x.ID, y.ID))
	})
	return list, err
}

// Version returns a text that is another one when a contact was added, changed or removed.
func (b *Book) Version() string {
	h := sha256.New()
	entries, _ := os.ReadDir(b.dir) // a folder that cannot be read has no contacts
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), extension) {
			fmt.Fprintln(h, e.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func read(path string) (Contact, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // to open a pipe would wait for its writer
		return Contact{}, errFile
	}
	f, err := disk.Open(path, os.O_RDONLY, 0)
	if err != nil {
		return Contact{}, err
	}
	defer f.Close()
	return decode(f)
}

func decode(f *os.File) (c Contact, err error) {
	info, err := f.Stat()
	if err != nil {
		return c, err
	}
	if !info.Mode().IsRegular() {
		return c, errFile
	}
	if !disk.IsOwn(info) || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		return c, errors.New("others can read or write it: chmod 600")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, errFile
	}
	if c.Format > format {
		return c, errNewer
	}
	if c.check() != nil || c.ID != strings.TrimSuffix(filepath.Base(f.Name()), extension) {
		return c, errFile
	}
	return c, nil
}

// check returns an error unless this program can have written c.
func (c Contact) check() error {
	if at, err := url.Parse(c.Server); err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return errFile
	}
	if !slices.Contains([]string{"", RingAsk, RingAccept, RingRefuse}, c.Ring) {
		return errFile
	}
	return cmp.Or(CheckName(c.Name), c.Keys.Check())
}

// Find returns the contact of that name: letter case makes no difference. It returns ErrNone if there is none, and ErrUnread if a file
// that cannot be read may be that of the contact.
func (b *Book) Find(name string) (Contact, error) {
	list, err := b.List()
	for _, c := range list {
		if Same(c.Name, name) {
			return c, nil
		}
	}
	if err != nil {
		return Contact{}, fmt.Errorf("%w: %w", ErrUnread, err)
	}
	return Contact{}, ErrNone
}

// Add writes the file of a new contact, and returns once it is on disk. Its ID is made, and its Name may get a number, as no two
// contacts have the same.
func (b *Book) Add(c Contact) (Contact, error) {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return c, err
	}
	unlock, err := b.lockNames()
	if err != nil {
		return c, err
	}
	defer unlock()
	disk.Sweep(b.dir + string(os.PathSeparator)) // of programs that were killed in create
	name := c.Name
	for n := 2; b.isTaken(c); n++ {
		suffix := fmt.Sprint("-", n)
		c.Name = string([]rune(name)[:min(len([]rune(name)), maxName-len(suffix))]) + suffix
	}
	if err := c.check(); err != nil {
		return c, err
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	c.ID, c.Format = hex.EncodeToString(id), format
	text, err := json.MarshalIndent(c, "", "\t")
	if err != nil {
		return c, err
	}
	if err := b.create(c.ID+extension, text); err != nil {
		return c, fmt.Errorf("%s: %w", b.dir, disk.WithoutPath(err))
	}
	return c, nil
}

// create writes a new file, wholly or not at all.
func (b *Book) create(name string, text []byte) error {
	f, err := os.CreateTemp(b.dir, ".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is gone if all went well
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(b.dir, name)); err != nil {
		return err
	}
	return disk.SyncFolder(b.dir)
}

// isTaken reports whether another contact has the name of c.
func (b *Book) isTaken(c Contact) bool {
	list, _ := b.List() // a file that cannot be read has no name
	return slices.ContainsFunc(list, func(o Contact) bool { return o.ID != c.ID && Same(o.Name, c.Name) })
}

// lockNames keeps other programs from giving names until unlock.
func (b *Book) lockNames() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(b.dir, ".names"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for range 100 { // another program needs a few milliseconds
		if err = disk.Lock(f); !errors.Is(err, disk.ErrLocked) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// A Held is a contact that no other program can call or change until Release.
type Held struct {
	Contact
	book *Book
	file *os.File // locked
}

// HoldPatience is how long Hold waits: a program that reads letters holds their contact for a moment.
const HoldPatience = 5 * time.Second

// Hold is TryHold, but if another program has the contact, it waits some seconds, or until ctx ends, before it returns ErrInUse.
func (b *Book) Hold(ctx context.Context, id string) (*Held, error) {
	ctx, cancel := context.WithTimeout(ctx, HoldPatience)
	defer cancel()
	for {
		held, err := b.TryHold(id)
		if !errors.Is(err, ErrInUse) {
			return held, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// TryHold locks the contact with that ID. It returns ErrInUse if another program has it, and ErrNone if it was forgotten.
func (b *Book) TryHold(id string) (*Held, error) {
	path := filepath.Join(b.dir, id+extension)
	for {
		f, err := disk.Open(path, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNone
		}
		if err != nil {
			return nil, err
		}
		if err := disk.Lock(f); err != nil {
			f.Close()
			if errors.Is(err, disk.ErrLocked) {
				return nil, ErrInUse
			}
			return nil, err
		}
		opened, err := f.Stat()
		if now, gone := os.Stat(path); err != nil || gone != nil || !os.SameFile(opened, now) { // it was replaced before the lock
			f.Close()
			continue
		}
		disk.Sweep(path) // what it removes has keys in it
		c, err := decode(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: %w", path, disk.WithoutPath(err))
		}
		return &Held{c, b, f}, nil
	}
}

// Update changes the contact, and returns once that is on disk. If it fails, the contact is what its file has: a crash of the machine
// may still undo a change that could not be synced.
func (h *Held) Update(change func(*Contact)) error {
	c := h.Contact
	change(&c)
	text, err := json.MarshalIndent(c, "", "\t")
	if err != nil {
		return err
	}
	was, path := h.file, filepath.Join(h.book.dir, c.ID+extension)
	h.file, err = h.book.replace(was, path, text)
	if h.file != was {
		h.Contact = c
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, disk.WithoutPath(err))
	}
	return nil
}

// Release lets other programs use the contact.
func (h *Held) Release() { h.file.Close() }

// Rename gives a contact another name. It returns ErrName or ErrTaken if it cannot have that.
func (b *Book) Rename(h *Held, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	unlock, err := b.lockNames()
	if err != nil {
		return err
	}
	defer unlock()
	if b.isTaken(Contact{ID: h.ID, Name: name}) {
		return ErrTaken
	}
	return h.Update(func(c *Contact) { c.Name = name })
}

// Forget removes the contact and releases it.
func (h *Held) Forget() error {
	path := filepath.Join(h.book.dir, h.ID+extension)
	if os.PathSeparator != '/' { // Windows removes no open file
		h.file.Close()
	}
	err := os.Remove(path)
	h.file.Close()
	if err != nil {
		return err
	}
	return disk.SyncFolder(h.book.dir)
}
