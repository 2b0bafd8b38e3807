package transfer

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

// receiveFile receives a file, or the rest of it, over a channel that the other side has opened, or pieces of one
// over a stripe. It returns when the channel closes.
func (m *Manager) receiveFile(ctx context.Context, ch io.ReadWriteCloser) {
	defer ch.Close()
	defer context.AfterFunc(ctx, func() { ch.Close() })()
	late := time.AfterFunc(beginTimeout, func() { ch.Close() })
	b := make([]byte, pieceHead+fileChunk)
	n, err := ch.Read(b)
	late.Stop()
	switch {
	case err == nil && n == 1+8 && b[0] == fileBegin:
		m.receiveOver(ctx, ch, binary.BigEndian.Uint64(b[1:]), b)
	case err == nil && isPiece(b[:n]):
		m.receiveStripe(ch, b, n)
	default:
		m.config.Log.Debug("closed a channel that is no file's", "bytes", n, "error", err)
	}
}

// receiveOver receives the file with that ID, or the rest of it, over its channel. Messages are read into b.
func (m *Manager) receiveOver(ctx context.Context, ch io.ReadWriter, id uint64, b []byte) {
	f := m.awaited(id)
	if f == nil {
		return // it has ended here
	}
	defer m.release(f)
	had, err := f.download.has(ctx)
	if err != nil {
		if ctx.Err() == nil {
			m.giveUpWith(f, unwritable(f.download.dir, err))
		}
		return
	}
	m.progress(f, had, true)
	a := newArrival(f.Size, had, f.download.write)
	m.mu.Lock()
	f.arrival = a
	m.mu.Unlock()
	defer a.close() // before release lets the next channel begin
	if postHave(ch, had, 0) != nil {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	telling, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { a.postHaves(telling, ch) })
	for at := had; ; {
		n, err := ch.Read(b)
		if err != nil {
			return
		}
		at += m.receive(f, a, b[:n], at)
	}
}

// receiveStripe receives pieces of a file until the stripe closes. The first one is in b, and has n bytes.
func (m *Manager) receiveStripe(ch io.ReadWriter, b []byte, n int) {
	id := binary.BigEndian.Uint64(b[1:])
	f, a := m.striping(id)
	if a == nil {
		return
	}
	m.mu.Lock()
	tells := m.havesOver
	m.mu.Unlock()
	for {
		if !isPiece(b[:n]) || binary.BigEndian.Uint64(b[1:]) != id {
			m.giveUp(f, errUnordered.Error(), true)
			return
		}
		offset := int64(binary.BigEndian.Uint64(b[1+8:])) //nolint:gosec // take refuses a negative one
		m.receivePiece(f, a, offset, b[pieceHead:n])
		if tells && a.tell(ch) != nil {
			return
		}
		var err error
		if n, err = ch.Read(b); err != nil {
			return
		}
	}
}

func isPiece(message []byte) bool { return len(message) >= pieceHead && message[0] == filePiece }

// striping returns the file with that ID, and what puts its pieces in order: nil if its channel has closed, or while another file
// has stripes. So all files of the other side together hold heldMost bytes.
func (m *Manager) striping(id uint64) (*file, *arrival) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.in[id]
	if f == nil || f.arrival == nil || m.stripedIn != nil && m.stripedIn != f {
		return nil, nil
	}
	m.stripedIn = f
	return f, f.arrival
}

// receive takes a message of the sender on the file's channel, where the stream is at offset. It returns how many
// bytes of the stream that was. What arrives after the file has ended is dropped.
func (m *Manager) receive(f *file, a *arrival, message []byte, offset int64) (n int64) {
	switch {
	case m.isOver(f):
	case len(message) > 0 && message[0] == fileData:
		m.receivePiece(f, a, offset, message[1:])
		return int64(len(message) - 1)
	case len(message) >= 1+sha256.Size && message[0] == fileDone:
		m.complete(f, [sha256.Size]byte(message[1:]), message[1+sha256.Size:])
	default:
		m.giveUp(f, errUnordered.Error(), true)
	}
	return 0
}

// receivePiece takes a piece of the stream.
func (m *Manager) receivePiece(f *file, a *arrival, offset int64, b []byte) {
	if m.isOver(f) {
		return
	}
	switch next, err := a.take(offset, b); {
	case errors.Is(err, errClosed):
	case errors.Is(err, errUnordered):
		m.giveUp(f, err.Error(), true)
	case err != nil:
		m.giveUpWith(f, unwritable(f.download.dir, err))
	default:
		m.progress(f, next, false)
	}
}

func (m *Manager) isOver(f *file) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return f.state.over()
}

// complete gives a file its name, if all of it has arrived as it was sent.
func (m *Manager) complete(f *file, sum [sha256.Size]byte, left []byte) {
	var spoiled []leftOut
	if len(left) > 0 && json.Unmarshal(left, &spoiled) != nil {
		m.giveUp(f, errNoTar.Error(), true)
		return
	}
	d := f.download
	if err := d.check(sum); err != nil {
		m.giveUp(f, err.Error(), true)
		return
	}
	if !m.end(f, committing) {
		return
	}
	m.endArrival(f)
	d.leaveOut(spoiled)
	path, err := d.commit()
	outcome := done
	if err != nil {
		outcome = failed
	}
	m.mu.Lock()
	f.state.move(outcome)
	m.mu.Unlock()
	if err != nil {
		err = unwritable(d.dir, err)
		m.fail(f, err.Error(), reasonOf(err), true)
		return
	}
	e := Received{ID: f.id, Name: f.Name, Path: path, Size: f.Size, Folder: f.Folder, Files: f.Files, Content: f.Content, SHA256: sum}
	e.Renamed, e.Example = d.changes()
	n := note{Renamed: e.Renamed}
	if is, called := filepath.Base(path), cmp.Or(f.Called, f.Name); is != called {
		e.Called, n.As = called, is
	}
	m.tell(KindReceived, f, n)
	if m.config.AcceptFiles {
		m.mu.Lock()
		m.missed += missing(spoiled)
		m.mu.Unlock()
	}
	m.emitLeftOut(f, spoiled)
	m.finish(f, e)
}

// awaited returns the accepted file of the other side with that ID, and moves it to moving. It returns nil
// if another channel has it.
func (m *Manager) awaited(id uint64) *file {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.in[id]
	if f == nil || f.download == nil || !f.state.move(moving) {
		return nil
	}
	return f
}

// release notes that the channel of a file has closed.
func (m *Manager) release(f *file) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropArrival(f)
	f.state.move(waiting) // unless it has ended
}

// dropArrival, under mu, lets another file have stripes: f may go on over its channel alone.
func (m *Manager) dropArrival(f *file) {
	f.arrival = nil
	if m.stripedIn == f {
		m.stripedIn = nil
	}
}

// emitLeftOut tells the reader what a folder lacks.
func (m *Manager) emitLeftOut(f *file, all []leftOut) {
	for _, l := range all {
		m.host.Emit(LeftOut{ID: f.id, Outgoing: f.outgoing, Name: f.Name, File: l.Name, Reason: properReason(l.Why, reasonTold), Kept: l.Kept})
	}
}

// postHave says how much of the stream has arrived, and how much is held beyond.
func postHave(to io.Writer, offset, beyond int64) error {
	b := binary.BigEndian.AppendUint64(nil, uint64(offset)) //nolint:gosec // not negative
	if beyond > 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(beyond))
	}
	return post(to, fileHave, b)
}
