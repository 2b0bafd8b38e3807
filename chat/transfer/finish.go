package transfer

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"p2pchat/chat/disk"
)

// handleReceived ends a file of this side that the other side has.
func (m *Manager) handleReceived(f *file, n note) {
	m.mu.Lock()
	sum := f.sum
	m.mu.Unlock()
	if sum == nil {
		m.giveUp(f, "the receiver confirmed what was not sent", true)
		return
	}
	if !m.end(f, done) {
		return
	}
	spoiled := f.source.leftOuts()
	m.mu.Lock()
	m.sent[f.id] = true
	if f.must {
		m.missed += missing(spoiled)
	}
	m.mu.Unlock()
	m.emitLeftOut(f, spoiled)
	as := []rune(n.As)
	m.finish(f, Sent{ID: f.id, Name: f.Name, Size: f.Size, Folder: f.Folder, Files: f.Files, Content: f.Content, SHA256: *sum, As: string(as[:min(len(as), maxName)]), Renamed: n.Renamed})
}

// giveUp ends a file that does not get through, and returns false if it has ended before. If tell, the
// other side is told why.
func (m *Manager) giveUp(f *file, why string, tell bool) bool {
	first := m.end(f, failed)
	if first {
		m.fail(f, why, why, tell)
	}
	return first
}

// giveUpWith ends a file that cannot be received because of err.
func (m *Manager) giveUpWith(f *file, err error) {
	if m.end(f, failed) {
		m.fail(f, err.Error(), reasonOf(err), true)
	}
}

// fail tells the reader why f, whose state is failed, has not got through; and if tell, the other side in
// those other words.
func (m *Manager) fail(f *file, why, told string, tell bool) {
	m.endArrival(f)
	if tell && !m.leaving.Load() {
		m.tell(KindCancel, f, note{Reason: properReason(told, reasonTold)}) // a reason may hold a name, and has to fit into a frame
	}
	m.mu.Lock()
	if f.outgoing && (f.must || m.cutOff) || !f.outgoing && m.config.AcceptFiles {
		m.missed++
	}
	m.mu.Unlock()
	m.finish(f, Failed{ID: f.id, Outgoing: f.outgoing, Name: f.Name, Reason: properReason(why, reasonOwn)})
}

// end moves f to that state, and returns true to the goroutine that decides how f ends.
func (m *Manager) end(f *file, to state) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.state.over() || !f.state.move(to) {
		return false
	}
	if f.stop != nil {
		f.stop()
	}
	return true
}

// endArrival drops what has arrived of f out of order, before the other side hears that f has ended: it gives f's stripes to the next file.
func (m *Manager) endArrival(f *file) {
	m.mu.Lock()
	a := f.arrival
	m.dropArrival(f)
	m.mu.Unlock()
	if a != nil {
		a.close()
	}
}

// finish tells how f ended, and forgets it. Pending reports it until then.
func (m *Manager) finish(f *file, e Event) {
	m.mu.Lock()
	s, d, suspend := f.source, f.download, m.suspending
	m.mu.Unlock()
	if s != nil {
		s.close()
	}
	switch {
	case d != nil && suspend:
		d.suspend()
	case d != nil:
		d.discard()
	}
	f.turn.Lock()
	m.host.Emit(e)
	f.turn.Unlock()
	m.mu.Lock()
	delete(m.side(f.outgoing), f.id)
	m.expectChannels()
	m.recount()
	m.mu.Unlock()
	if !f.outgoing {
		m.settled.Store(true)
	}
	if !suspend {
		m.host.Keep(Record{Ref: Ref{f.id, f.outgoing}, Ended: true})
	}
	m.wakeTransfers()
	m.OfferQueued()
}

// reasonOf returns what the other side is told when a file cannot be received: the kind of error, and
// nothing of this side's file system.
func reasonOf(err error) string {
	system := syscall.Errno(0)
	switch {
	case !errors.As(err, &system):
		return disk.WithoutPath(err).Error()
	case errors.Is(err, syscall.ENOSPC):
		return "the receiver's disk is full"
	}
	return "the receiver could not write it: " + system.Error()
}

// unwritable returns what the person is told when files cannot be written to dir.
func unwritable(dir string, err error) error {
	if errors.As(err, new(syscall.Errno)) {
		absolute, _ := filepath.Abs(dir) // or else it is empty
		return fmt.Errorf("it cannot be written to %s: %w. %s", cmp.Or(absolute, dir), disk.WithoutPath(err), remedy(err))
	}
	return err
}

// remedy returns what the person can do when a file cannot be written.
func remedy(err error) string {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return "Make room there, then ask for the file again"
	}
	return "Choose another folder with --download-dir, then ask for the file again"
}

// The length of a reason, in characters: one that the other side gives or is told, and one of
// this program's own, which may hold a path.
const (
	reasonTold = 200
	reasonOwn  = 4000
)

// properReason shortens a reason to at most that number of characters, and leaves out those that leave no trace on a screen.
func properReason(why string, most int) string {
	shown := []rune(Visible(strings.ToValidUTF8(why, string(utf8.RuneError))))
	if len(shown) == 0 {
		return "the other side cancelled it"
	}
	return string(shown[:min(len(shown), most)])
}
