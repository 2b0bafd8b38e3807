// Package transfer sends and receives files and folders next to a conversation.
//
// What both sides have to hear of a file, whatever happens to a connection, goes through the Host: offers, answers,
// confirmations. The bytes go over a channel of their own, one for each file and pipe.
//
//	Host              Manager                              channel
//	Send  ◀── offer   SendFiles ─▶ source
//	Emit  ◀── events     ├─ sendFile ─▶ stream ─────────────▶ data
//	Keep  ◀── records    ├─ receiveHaves ◀─────────────────── have
//	                     └─ receiveFile ─▶ download ─▶ commit
//
// The life of a file, the same on both sides:
//
//	         Accept            channel           all sent and confirmed
//	offered ────────▶ accepted ────────▶ moving ─────────────────────────────▶ done
//	│ │ ▲              │ │               │ ▲  │                                 ▲
//	│ │ └─ unkept ─────┘ │    pipe broke ▼ │  ├─ all arrived ─▶ committing ─────┤
//	│ └─ resumed ────────┼──────────▶ waiting ┼─ confirmed ─────────┼───────────┘
//	│                    │               │    │                     │
//	└────────────────────┴───────────────┴────┴─────────────────────┴────────▶ failed
//
// To failed: declined, cancelled, or given up. Unkept: the journal could not be written, so the other side was not told.
// Resumed: an earlier run of the program has accepted it.
//
// A Manager has a mutex of its own, which it does not hold while it calls its Host, reads or writes a file, or hashes.
package transfer

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
)

// Errors returned by Manager methods, besides those of the Host.
var (
	// ErrNoFiles says that the other side is a plain WebRTC program.
	ErrNoFiles = errors.New("the other side is another WebRTC program, which takes no files")
	// ErrNoFile says that no file of that ID waits for this.
	ErrNoFile = errors.New("there is no such file")
	// ErrTooManyFiles says that too many files wait to be offered.
	ErrTooManyFiles = fmt.Errorf("more than %d files are waiting: send a folder, or wait", maxQueued)
	// ErrOver says that the conversation is over.
	ErrOver = errors.New("the conversation is over")
	// ErrFull is returned by Host.Send if there is no room for an offer.
	ErrFull = errors.New("too much is on its way")
)

const (
	maxFiles  = 256    // of the other side, offered or on their way
	maxOffers = 64     // of this side; the page takes no more
	maxQueued = 10_000 // of this side, that wait to be offered
)

// A Host is the conversation that a Manager moves files for. Its methods may be called from any
// goroutine, and do not call the Manager.
type Host interface {
	// Send queues a frame for the other side, and returns its number: that of an offer is the file's ID.
	// It returns ErrFull for an offer that has to wait; other errors are those of the conversation.
	Send(kind Kind, text string) (seq uint64, err error)
	// Queued tells the reader if err says that the journal could not be written. It is called with each result of Send
	// that no method returns, and does not wait.
	Queued(err error)
	// Emit hands the reader an event. It waits while the reader is busy.
	Emit(e Event)
	// Keep notes what a later run of the program needs.
	Keep(r Record)
}

// A Peer is the other side's program.
type Peer struct {
	Conversation string // counts the IDs of its files
	Name         string
}

// Config says what a Manager does with what is offered to it.
type Config struct {
	DownloadDir  string // where accepted files go; made if it does not exist
	AcceptFiles  bool   // accept all
	DeclineFiles string // why all are declined, unless AcceptFiles; empty: the reader is asked
	Resumable    bool   // the Host keeps records for a later run
	Unattended   bool   // as after EndInput
	Stripes      Stripes
	Log          *slog.Logger
}

// A Manager moves the files of a conversation, both ways. Its methods may be called from any goroutine.
type Manager struct {
	config  Config
	host    Host
	own     string        // the conversation that counts the IDs of this side's files
	work    chan struct{} // wakes runTransfers
	leaving atomic.Bool
	foreign atomic.Bool // the other side is a plain WebRTC program
	pending atomic.Bool // files, or paths that are being looked at, are left
	settled atomic.Bool // a file of the other side has ended

	mu         sync.Mutex // guards what follows
	out, in    map[uint64]*file
	queue      []queued        // of this side, not offered yet
	sent       map[uint64]bool // files that the other side has
	missed     int             // files that had to get through, and have not
	loading    int             // paths that are being looked at, or offered
	offering   int             // offers that are about to be sent, or are sent, but have no ID yet
	registered sync.Cond       // tells that one has it, or was not sent
	closed     bool            // Close was called: nothing is queued any more
	suspending bool            // the next run of the program continues the files
	cutOff     bool            // the conversation ended against the will of this side
	unattended bool            // no reader will answer an offer

	expect    func(bool) // Pipe.Expect of the current pipe; nil without one
	greeted   bool       // the other side is known
	moving    int        // files of this side with a channel
	stripes   int        // how often files may still be spread over stripes
	havesOver bool       // the other side reads haves over stripes
	striped   *file      // of this side, has them; nil: none
	stripedIn *file      // of the other side, has them, and so an arrival; nil: none
}

