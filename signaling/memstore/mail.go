package memstore

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"p2pchat/signaling"
)

// MailLimits bound what a Mail keeps.
type MailLimits struct {
	Blocks   int           // of one box; 128 if zero
	BoxBytes int           // bytes of the blocks of one box; 256 KiB if zero
	Bytes    int64         // of all boxes; 64 MiB if zero
	Life     time.Duration // how long a block is kept; 7 days if zero
}

// WithDefaults returns the limits with the default of each that is zero.
func (l MailLimits) WithDefaults() MailLimits {
	if l.Blocks == 0 {
		l.Blocks = 128
	}
	if l.BoxBytes == 0 {
		l.BoxBytes = 256 << 10
	}
	if l.Bytes == 0 {
		l.Bytes = 64 << 20
	}
	if l.Life == 0 {
		l.Life = 7 * 24 * time.Hour
	}
	return l
}

// A MailPrimary keeps the bytes of mailboxes for one Mail or several.
type MailPrimary interface {
	// Load returns the bytes of a box and their revision, or no bytes if there is no such box.
	Load(ctx context.Context, box string) (encoded []byte, revision uint64, err error)
	// Save replaces the bytes of a box if its revision is still the given one, and removes the
	// box if there are none. It returns ErrConflict if the revision is another one,
	// [signaling.ErrMailFull], or any error that a [signaling.Mail] may return.
	Save(ctx context.Context, box string, revision uint64, encoded []byte) error
}

// A Mail is a [signaling.MailWatcher] whose boxes are in a primary: in memory, see NewMail, or elsewhere.
type Mail struct {
	limits  MailLimits
	primary MailPrimary

	mu       sync.Mutex // guards what follows
	watchers watchers   // by the names of boxes
}

var _ signaling.MailWatcher = (*Mail)(nil)

// NewMailReplica returns the Mail with the boxes of a primary, which calls Changed when others change a box.
func NewMailReplica(limits MailLimits, primary MailPrimary) *Mail {
	return &Mail{limits: limits.WithDefaults(), primary: primary, watchers: watchers{}}
}

// AddBlock implements [signaling.Mail].
func (m *Mail) AddBlock(ctx context.Context, b signaling.Box, block signaling.Block) (kept time.Duration, err error) {
	if err := b.CheckPut(); err != nil {
		return 0, err
	}
	if err := block.Check(); err != nil {
		return 0, err
	}
	err = m.update(ctx, b.Name, func(box *mailbox, now time.Time) error {
		came, err := box.add(block, m.limits, now)
		kept = came.Add(m.limits.Life).Sub(now)
		return err
	})
	if err != nil {
		return 0, err
	}
	return kept, nil
}

// DeleteBlocks implements [signaling.Mail].
func (m *Mail) DeleteBlocks(ctx context.Context, b signaling.Box, through uint64) error {
	if err := b.CheckTake(); err != nil {
		return err
	}
	return m.update(ctx, b.Name, func(box *mailbox, _ time.Time) error { return box.deleteThrough(through) })
}

// Blocks implements [signaling.Mail].
func (m *Mail) Blocks(ctx context.Context, b signaling.Box, after uint64, wait time.Duration) ([]signaling.Block, error) {
	if err := b.CheckTake(); err != nil {
		return nil, err
	}
	look := func() ([]signaling.Block, error) {
		box, _, err := m.load(ctx, b.Name, time.Now())
		return box.after(after), err
	}
	if wait <= 0 {
		return look()
	}
	return await(ctx, wait, func(notify func(error)) (stop func()) { return m.WatchBox(b.Name, notify) }, look)
}

// WatchBox implements [signaling.MailWatcher].
func (m *Mail) WatchBox(name string, notify func(error)) (stop func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	remove := m.watchers.add(notify, name)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		remove()
	}
}

// Changed wakes the reads that wait for a box, or all of them if the name is empty.
func (m *Mail) Changed(box string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if box == "" {
		m.watchers.wakeAll()
	} else {
		m.watchers.wake(box)
	}
}

