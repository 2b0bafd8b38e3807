package transfer

import (
	"encoding"
	"slices"
	"time"
)

// A hashPoint is the hash of a stream up to an offset.
type hashPoint struct {
	at    int64
	state []byte
}

// streamed notes the bytes up to at. What is sent again is not hashed again, unless rewindHash went back before it.
func (m *Manager) streamed(f *file, b []byte, at int64) {
	unhashed := at - f.hashed // only this goroutine changes it
	if unhashed > 0 {
		f.hash.Write(b[int64(len(b))-unhashed:])
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f.hashed = max(f.hashed, at)
	f.window.sent(at, time.Now())
	if f.Folder && f.hashed == at {
		f.addPoint()
	}
}

// addPoint, under mu, notes the hash of a folder, and drops those before what the receiver has.
func (f *file) addPoint() {
	state, err := f.hash.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return // crypto/sha256 has no such error; what is sent again must then be as it was
	}
	had := slices.IndexFunc(f.points, func(p hashPoint) bool { return p.at >= f.bytes })
	if had < 0 {
		had = len(f.points)
	}
	f.points = append(f.points[had:], hashPoint{f.hashed, state})
}

// rewindHash makes the hash of a folder end at an offset from which it is sent again: a file that was sent before the pipe broke, and
// has not arrived, may have changed since, so that zeros take its place.
func (m *Manager) rewindHash(f *file, at int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !f.Folder || at >= f.hashed {
		return
	}
	if at == 0 {
		f.hash.Reset()
		f.hashed, f.points = 0, nil
		return
	}
	i := slices.IndexFunc(f.points, func(p hashPoint) bool { return p.at == at })
	if i >= 0 && f.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(f.points[i].state) == nil {
		f.hashed, f.points = at, f.points[:i+1]
	}
}
