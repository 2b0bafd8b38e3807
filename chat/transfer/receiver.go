package transfer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"io"
	"path/filepath"
	"time"
)

// receiveFile receives a file, or the rest of it, over a channel that the other side has opened. It returns
// when the channel closes.
func (m *Manager) receiveFile(ctx context.Context, ch io.ReadWriteCloser) {
	defer ch.Close()
	defer context.AfterFunc(ctx, func() { ch.Close() })()
	late := time.AfterFunc(beginTimeout, func() { ch.Close() })
	b := make([]byte, 1+fileChunk)
	n, err := ch.Read(b)
	late.Stop()
	if err != nil || n != 1+8 || b[0] != fileBegin {
		m.config.Log.Debug("closed a channel that is no file's", "bytes", n, "error", err)
		return
	}
	f := m.awaited(binary.BigEndian.Uint64(b[1:]))
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
	if postHave(ch, had) != nil {
		return
	}
	for {
		n, err := ch.Read(b)
		if err != nil {
			return
		}
		has, ok := m.receive(f, b[:n])
		if ok && (has-had >= fileHaves || has == f.Size && has > had) {
			had = has
			if postHave(ch, has) != nil {
				return
			}
		}
	}
}

// receive takes a message of the sender. What arrives after the file has ended is dropped.
func (m *Manager) receive(f *file, message []byte) (has int64, ok bool) {
	m.mu.Lock()
	over := f.state.over()
	m.mu.Unlock()
	switch {
	case over:
	case len(message) > 0 && message[0] == fileData:
		has, err := f.download.write(message[1:])
		if err != nil {
			m.giveUpWith(f, unwritable(f.download.dir, err))
			return 0, false
		}
		m.progress(f, has, false)
		return has, true
	case len(message) >= 1+sha256.Size && message[0] == fileDone:
		m.complete(f, [sha256.Size]byte(message[1:]), message[1+sha256.Size:])
	default:
		m.giveUp(f, "the sender broke the protocol of transfers", true)
	}
	return 0, false
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
	e := Received{ID: f.id, Name: f.Name, Path: path, Size: f.Size, SHA256: sum}
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
	f.state.move(waiting) // unless it has ended
}

// emitLeftOut tells the reader what a folder lacks.
func (m *Manager) emitLeftOut(f *file, all []leftOut) {
	for _, l := range all {
		m.host.Emit(LeftOut{ID: f.id, Outgoing: f.outgoing, Name: f.Name, File: l.Name, Reason: properReason(l.Why, reasonTold), Kept: l.Kept})
	}
}

func postHave(to io.Writer, offset int64) error {
	return post(to, fileHave, binary.BigEndian.AppendUint64(nil, uint64(offset))) //nolint:gosec // not negative
}