func (m *Mail) load(ctx context.Context, name string, now time.Time) (box mailbox, revision uint64, err error) {
	encoded, revision, err := m.primary.Load(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	if box, err = decodeMailbox(encoded); err != nil {
		return nil, 0, err
	}
	box.expire(now.Add(-m.limits.Life))
	return box, revision, nil
}

// update applies edit to a box, again if another request changed the box in between. It changes nothing if
// edit returns an error, and returns that error unless it is errNoChange.
func (m *Mail) update(ctx context.Context, name string, edit func(*mailbox, time.Time) error) error {
	for {
		now := time.Now()
		box, revision, err := m.load(ctx, name, now)
		if err != nil {
			return err
		}
		if err = edit(&box, now); errors.Is(err, errNoChange) {
			return nil
		}
		if err == nil {
			err = m.primary.Save(ctx, name, revision, box.encode())
		}
		if !errors.Is(err, ErrConflict) {
			if err == nil {
				m.Changed(name)
			}
			return err
		}
	}
}

// NewMail returns a Mail in memory, with these limits.
func NewMail(limits MailLimits) *Mail {
	limits = limits.WithDefaults()
	return NewMailReplica(limits, &mailMemory{limits: limits, boxes: map[string]*storedBox{}})
}

// mailMemory is a MailPrimary in memory.
type mailMemory struct {
	limits MailLimits

	mu        sync.Mutex // guards what follows
	boxes     map[string]*storedBox
	bytes     int64
	order     list.List // *storedBox, the one that was changed longest ago first
	revisions uint64    // so far
}

type storedBox struct {
	name     string
	encoded  []byte
	revision uint64
	changed  time.Time
	place    *list.Element
}

// Load implements [MailPrimary].
func (m *mailMemory) Load(_ context.Context, name string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.boxes[name]; b != nil {
		return b.encoded, b.revision, nil
	}
	return nil, 0, nil
}

// Save implements [MailPrimary].
func (m *mailMemory) Save(_ context.Context, name string, revision uint64, encoded []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(time.Now())
	b := m.boxes[name]
	if b == nil {
		b = &storedBox{name: name}
	}
	grows := int64(len(encoded) - len(b.encoded))
	switch {
	case b.revision != revision:
		return ErrConflict
	case grows > 0 && m.bytes+grows > m.limits.Bytes:
		return signaling.ErrMailFull
	}
	m.remove(b)
	if len(encoded) == 0 {
		return nil
	}
	m.revisions++
	b.encoded, b.revision, b.changed = encoded, m.revisions, time.Now()
	b.place = m.order.PushBack(b)
	m.boxes[name] = b
	m.bytes += int64(len(encoded))
	return nil
}

// expire removes the boxes all of whose blocks have expired.
func (m *mailMemory) expire(now time.Time) {
	for e := m.order.Front(); e != nil && now.Sub(e.Value.(*storedBox).changed) > m.limits.Life+time.Second; e = m.order.Front() {
		m.remove(e.Value.(*storedBox))
	}
}

func (m *mailMemory) remove(b *storedBox) {
	if b.place == nil {
		return
	}
	m.order.Remove(b.place)
	b.place = nil
	delete(m.boxes, b.name)
	m.bytes -= int64(len(b.encoded))
}

// Usage returns the number of boxes and their bytes.
func (m *mailMemory) Usage() (boxes int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(time.Now())
	return len(m.boxes), m.bytes
}

// Free returns the share of the bytes of all boxes that other clients have left to one that has put own bytes.
func (m *Mail) Free(own int) float64 {
	_, used := m.Usage()
	return 1 - float64(max(0, used-int64(own)))/float64(m.limits.Bytes)
}

// Usage returns the number of boxes and their bytes, or zeros if the primary does not tell.
func (m *Mail) Usage() (boxes int, bytes int64) {
	if counted, ok := m.primary.(interface{ Usage() (int, int64) }); ok {
		return counted.Usage()
	}
	return 0, 0
}
