package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Accept accepts the file of the other side with that ID. It returns ErrNoFile, the Host's error, or why
// the download folder cannot be written to.
func (m *Manager) Accept(id uint64) error {
	f := m.find(id, false)
	if f == nil {
		return ErrNoFile
	}
	return m.accept(f)
}

// accept is Accept. An error of the file system is told in terms of the download folder.
func (m *Manager) accept(f *file) error {
	d, err := createDownload(m.config.DownloadDir, f.Offer, m.config.Resumable)
	if err != nil {
		return unwritable(m.config.DownloadDir, err)
	}
	begun, err := m.answer(f, d)
	if begun { // a file cannot wait for its answer again once a channel had it
		m.giveUpWith(f, err)
	}
	return err
}

// answer tells the other side that f is accepted. After an error, f waits for an answer again, unless begun: the other
// side has opened a channel before it was told.
func (m *Manager) answer(f *file, d *download) (begun bool, err error) {
	f.turn.Lock()
	defer f.turn.Unlock()
	m.mu.Lock()
	ok := f.state.move(accepted) // before the other side hears of it, and opens a channel
	if ok {
		f.download = d
		m.expectChannels()
	}
	m.mu.Unlock()
	if !ok {
		d.discard()
		return false, ErrNoFile
	}
	if err := m.send(KindAccept, f, note{}); err != nil {
		m.mu.Lock()
		back := f.state.move(offered)
		if back {
			f.download = nil
			m.expectChannels()
		}
		m.mu.Unlock()
		if back { // or finish discards it
			d.discard()
		}
		return !back, err
	}
	m.keep(f)
	return false, nil
}

// Decline declines the file of the other side with that ID. It returns ErrNoFile unless the file waits for an answer.
func (m *Manager) Decline(id uint64) error {
	f := m.find(id, false)
	if f == nil {
		return ErrNoFile
	}
	return m.decline(f, "declined")
}

func (m *Manager) decline(f *file, why string) error {
	m.mu.Lock()
	answered := f.state != offered
	m.mu.Unlock()
	if answered || !m.giveUp(f, why, true) {
		return ErrNoFile
	}
	return nil
}

const unattended = "declined: the receiving side's input has ended"

// Cancelled is the Reason of a Failed that this side cancelled.
const Cancelled = "you cancelled it"

// Cancel gives up a file, this side's if outgoing, else the other side's, whether it was accepted or not.
// It returns ErrNoFile if the file has ended.
func (m *Manager) Cancel(id uint64, outgoing bool) error {
	f, told := m.find(id, outgoing), "cancelled by its receiver"
	if outgoing {
		told = "cancelled by its sender"
	}
	if f == nil || !m.end(f, failed) {
		return ErrNoFile
	}
	m.fail(f, Cancelled, told, true)
	return nil
}

// Handle takes a frame of the other side. Its error says why the frame makes no sense. If full, Send has
// no room for what a further offer would need.
func (m *Manager) Handle(from Peer, seq uint64, k Kind, text string, full bool) error {
	if k == KindOffer {
		return m.handleOffer(from, seq, text, full)
	}
	var n note
	if json.Unmarshal([]byte(text), &n) != nil {
		return fmt.Errorf("frame %d of kind %d about a file makes no sense", seq, k)
	}
	var f *file
	switch n.Of {
	case m.own:
		f = m.find(n.ID, true)
	case from.Conversation:
		f = m.find(n.ID, false)
	}
	switch {
	case f == nil: // it has ended here
	case k == KindCancel:
		m.giveUp(f, properReason(n.Reason, reasonTold), false)
	case !f.outgoing:
		return fmt.Errorf("the other side answered its own offer with kind %d", k)
	case k == KindAccept:
		m.handleAccept(f)
	case k == KindReceived:
		m.handleReceived(f, n)
	}
	return nil
}

// handleAccept notes that the other side wants a file of this side. It says so again when its program
// has continued an earlier run.
func (m *Manager) handleAccept(f *file) {
	f.turn.Lock()
	defer f.turn.Unlock()
	m.mu.Lock()
	news := f.state.move(accepted)
	m.mu.Unlock()
	if news {
		m.keep(f)
	}
	m.wakeTransfers()
}

func (m *Manager) handleOffer(from Peer, seq uint64, text string, full bool) error {
	var o Offer
	if json.Unmarshal([]byte(text), &o) != nil || !o.makesSense() {
		return errors.New("an offer that makes no sense")
	}
	o.Called = ""
	if proper := properFile(o.Name); proper != o.Name {
		o.Called, o.Name = o.Name, proper
	}
	f := &file{Offer: o, id: seq, of: from.Conversation}
	m.mu.Lock()
	known, tooMany := m.in[f.id] != nil, len(m.in) >= maxFiles || full
	if !known && !tooMany {
		m.put(f)
	}
	m.mu.Unlock()
	switch {
	case known: // no reader was left when it came before
		return nil
	case tooMany:
		if !full {
			m.tell(KindCancel, f, note{Reason: "too many files are waiting for an answer"})
		}
		return fmt.Errorf("an offer beyond the %d that may wait", maxFiles)
	}
	f.turn.Lock()
	m.keep(f)
	f.turn.Unlock()
	m.ask(f, from.Name)
	return nil
}

// ask tells the reader of an offer, or answers it if no reader is asked.
func (m *Manager) ask(f *file, from string) {
	m.mu.Lock()
	declined := m.config.DeclineFiles
	if declined == "" && m.unattended {
		declined = unattended
	}
	m.mu.Unlock()
	m.host.Emit(Offered{ID: f.id, From: from, Name: f.Name, Called: f.Called, Size: f.Size, Folder: f.Folder, Files: f.Files, Content: f.Content})
	switch {
	case m.config.AcceptFiles:
		if err := m.accept(f); err != nil && !errors.Is(err, ErrNoFile) {
			m.giveUpWith(f, err)
		}
	case declined != "":
		_ = m.decline(f, declined) // or the other side was faster
	}
}

// tell is send for what may be lost: then the other side waits until the conversation ends.
func (m *Manager) tell(k Kind, f *file, n note) {
	err := m.send(k, f, n)
	if m.host.Queued(err); err != nil {
		m.config.Log.Info("the other side cannot be told of a file", "why", err)
	}
}

// send queues a note about f for the other side.
func (m *Manager) send(k Kind, f *file, n note) error {
	n.ID, n.Of = f.id, f.of
	text, err := json.Marshal(n)
	if err == nil {
		_, err = m.host.Send(k, string(text))
	}
	return err
}
