package chattest

import (
	"bytes"
	"sync"
)

// A Buffer is a bytes.Buffer that several goroutines may use.
type Buffer struct {
	mu sync.Mutex // guards what follows
	b  bytes.Buffer
}

// Write appends p.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns what was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
