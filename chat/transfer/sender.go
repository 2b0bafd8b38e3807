package transfer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"p2pchat/chat/disk"
)

// The first byte of each message on a file's channel.
const (
	fileBegin byte = 1 // ID: whose channel this is; the sender's first message
	fileHave  byte = 2 // offset: where the receiver begins, and then how far it has come; if it holds bytes beyond, then how many
	fileData  byte = 3 // bytes of the stream
	fileDone  byte = 4 // SHA-256 of the whole stream; then, of a folder, the JSON of what is left out: see leftOut
	filePiece byte = 5 // ID, offset, then bytes of the stream: on stripes, in any order
)

const (
	fileChunk  = 64 << 10  // bytes in a message
	pieceHead  = 1 + 8 + 8 // bytes before those of the stream
	fileHaves  = 128 << 10 // bytes from one have to the next
	fileMoving = 4         // files of this side that have a channel at a time

	progressInterval = 250 * time.Millisecond
	retryInterval    = time.Second
	beginTimeout     = 10 * time.Second // for the first message on a channel
	maxFutile        = 5                // channels in a row on which nothing moved
	maxLowered       = 16               // times that the receiver may begin with less than it had
)

// Run moves the accepted files over the channels of pipe, until ctx ends.
func (m *Manager) Run(ctx context.Context, pipe Pipe) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for {
			ch, err := pipe.Accept(ctx)
			if err != nil {
				return
			}
			wg.Go(func() { m.receiveFile(ctx, ch) })
		}
	})
	for {
		for f := m.nextFile(); f != nil; f = m.nextFile() {
			wg.Go(func() { m.sendFile(ctx, pipe, f) })
		}
		select {
		case <-m.work:
		case <-ctx.Done():
			return
		}
	}
}

// nextFile returns the accepted file of this side with the lowest ID that has no channel, and moves it to
// moving. It returns nil if none may move now.
func (m *Manager) nextFile() (next *file) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.greeted || m.leaving.Load() || m.moving >= fileMoving {
		return nil
	}
	for _, f := range m.out {
		if (f.state == accepted || f.state == waiting) && f.source != nil && (next == nil || f.id < next.id) {
			next = f
		}
	}
	if next != nil {
		next.state.move(moving)
		m.moving++
	}
	return next
}

