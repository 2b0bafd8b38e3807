package chat

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"
	"time"
)

// What answers about a file can be, beside ErrOver.
var (
	// ErrNoFiles: the other side is a plain WebRTC program.
	ErrNoFiles = errors.New("the other side is another WebRTC program, which takes no files")
	// ErrNoFile: no file of that ID waits for this.
	ErrNoFile = errors.New("there is no such file")
	// ErrTooManyFiles: so many wait to be offered.
	ErrTooManyFiles = fmt.Errorf("more than %d files are waiting: send a folder, or wait", maxQueued)
)

const (
	maxFiles  = 256    // of the other side, offered or on their way
	maxOffers = 64     // of this side; the page takes no more
	maxQueued = 10_000 // of this side, that wait to be offered
)

// files are those of both sides that have not ended yet, by their IDs. All is guarded by
// the conversation's mu.
type files struct {
	out, in map[uint64]*file
	queue   []queued        // of this side, not offered yet
	sent    map[uint64]bool // what the other side has
	offered bool            // the first of the other side has ended
	missed  int             // should have got through, and have not
	loading int             // are being looked at before they are offered
	goOn    bool            // the next run of the program goes on with them
	cutOff  bool            // the conversation has ended, and this side did not want that

	suspended []keptFile // for that run

	// of the pipe of the moment:
	foreign bool
	expect  func(bool) // the pipe's Expect; nil without one
	greeted bool       // the other side is known
	moving  int        // files of this side with a channel
}

func (f *files) pending() bool { return len(f.out)+len(f.in)+len(f.queue)+f.loading > 0 }

// queued is what has to wait before it is offered.
type queued struct {
	source *source
	must   bool
}

// A file is one that either side has offered, until it has arrived or was given up.
type file struct {
	offer
	id       uint64
	outgoing bool
	source   *source // if outgoing
	must     bool    // Run has failed if the other side does not get it

	// guarded by the conversation's mu:
	landing  *landing  // if not outgoing: once it is accepted
	kept     *keptFile // an earlier run's, until this one has taken it up
	accepted bool
	decided  bool               // how it ends
	busy     bool               // it has a channel
	stop     context.CancelFunc // ends the work on that; may be nil
	bytes    int64              // that the receiver has
	told     time.Time          // of the last progress
	sum      *[sha256.Size]byte // of all of it, once all was sent
	futile   int                // channels in a row on which nothing moved
	lowered  int                // times that the receiver had less than before
	hashed   int64              // bytes that were read of the source, and are in its hash
	unread   bool               // an earlier run has sent some of it, that are not
	hash     hash.Hash
	window   window // of what is on its way

	telling sync.Mutex // no progress is told once the end was
}

// SendFiles offers the other side the files and folders at these paths, in this order, now or as
// soon as there is one, and returns the IDs that their events will name, of those that need not wait
// for others. If one cannot be sent, none is offered. The error is ErrNoFiles, ErrOver,
// ErrTooManyFiles, the context's, or says of which path why it cannot be sent.
func (c *Conversation) SendFiles(ctx context.Context, paths ...string) (ids []uint64, err error) {
	return c.sendFiles(ctx, false, paths)
}

// MustSend is SendFiles, and Run's error wraps Incomplete unless the other side gets them all.
func (c *Conversation) MustSend(ctx context.Context, paths ...string) error {
	_, err := c.sendFiles(ctx, true, paths)
	return err
}

