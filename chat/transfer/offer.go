package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
)

// queued is a source that has to wait before it is offered.
type queued struct {
	source *source
	must   bool
}

// SendFiles offers the other side the files and folders at these paths, in this order, and returns the
// IDs of those that need not wait for others. If one cannot be sent, none is offered. If must, each counts
// as missed unless the other side gets it. It returns ErrNoFiles, ErrTooManyFiles, the Host's error, the
// context's, or which path cannot be sent and why.
func (m *Manager) SendFiles(ctx context.Context, must bool, paths []string) (ids []uint64, err error) {
	if m.foreign.Load() {
		return nil, ErrNoFiles
	}
	m.mu.Lock()
	if len(m.queue)+m.loading+len(paths) > maxQueued {
		m.mu.Unlock()
		return nil, ErrTooManyFiles
	}
	m.loading += len(paths) // the conversation does not end before they are offered
	m.recount()
	m.mu.Unlock()
	defer m.loaded(len(paths))
	sources, err := newSources(ctx, paths)
	if err != nil {
		return nil, err
	}
	for i, s := range sources {
		id, err := m.offerOrResume(queued{s, must})
		switch {
		case err != nil:
			closeAll(sources[i:])
			return ids, err
		case id != 0:
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// loaded notes that n paths are offered, queued, or refused.
func (m *Manager) loaded(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loading -= n
	m.recount()
}

// offerOrResume continues what an earlier run of the program has offered, rather than offer it again: the
// same command may have started this run. The id is 0 if the source has to wait.
func (m *Manager) offerOrResume(q queued) (id uint64, err error) {
	for _, f := range m.list(func(f *file) bool { return f.outgoing && f.kept != nil && f.kept.Path == q.source.path }) {
		if m.resumeSending(f, q.source) {
			m.mu.Lock()
			defer m.mu.Unlock()
			f.must = q.must
			return f.id, nil
		}
	}
	m.mu.Lock()
	wait := !m.leaving.Load() && (len(m.out) >= maxOffers || len(m.queue) > 0)
	m.mu.Unlock()
	if !wait {
		id, err = m.offer(q)
	}
	if wait || errors.Is(err, ErrFull) {
		m.mu.Lock()
		m.queue = append(m.queue, q)
		m.recount()
		m.mu.Unlock()
		m.OfferQueued() // there may be room by now
		return 0, nil
	}
	return id, err
}

// offer tells both sides of a file. The error is that of Host.Send.
func (m *Manager) offer(q queued) (id uint64, err error) {
	text, err := json.Marshal(q.source.Offer)
	if err != nil {
		return 0, err
	}
	f := &file{Offer: q.source.Offer, of: m.own, outgoing: true, must: q.must, source: q.source, hash: sha256.New()}
	f.turn.Lock() // the reader hears of the offer first
	defer f.turn.Unlock()
	m.mu.Lock()
	m.offering++
	m.mu.Unlock()
	id, err = m.host.Send(KindOffer, string(text))
	m.mu.Lock()
	m.offering--
	if f.id = id; err == nil {
		m.put(f)
	}
	m.registered.Broadcast()
	m.mu.Unlock()
	if err == nil {
		m.keep(f)
		m.emitOffering(f)
	}
	return id, err
}

// OfferQueued offers what has waited, as far as there is room. The Host calls it when Send has room again.
func (m *Manager) OfferQueued() {
	for m.Pending() { // costs nothing where there is no file
		q, ok := m.dequeue()
		if !ok {
			return
		}
		_, err := m.offer(q)
		m.mu.Lock()
		full := errors.Is(err, ErrFull)
		switch {
		case full:
			m.queue = append([]queued{q}, m.queue...)
		case err != nil && q.must:
			m.missed++
		}
		m.mu.Unlock()
		m.loaded(1)
		switch {
		case full:
			return
		case err != nil: // the journal cannot be written; the next may be
			q.source.close()
			m.host.Emit(Notice{Text: fmt.Sprintf("%q was not offered: %v.", q.source.Name, err)})
		}
	}
}

// dequeue takes the next of the queue, if it may be offered now.
func (m *Manager) dequeue() (q queued, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving.Load() || len(m.queue) == 0 || len(m.out) >= maxOffers {
		return queued{}, false
	}
	q, m.queue = m.queue[0], m.queue[1:]
	m.loading++ // the conversation does not end before it is offered
	return q, true
}

func (m *Manager) emitOffering(f *file) {
	m.host.Emit(Offering{ID: f.id, Name: f.Name, Size: f.Size, Folder: f.Folder, Files: f.Files})
	if n := f.source.leftOut; n > 0 {
		m.host.Emit(Notice{Text: notSent(f.Name, n)})
	}
}

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
		return ErrNoFile
	}
	if err := m.send(KindAccept, f, note{}); err != nil {
		m.mu.Lock()
		if f.state.move(offered) {
			f.download = nil
			m.expectChannels()
		}
		m.mu.Unlock()
		d.discard()
		return err
	}
	m.keep(f)
	return nil
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
	if json.Unmarshal([]byte(text), &o) != nil || o.Size < 0 || o.Size > 1<<60 || o.Files < 0 || !o.Folder && o.Files > 0 {
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
	m.host.Emit(Offered{ID: f.id, From: from, Name: f.Name, Called: f.Called, Size: f.Size, Folder: f.Folder, Files: f.Files})
	switch {
	case m.config.AcceptFiles:
		if err := m.accept(f); err != nil && !errors.Is(err, ErrNoFile) {
			m.giveUpWith(f, err)
		}
	case declined != "":
		_ = m.decline(f, declined) // or the other side was faster
	}
}

// Greeted notes that the other side's program is known on the current pipe, and which it is: from then on files
// move. It tells the reader of the offers of an earlier run that have no answer.
func (m *Manager) Greeted(peer Peer) {
	for _, f := range m.list(func(f *file) bool { return f.kept != nil && !f.outgoing && f.state == offered }) {
		m.mu.Lock()
		f.kept = nil // once
		m.mu.Unlock()
		m.ask(f, peer.Name)
	}
	m.mu.Lock()
	m.greeted = true
	m.mu.Unlock()
	m.wakeTransfers()
}

// tell is send for what may be lost: then the other side waits until the conversation ends.
func (m *Manager) tell(k Kind, f *file, n note) {
	if err := m.send(k, f, n); err != nil {
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

// Attach prepares for a pipe, before the other side knows of it. A plain WebRTC program takes no files.
func (m *Manager) Attach(pipe Pipe, foreign bool) {
	m.foreign.Store(foreign)
	if foreign {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expect = pipe.Expect
	m.expectChannels()
}

// Detach ends what Attach began.
func (m *Manager) Detach() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expect, m.greeted = nil, false
}

// expectChannels, under mu, allows the other side to open channels while a file of its own is to come. The
// pipe only sets a flag: the order of two calls matters, so they are made under mu.
func (m *Manager) expectChannels() {
	if m.expect == nil {
		return
	}
	coming := false
	for _, f := range m.in {
		coming = coming || f.state != offered
	}
	m.expect(coming)
}
