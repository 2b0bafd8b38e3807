package chat

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"time"
)

// What is spoken on the channel of a file: the first byte of each message.
const (
	fileBegin byte = 1 // id: whose channel this is; the sender's first
	fileHave  byte = 2 // offset: where the receiver begins, and then how far it has come
	fileData  byte = 3 // bytes of the stream
	fileDone  byte = 4 // SHA-256 of the whole stream; then, of a folder, the JSON of what is to be left out: see leftOut
)

const (
	fileChunk  = 64 << 10  // bytes in a message
	fileHaves  = 128 << 10 // bytes from one have to the next
	fileMoving = 4         // files of this side that have a channel at a time

	progressInterval = 250 * time.Millisecond
	retryInterval    = time.Second
	maxFutile        = 5  // channels in a row on which nothing moved
	maxLowered       = 16 // times that the receiver may begin with less than it had
)

// carry moves the files that were accepted, while the pipe lasts.
func (c *Conversation) carry(ctx context.Context, link Link) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for {
			ch, err := link.Accept(ctx)
			if err != nil {
				return
			}
			wg.Go(func() { c.unload(ctx, ch) })
		}
	})
	for {
		for f := c.nextFile(); f != nil; f = c.nextFile() {
			wg.Go(func() { c.ship(ctx, link, f) })
		}
		select {
		case <-c.work:
		case <-ctx.Done():
			return
		}
	}
}

// nextFile is the next accepted file of this side that has no channel yet.
func (c *Conversation) nextFile() (next *file) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.files.greeted || c.leaving || c.files.moving >= fileMoving {
		return nil
	}
	for _, f := range c.files.out {
		if f.accepted && !f.busy && !f.decided && (next == nil || f.id < next.id) {
			next = f
		}
	}
	if next != nil {
		next.busy = true
		c.files.moving++
	}
	return next
}