// New returns a Manager for the conversation with the ID own, which continues the files of an earlier run:
// those of the other side were offered in the conversation peer.
func New(config Config, host Host, own, peer string, earlier []Record) *Manager {
	m := &Manager{
		config: config, host: host, own: own, work: make(chan struct{}, 1),
		out: map[uint64]*file{}, in: map[uint64]*file{}, sent: map[uint64]bool{}, unattended: config.Unattended,
	}
	m.registered.L = &m.mu
	for _, r := range earlier {
		f := &file{Offer: r.Offer, id: r.ID, of: own, outgoing: r.Outgoing, earlier: &r}
		if !r.Outgoing {
			f.of = peer
		}
		if r.Accepted {
			f.state.move(waiting)
		}
		m.put(f)
	}
	return m
}

// put, under mu, adds a file.
func (m *Manager) put(f *file) {
	m.side(f.outgoing)[f.id] = f
	m.recount()
}

// side, under mu, returns the files of one side.
func (m *Manager) side(outgoing bool) map[uint64]*file {
	if outgoing {
		return m.out
	}
	return m.in
}

// recount, under mu, makes Pending true if something is left to do.
func (m *Manager) recount() {
	m.pending.Store(len(m.out)+len(m.in)+len(m.queue)+m.loading > 0)
}

// Pending reports whether files are offered, on their way, or about to be offered. It does not wait.
func (m *Manager) Pending() bool { return m.pending.Load() }

// Settled reports whether a file of the other side has ended. It does not wait.
func (m *Manager) Settled() bool { return m.settled.Load() }

// Missed returns how many files had to get through, and have not.
func (m *Manager) Missed() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.missed
}

// Sent reports whether the other side has the file of this side with that ID.
func (m *Manager) Sent(id uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sent[id]
}

// Leave keeps further files from being offered and sent. It does not wait.
func (m *Manager) Leave() { m.leaving.Store(true) }

// EndInput declines what is offered, now or later, because no reader will answer.
func (m *Manager) EndInput() {
	m.mu.Lock()
	m.unattended = true
	m.mu.Unlock()
	if m.config.AcceptFiles {
		return
	}
	for _, f := range m.list(func(f *file) bool { return !f.outgoing && f.state == offered }) {
		_ = m.decline(f, unattended) // or the reader was faster
	}
}

// Close ends all files when the conversation has ended, because of why. If suspend, the next run of the
// program continues them. If cutOff, this side did not want that end, and all its files count as missed.
func (m *Manager) Close(why string, suspend, cutOff bool) {
	m.mu.Lock()
	for m.offering > 0 {
		m.registered.Wait()
	}
	m.closed, m.suspending, m.cutOff = true, suspend, cutOff
	queue := m.queue
	m.queue = nil
	for _, q := range queue {
		if q.must || cutOff {
			m.missed++
		}
	}
	m.recount()
	m.mu.Unlock()
	if len(queue) > 0 {
		m.host.Emit(Notice{Text: fmt.Sprintf("%d more files were not offered: the conversation has ended.", len(queue))})
	}
	for _, q := range queue {
		q.source.close()
	}
	for _, f := range m.list(func(*file) bool { return true }) {
		m.giveUp(f, why, false)
	}
}

// Restarted gives up what the other side's program no longer knows because it was restarted: all
// but the offers of this side after heard, which it has yet to hear.
func (m *Manager) Restarted(heard uint64) {
	for _, f := range m.list(func(f *file) bool { return !f.outgoing || f.state != offered || f.id <= heard }) {
		m.giveUp(f, "the other side's program was restarted", false)
	}
}

// Refuse gives up the file of this side with that ID, if there is one: a plain program takes none.
func (m *Manager) Refuse(id uint64) {
	if f := m.find(id, true); f != nil {
		m.giveUp(f, ErrNoFiles.Error(), false)
	}
}

// list returns the files for which which, called under mu, is true, in the order of their IDs.
func (m *Manager) list(which func(*file) bool) (fs []*file) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, side := range []map[uint64]*file{m.out, m.in} {
		for _, f := range side {
			if which(f) {
				fs = append(fs, f)
			}
		}
	}
	sortByID(fs)
	return fs
}

// find returns the file with that ID, or nil. The other side may answer an offer before Send has
// returned its ID, so find waits until no offer lacks its ID.
func (m *Manager) find(id uint64, outgoing bool) *file {
	m.mu.Lock()
	defer m.mu.Unlock()
	for outgoing && m.out[id] == nil && m.offering > 0 {
		m.registered.Wait()
	}
	return m.side(outgoing)[id]
}

// wakeTransfers makes runTransfers look again.
func (m *Manager) wakeTransfers() {
	select {
	case m.work <- struct{}{}:
	default:
	}
}