// sendFile sends what the receiver lacks of a file, and pauses before it may be tried again.
func (m *Manager) sendFile(ctx context.Context, pipe Pipe, f *file) {
	sending, stop := context.WithCancel(ctx)
	defer stop()
	m.mu.Lock()
	f.stop = stop
	over, before := f.state.over(), f.bytes
	m.mu.Unlock()
	if !over {
		m.sendOver(sending, pipe, f)
	}
	m.mu.Lock()
	if f.futile++; f.bytes > before || ctx.Err() != nil {
		f.futile = 0
	}
	futile := f.futile
	m.mu.Unlock()
	switch {
	case sending.Err() != nil, futile == 0:
	case futile == maxFutile:
		m.giveUp(f, "the other side keeps closing the channel of the file", true)
	default:
		pause(sending, retryInterval)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil { // the pipe broke, though its channels ended first: that is not the receiver's doing
		f.futile = 0
	}
	f.state.move(waiting) // unless it has ended
	f.stop = nil
	m.moving--
	m.wakeTransfers()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// sendOver sends a file over a channel of its own. It returns when the channel closes or the file has ended.
func (m *Manager) sendOver(ctx context.Context, pipe Pipe, f *file) {
	ch, err := pipe.Open(ctx)
	if err != nil {
		m.config.Log.Debug("no channel for a file", "error", err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	over := &spread{m: m, f: f, pipe: pipe, own: ch, end: cancel, moved: make(chan struct{}, 1), pieces: make(chan []byte)}
	defer wg.Wait()
	defer over.close()
	defer ch.Close()
	defer cancel()
	defer context.AfterFunc(ctx, func() { ch.Close() })()
	over.widen(ctx, m.left(f), pipe.RoundTrip())
	if post(ch, fileBegin, binary.BigEndian.AppendUint64(nil, f.id)) != nil {
		return
	}
	wg.Go(func() {
		defer cancel()
		m.receiveHaves(ch, f, over.moved, true)
	})
	select { // the first have says where to begin
	case <-over.moved:
	case <-ctx.Done():
		return
	}
	sum, err := m.stream(ctx, over, f)
	switch {
	case ctx.Err() != nil, errors.Is(err, errChannel):
		return
	case err != nil:
		m.giveUp(f, disk.WithoutPath(err).Error(), true)
		return
	}
	left, err := marshalLeftOut(f.source)
	if err != nil {
		m.giveUp(f, err.Error(), true)
		return
	}
	if post(ch, fileDone, append(sum, left...)) == nil {
		<-ctx.Done()
	}
}

var errChannel = errors.New("the file's channel has ended")

// stream sends what the receiver lacks, and returns the SHA-256 of the whole stream. It returns errChannel
// if the channel ends; other errors are the source's.
func (m *Manager) stream(ctx context.Context, to *spread, f *file) ([]byte, error) {
	m.mu.Lock()
	at := f.bytes
	f.window = window{}
	m.mu.Unlock()
	if err := m.hashUpTo(ctx, f, at); err != nil {
		return nil, err
	}
	m.rewindHash(f, at)
	from := f.source.open(at)
	defer from.Close()
	message := make([]byte, pieceHead+fileChunk)
	for at < f.Size {
		to.widen(ctx, f.Size-at, 0)
		var chunk int64
		if err := to.await(ctx, func() bool { chunk = m.mayStream(f, at); return chunk > 0 }); err != nil {
			return nil, err
		}
		n, err := io.ReadFull(from, message[pieceHead:pieceHead+min(chunk, f.Size-at)])
		if err != nil {
			return nil, err
		}
		piece := message[:pieceHead+n]
		m.streamed(f, piece[pieceHead:], at+int64(n))
		if err := to.write(ctx, piece, at); err != nil {
			return nil, err
		}
		at += int64(n)
	}
	if _, err := from.Read(message[1:]); !errors.Is(err, io.EOF) {
		return nil, err
	}
	if to.asked { // what a stripe brings may come after what follows on the file's channel
		if err := to.await(ctx, func() bool { return m.left(f) == 0 }); err != nil {
			return nil, err
		}
	}
	sum := f.hash.Sum(nil)
	m.mu.Lock()
	f.sum = (*[sha256.Size]byte)(sum)
	m.mu.Unlock()
	f.turn.Lock()
	defer f.turn.Unlock()
	m.keep(f)
	return sum, nil
}

// left returns how many bytes the receiver lacks.
func (m *Manager) left(f *file) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return f.Size - f.bytes
}

// mayStream returns how many bytes the next message may have: 0 while as much is on its way as may be.
func (m *Manager) mayStream(f *file, at int64) (chunk int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at-f.bytes >= aheadMost || at-f.bytes-f.beyond >= f.window.size() {
		return 0
	}
	chunk = f.window.chunk()
	if m.striped == f {
		chunk = min(chunk, pieceMost)
	}
	return chunk
}

// hashUpTo hashes what an earlier run of the program has sent.
func (m *Manager) hashUpTo(ctx context.Context, f *file, to int64) error {
	m.mu.Lock()
	at, unhashed := f.hashed, f.unhashed
	m.mu.Unlock()
	if !unhashed {
		return nil
	}
	from := f.source.open(at)
	defer from.Close()
	b := make([]byte, fileChunk)
	for at < to {
		n, err := io.ReadFull(from, b[:min(fileChunk, to-at)])
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		at += int64(n)
		f.hash.Write(b[:n])
		m.mu.Lock()
		f.hashed = at
		m.mu.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f.unhashed = false
	return nil
}

// receiveHaves follows how much the receiver has, until the channel closes: that of the file, where the first have says where to
// begin, or a stripe.
func (m *Manager) receiveHaves(from io.Reader, f *file, moved chan<- struct{}, begins bool) {
	b := make([]byte, 64)
	for ; ; begins = false {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		have, beyond := int64(-1), int64(0)
		if (n == 1+8 || n == 1+16) && b[0] == fileHave {
			have = int64(binary.BigEndian.Uint64(b[1:])) //nolint:gosec // mayHave refuses a negative one, here
			if n == 1+16 {
				beyond = int64(binary.BigEndian.Uint64(b[1+8:])) //nolint:gosec // and here
			}
		}
		if !m.mayHave(f, have, beyond, begins) {
			m.giveUp(f, "the receiver broke the protocol of transfers", true)
			return
		}
		m.progress(f, have, begins)
		wake(moved)
	}
}

// mayHave reports whether the receiver can have so much. A channel may begin with less than the
// one before it reached: the receiver's program, or its machine, was restarted. Later, haves of the file's channel
// and of its stripes overtake each other.
func (m *Manager) mayHave(f *file, have, beyond int64, begins bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch most := f.sendable(); {
	case have < 0, have > most, beyond < 0, beyond > most-have:
		return false
	case begins && have < f.bytes:
		f.beyond, f.lowered = 0, f.lowered+1
		return f.lowered <= maxLowered
	case !begins && (have < f.bytes || have+beyond < f.bytes+f.beyond): // overtaken
		return true
	}
	f.bytes = have
	f.beyond = beyond
	f.window.beside = m.moving > 1
	f.window.has(have+beyond, time.Now())
	return true
}

// marshalLeftOut returns what the receiver has to be told of a folder at its end.
func marshalLeftOut(s *source) ([]byte, error) {
	all := s.leftOuts()
	if len(all) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(all)
	if len(b) > maxLeftOut {
		err = errSpoiled
	}
	return b, err
}

// progress notes how many bytes the receiver has, and tells the reader if it is time.
func (m *Manager) progress(f *file, bytes int64, begins bool) {
	f.turn.Lock()
	defer f.turn.Unlock()
	m.mu.Lock()
	if begins || bytes > f.bytes {
		f.bytes = bytes
	}
	bytes = f.bytes
	due := !f.state.over() && (begins || time.Since(f.told) >= progressInterval)
	if due {
		f.told = time.Now()
	}
	m.mu.Unlock()
	if due {
		m.host.Emit(Progress{ID: f.id, Outgoing: f.outgoing, Name: f.Name, Bytes: bytes, Size: f.Size, Folder: f.Folder, Files: f.Files, Content: f.Content})
	}
}

func post(to io.Writer, kind byte, body []byte) error {
	_, err := to.Write(append([]byte{kind}, body...))
	return err
}