// ship sends a file, or the rest of it, over a channel of its own.
func (c *Conversation) ship(ctx context.Context, link Link, f *file) {
	working, stop := context.WithCancel(ctx)
	defer stop()
	c.mu.Lock()
	f.stop = stop
	decided, before := f.decided, f.bytes
	c.mu.Unlock()
	if !decided {
		c.load(working, link, f)
	}
	c.mu.Lock()
	if f.futile++; f.bytes > before || ctx.Err() != nil {
		f.futile = 0
	}
	futile := f.futile
	c.mu.Unlock()
	switch {
	case working.Err() != nil, futile == 0:
	case futile == maxFutile:
		c.giveUp(f, "the other side keeps closing the channel of the file", kindCancel)
	default:
		pause(working, retryInterval)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f.busy, f.stop = false, nil
	c.files.moving--
	c.toWork()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// load returns when the channel has ended, or ctx has: when it is decided how the file ends.
func (c *Conversation) load(ctx context.Context, link Link, f *file) {
	ch, err := link.Open(ctx)
	if err != nil {
		c.config.Log.Debug("no channel for a file", "error", err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ch.Close()
	defer cancel()
	defer context.AfterFunc(ctx, func() { ch.Close() })()
	if post(ch, fileBegin, binary.BigEndian.AppendUint64(nil, f.id)) != nil {
		return
	}
	moved := make(chan struct{}, 1)
	wg.Go(func() {
		defer cancel()
		c.hearHaves(ch, f, moved)
	})
	select { // from where on
	case <-moved:
	case <-ctx.Done():
		return
	}
	sum, err := c.pour(ctx, ch, f, moved)
	switch {
	case ctx.Err() != nil, errors.Is(err, errChannel):
		return
	case err != nil:
		c.giveUp(f, plain(err).Error(), kindCancel)
		return
	}
	left, err := c.spoiledIn(f)
	if err != nil {
		c.giveUp(f, err.Error(), kindCancel)
		return
	}
	if post(ch, fileDone, append(sum, left...)) == nil {
		<-ctx.Done()
	}
}

var errChannel = errors.New("the file's channel has ended")

// pour sends what the receiver does not have, and returns the SHA-256 of all. An error that
// is not errChannel is of the source.
func (c *Conversation) pour(ctx context.Context, to io.Writer, f *file, moved <-chan struct{}) ([]byte, error) {
	c.mu.Lock()
	at := f.bytes
	f.window = window{}
	c.mu.Unlock()
	if err := c.catchUp(ctx, f, at); err != nil {
		return nil, err
	}
	from := f.source.open(at)
	defer from.Close()
	message := make([]byte, 1+fileChunk)
	message[0] = fileData
	for at < f.Size {
		for !c.mayPour(f, at) {
			select {
			case <-moved:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		n, err := io.ReadFull(from, message[1:1+min(fileChunk, f.Size-at)])
		if err != nil {
			return nil, err
		}
		at += int64(n)
		c.poured(f, message[1:1+n], at)
		if _, err := to.Write(message[:1+n]); err != nil {
			return nil, errChannel
		}
	}
	if _, err := from.Read(message[1:]); !errors.Is(err, io.EOF) {
		return nil, err
	}
	sum := f.hash.Sum(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	f.sum = (*[sha256.Size]byte)(sum)
	c.noteFile(f)
	return sum, nil
}

// mayPour tells whether more may be on its way than is.
func (c *Conversation) mayPour(f *file, at int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.window.moving = c.files.moving
	return at-f.bytes < f.window.size()
}

// poured notes the bytes up to at. What goes out again is not hashed again.
func (c *Conversation) poured(f *file, b []byte, at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if fresh := at - f.hashed; fresh > 0 {
		f.hash.Write(b[int64(len(b))-fresh:])
		f.hashed = at
	}
	f.window.sent(at, time.Now())
}

// hearHaves follows how far the receiver is.
func (c *Conversation) hearHaves(from io.Reader, f *file, moved chan<- struct{}) {
	b := make([]byte, 64)
	for begins := true; ; begins = false {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		have := int64(-1)
		if n == 1+8 && b[0] == fileHave {
			have = int64(binary.BigEndian.Uint64(b[1:])) //nolint:gosec // a negative one is too little
		}
		if !c.mayHave(f, have, begins) {
			c.giveUp(f, "the receiver broke the protocol of transfers", kindCancel)
			return
		}
		c.progress(f, have, begins)
		select {
		case moved <- struct{}{}:
		default:
		}
	}
}

// mayHave takes what the receiver says that it has, if that can be. A channel may begin with less than
// there was on the one before: the receiver's program, or its machine, was started anew.
func (c *Conversation) mayHave(f *file, have int64, begins bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case have < 0, have > f.hashed && !f.unread, have > f.Size:
		return false
	case have < f.bytes:
		f.lowered++
		return begins && f.lowered <= maxLowered
	}
	f.window.has(have, time.Now())
	return true
}

// unload takes a file that comes over a channel which the other side has opened.
func (c *Conversation) unload(ctx context.Context, ch io.ReadWriteCloser) {
	defer ch.Close()
	defer context.AfterFunc(ctx, func() { ch.Close() })()
	late := time.AfterFunc(patience, func() { ch.Close() })
	b := make([]byte, 1+fileChunk)
	n, err := ch.Read(b)
	late.Stop()
	if err != nil || n != 1+8 || b[0] != fileBegin {
		c.config.Log.Debug("closed a channel that is no file's", "bytes", n, "error", err)
		return
	}
	f := c.awaited(binary.BigEndian.Uint64(b[1:]))
	if f == nil {
		return // it has ended here
	}
	defer c.rest(f)
	had, err := f.landing.has(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.giveUpWriting(f, f.landing.dir, err)
		}
		return
	}
	c.progress(f, had, true)
	if postHave(ch, had) != nil {
		return
	}
	for {
		n, err := ch.Read(b)
		if err != nil {
			return
		}
		has, ok := c.unpackPart(f, b[:n])
		if ok && (has-had >= fileHaves || has == f.Size && has > had) {
			had = has
			if postHave(ch, has) != nil {
				return
			}
		}
	}
}

// unpackPart takes a message of the sender. Once how the file ends is decided, whatever is still on
// its way is dropped.
func (c *Conversation) unpackPart(f *file, message []byte) (has int64, ok bool) {
	c.mu.Lock()
	decided := f.decided
	c.mu.Unlock()
	switch {
	case decided:
	case len(message) > 0 && message[0] == fileData:
		has, err := f.landing.write(message[1:])
		if err != nil {
			c.giveUpWriting(f, f.landing.dir, err)
			return 0, false
		}
		c.progress(f, has, false)
		return has, true
	case len(message) >= 1+sha256.Size && message[0] == fileDone:
		c.landed(f, [sha256.Size]byte(message[1:]), message[1+sha256.Size:])
	default:
		c.giveUp(f, "the sender broke the protocol of transfers", kindCancel)
	}
	return 0, false
}

// landed ends a file of which the sender has sent all.
func (c *Conversation) landed(f *file, sum [sha256.Size]byte, left []byte) {
	var spoiled []leftOut
	if len(left) > 0 && json.Unmarshal(left, &spoiled) != nil {
		c.giveUp(f, errNoTar.Error(), kindCancel)
		return
	}
	if err := f.landing.check(sum); err != nil {
		c.giveUp(f, err.Error(), kindCancel)
		return
	}
	if !c.decide(f) {
		return
	}
	l := f.landing
	l.leaveOut(spoiled)
	path, err := l.settle()
	if err != nil {
		c.failWriting(f, l.dir, err)
		return
	}
	e := FileReceived{ID: f.id, Name: f.Name, Path: path, Size: f.Size, SHA256: sum}
	e.Renamed, e.Example = l.changes()
	said := note{Renamed: e.Renamed}
	if is, called := filepath.Base(path), cmp.Or(f.Called, f.Name); is != called {
		e.Called, said.As = called, is
	}
	c.mu.Lock()
	c.queueNote(kindReceived, f, said)
	if c.config.AcceptFiles {
		c.files.missed += missing(spoiled)
	}
	c.mu.Unlock()
	c.tellLeftOut(f, spoiled)
	c.end(f, e)
}

// spoiledIn is what the receiver has to be told of, with a folder's last message.
func (c *Conversation) spoiledIn(f *file) ([]byte, error) {
	all := f.source.leftOuts()
	if len(all) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(all)
	if len(b) > maxLeftOut {
		err = errSpoiled
	}
	return b, err
}

// awaited is the accepted file of the other side with that ID, if no channel has it.
func (c *Conversation) awaited(id uint64) *file {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files.in[id]
	if f == nil || !f.accepted || f.decided || f.busy {
		return nil
	}
	f.busy = true
	return f
}

func (c *Conversation) rest(f *file) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.busy = false
}

// progress notes that the receiver has so many bytes, and tells of it if it is time.
func (c *Conversation) progress(f *file, bytes int64, begins bool) {
	f.telling.Lock()
	defer f.telling.Unlock()
	c.mu.Lock()
	f.bytes = bytes
	due := !f.decided && (begins || time.Since(f.told) >= progressInterval)
	if due {
		f.told = time.Now()
	}
	c.mu.Unlock()
	if due {
		c.Tell(FileProgress{ID: f.id, Outgoing: f.outgoing, Name: f.Name, Bytes: bytes, Size: f.Size})
	}
}

func post(to io.Writer, kind byte, body []byte) error {
	_, err := to.Write(append([]byte{kind}, body...))
	return err
}

func postHave(to io.Writer, offset int64) error {
	return post(to, fileHave, binary.BigEndian.AppendUint64(nil, uint64(offset))) //nolint:gosec // not negative
}