func (c *Conversation) sendFiles(ctx context.Context, must bool, paths []string) (ids []uint64, err error) {
	c.mu.Lock()
	switch {
	case c.files.foreign:
		err = ErrNoFiles
	case len(c.files.queue)+c.files.loading+len(paths) > maxQueued:
		err = ErrTooManyFiles
	default:
		c.files.loading += len(paths) // nobody leaves meanwhile
	}
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.files.loading -= len(paths)
		c.poke()
	}()
	sources, err := newSources(paths)
	if err != nil {
		return nil, err
	}
	for i, s := range sources {
		id, err := c.offerOrResume(ctx, s, must)
		switch {
		case err != nil:
			closeAll(sources[i:])
			return ids, err
		case id != 0:
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// offerOrResume does not offer again what the program goes on with: it may have been started anew
// by the same command. The id is 0 for what has to wait.
func (c *Conversation) offerOrResume(ctx context.Context, s *source, must bool) (id uint64, err error) {
	for _, f := range c.list(func(f *file) bool { return f.outgoing && f.kept != nil && f.kept.Path == s.path }) {
		if c.resumeSending(f, s) {
			c.mu.Lock()
			defer c.mu.Unlock()
			f.must = must
			return f.id, nil
		}
	}
	c.mu.Lock()
	wait := len(c.files.out) >= maxOffers || len(c.files.queue) > 0
	if wait && !c.leaving {
		c.files.queue = append(c.files.queue, queued{s, must})
	}
	c.mu.Unlock()
	if wait {
		c.offerQueued() // room may have come since
		return 0, nil
	}
	return c.offer(queued{s, must}, func(text string, also func(uint64)) (uint64, error) {
		return c.put(ctx, kindOffer, text, also)
	})
}

// offer tells both sides of a file, with put. Its error is that of put.
func (c *Conversation) offer(q queued, put func(text string, also func(id uint64)) (uint64, error)) (id uint64, err error) {
	text, err := json.Marshal(q.source.offer)
	if err != nil {
		return 0, err
	}
	f := &file{offer: q.source.offer, outgoing: true, must: q.must, source: q.source, hash: sha256.New()}
	f.telling.Lock() // first of all the offer
	defer f.telling.Unlock()
	id, err = put(string(text), func(id uint64) {
		f.id = id
		c.files.out[id] = f
		c.noteFile(f)
	})
	if err == nil {
		c.offering(f)
	}
	return id, err
}

// offerQueued offers what has waited, as far as there is room.
func (c *Conversation) offerQueued() {
	for {
		var q queued
		_, err := c.offerFrom(&q)
		switch {
		case q.source == nil:
			return
		case err != nil: // it cannot be kept: those that follow could not either
			q.source.close()
			c.Tell(Notice{Text: fmt.Sprintf("%q was not offered: %v.", q.source.Name, err)})
		}
	}
}

// offerFrom offers the next of the queue, and puts it into q.
func (c *Conversation) offerFrom(q *queued) (id uint64, err error) {
	c.mu.Lock()
	if !c.leaving && len(c.files.queue) > 0 && len(c.files.out) < maxOffers {
		*q, c.files.queue = c.files.queue[0], c.files.queue[1:]
		c.files.loading++ // nobody leaves meanwhile
	}
	c.mu.Unlock()
	if q.source == nil {
		return 0, nil
	}
	return c.offer(*q, func(text string, also func(uint64)) (uint64, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.files.loading--
		id, err := c.enqueue(kindOffer, text)
		if err != nil {
			if q.must {
				c.files.missed++
			}
			return 0, err
		}
		also(id)
		return id, nil
	})
}

func (c *Conversation) offering(f *file) {
	c.Tell(FileOffering{ID: f.id, Name: f.Name, Size: f.Size, Folder: f.Folder, Files: f.Files})
	if n := f.source.leftOut; n > 0 {
		c.Tell(Notice{Text: notSent(f.Name, n)})
	}
}

// Sent tells whether the other side has the file of this side with that ID.
func (c *Conversation) Sent(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.files.sent[id]
}

// Accept takes the file that the other side offered. The error is ErrNoFile, ErrOver, with a
// Journal ErrUnkept, or says why the download folder cannot be written to.
func (c *Conversation) Accept(id uint64) error {
	c.mu.Lock()
	f := c.files.in[id]
	c.mu.Unlock()
	if f == nil {
		return ErrNoFile
	}
	err := c.accept(f)
	if err != nil && !errors.Is(err, ErrNoFile) && !errors.Is(err, ErrOver) && !errors.Is(err, ErrUnkept) {
		return unwritable(c.config.DownloadDir, err)
	}
	return err
}

func (c *Conversation) accept(f *file) error {
	l, err := land(c.config.DownloadDir, f.offer, c.config.Journal != nil)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.leaving:
		err = ErrOver
	case f.decided, f.accepted:
		err = ErrNoFile
	default:
		if err = c.enqueueNote(kindAccept, f, note{}); err != nil {
			break // the outbox is full, and the other side would never hear of it
		}
		f.landing, f.accepted = l, true
		c.noteFile(f)
		c.expect()
		c.toWork() // which tells of it
		return nil
	}
	l.discard()
	return err
}

// Decline refuses the file that the other side offered. The error is ErrNoFile.
func (c *Conversation) Decline(id uint64) error {
	c.mu.Lock()
	f := c.files.in[id]
	c.mu.Unlock()
	if f == nil {
		return ErrNoFile
	}
	return c.decline(f, "declined")
}

func (c *Conversation) decline(f *file, why string) error {
	c.mu.Lock()
	accepted := f.accepted
	c.mu.Unlock()
	if accepted || !c.giveUp(f, why, kindCancel) {
		return ErrNoFile
	}
	return nil
}

// declineAll declines what nobody will answer any more.
func (c *Conversation) declineAll() {
	if c.config.AcceptFiles {
		return
	}
	for _, f := range c.list(func(f *file) bool { return !f.outgoing && !f.accepted }) {
		_ = c.decline(f, unattended) // or it was decided meanwhile
	}
}

const unattended = "declined: the receiving side's input has ended"

// Cancelled is the Reason of a FileFailed that this side cancelled.
const Cancelled = "you cancelled it"

// Cancel gives up a file, this side's if outgoing, else the other's, whether it was accepted
// yet or not. The error is ErrNoFile.
func (c *Conversation) Cancel(id uint64, outgoing bool) error {
	c.mu.Lock()
	f, told := c.files.in[id], "cancelled by its receiver"
	if outgoing {
		f, told = c.files.out[id], "cancelled by its sender"
	}
	c.mu.Unlock()
	if f == nil || !c.decide(f) {
		return ErrNoFile
	}
	c.fail(f, Cancelled, told, kindCancel)
	return nil
}

// hearOfFile takes what the other side says of a file.
func (c *Conversation) hearOfFile(said frame, from hello) {
	if said.kind == kindOffer {
		c.hearOffer(said, from)
		return
	}
	var n note
	if json.Unmarshal([]byte(said.text), &n) != nil {
		c.drop("a word on a file that makes no sense", "kind", said.kind)
		return
	}
	c.mu.Lock()
	var f *file
	switch n.Of {
	case c.id:
		f = c.files.out[n.ID]
	case from.Conversation:
		f = c.files.in[n.ID]
	}
	c.mu.Unlock()
	switch {
	case f == nil: // it has ended here
	case said.kind == kindCancel:
		c.giveUp(f, properReason(n.Reason, reasonTold), 0)
	case !f.outgoing:
		c.drop("a word on a file that the other side had no say in", "kind", said.kind)
	case said.kind == kindAccept:
		c.mu.Lock()
		f.accepted = true
		c.noteFile(f)
		c.toWork()
		c.mu.Unlock()
	case said.kind == kindReceived:
		c.arrived(f, n)
	}
}

func (c *Conversation) hearOffer(said frame, from hello) {
	var o offer
	if json.Unmarshal([]byte(said.text), &o) != nil || o.Size < 0 || o.Size > 1<<60 || o.Files < 0 || !o.Folder && o.Files > 0 {
		c.drop("an offer that makes no sense")
		return
	}
	o.Called = ""
	if proper := properFile(o.Name); proper != o.Name {
		o.Called, o.Name = o.Name, proper
	}
	f := &file{offer: o, id: said.seq}
	c.mu.Lock()
	_, again := c.files.in[f.id]
	tooMany := len(c.files.in) >= maxFiles || c.out.full()
	if !again && !tooMany {
		c.files.in[f.id] = f
		c.noteFile(f)
	}
	c.mu.Unlock()
	switch {
	case again: // the reader was gone when it came before
		return
	case tooMany:
		c.drop("an offer of one more file", "waiting", maxFiles)
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.out.full() {
			c.word(kindCancel, f, "too many files are waiting for an answer")
		}
		return
	}
	c.offered(f, from.Name)
}

// offered tells the reader of an offer, or answers it where nobody is asked.
func (c *Conversation) offered(f *file, from string) {
	c.mu.Lock()
	declined := c.config.DeclineFiles
	if declined == "" && c.finished {
		declined = unattended
	}
	c.mu.Unlock()
	c.Tell(FileOffered{ID: f.id, From: from, Name: f.Name, Called: f.Called, Size: f.Size, Folder: f.Folder, Files: f.Files})
	switch {
	case c.config.AcceptFiles:
		switch err := c.accept(f); {
		case errors.Is(err, ErrUnkept):
			c.giveUp(f, err.Error(), kindCancel)
		case err != nil:
			c.giveUpWriting(f, c.config.DownloadDir, err)
		}
	case declined != "":
		_ = c.decline(f, declined) // or somebody was quicker
	}
}

func (c *Conversation) list(which func(*file) bool) (fs []*file) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range []map[uint64]*file{c.files.out, c.files.in} {
		for _, f := range of {
			if which(f) {
				fs = append(fs, f)
			}
		}
	}
	slices.SortFunc(fs, func(a, b *file) int { return cmp.Compare(a.id, b.id) })
	return fs
}

// word says, under mu, something of f to the other side.
func (c *Conversation) word(k kind, f *file, why string) {
	c.queueNote(k, f, note{Reason: why})
}

// queueNote is enqueueNote for what may be lost: the reader is told that the outbox is full.
func (c *Conversation) queueNote(k kind, f *file, n note) {
	if err := c.enqueueNote(k, f, n); err != nil {
		c.tellStale(err)
		c.config.Log.Info("the other side cannot be told of a file", "why", err)
	}
}

func (c *Conversation) enqueueNote(k kind, f *file, n note) error {
	of := c.peer.Conversation
	if f.outgoing {
		of = c.id
	}
	n.ID, n.Of = f.id, of
	text, err := json.Marshal(n)
	if err == nil {
		_, err = c.enqueue(k, string(text))
	}
	return err
}

// expect lets, under mu, the other side open channels while there is a file to come.
func (c *Conversation) expect() {
	if c.files.expect == nil {
		return
	}
	coming := false
	for _, f := range c.files.in {
		coming = coming || f.accepted
	}
	c.files.expect(coming)
}

// toWork makes carry look again.
func (c *Conversation) toWork() {
	select {
	case c.work <- struct{}{}:
	default:
	}
}
