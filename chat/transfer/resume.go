package transfer

import (
	"context"
	"crypto/sha256"
)

// Resume continues, before the first pipe, what an earlier run of the program was to send or receive.
func (m *Manager) Resume(ctx context.Context) {
	for _, f := range m.list(func(f *file) bool { return !f.outgoing && f.earlier != nil && f.state != offered }) {
		m.resumeReceiving(f)
	}
	for _, f := range m.list(func(f *file) bool { return f.outgoing && f.earlier != nil }) {
		r := m.earlierOf(f)
		if r == nil { // SendFiles was faster
			continue
		}
		s, err := newSource(ctx, r.Path)
		if err == nil && m.resumeSending(f, s) {
			continue
		}
		if err == nil {
			s.close()
		}
		if ctx.Err() != nil {
			return
		}
		if m.earlierOf(f) != nil {
			m.giveUp(f, "it changed while the sender's program was not running", true)
		}
	}
}

func (m *Manager) earlierOf(f *file) *Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return f.earlier
}

// resumeSending continues f, and returns true, if s is what it was. hashUpTo hashes what was sent of it once
// the receiver says how much that is.
func (m *Manager) resumeSending(f *file, s *source) bool {
	m.mu.Lock()
	r := f.earlier
	if r == nil || f.state.over() || r.Path != s.path || r.Stamp != s.stamp || r.Offer.Size != s.Size {
		m.mu.Unlock()
		return false
	}
	f.source, f.earlier, f.hash, f.unhashed = s, nil, sha256.New(), true
	if len(r.Sum) == sha256.Size {
		f.sum = (*[sha256.Size]byte)(r.Sum)
	}
	accepted := f.state != offered
	m.mu.Unlock()
	m.emitOffering(f, accepted)
	return true
}

func (m *Manager) resumeReceiving(f *file) {
	r := f.earlier // only this goroutine changes it
	d, err := resumeDownload(r.Dir, r.Temp, f.Offer)
	if err != nil {
		m.giveUpWith(f, unwritable(r.Dir, err))
		return
	}
	m.mu.Lock()
	over := f.state.over()
	f.download, f.earlier = d, nil
	m.mu.Unlock()
	if over { // the reader has cancelled it
		d.discard()
		return
	}
	m.tell(KindAccept, f, note{}) // the earlier run may have ended before it did
	// Now, because the channels of several files come in any order.
	m.host.Emit(Progress{ID: f.id, Name: f.Name, Bytes: d.begun, Size: f.Size, Folder: f.Folder, Files: f.Files, Content: f.Content, Resumed: true})
}
