package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// queued is a source that has to wait before it is offered.
type queued struct {
	source *source
	must   bool
}

// SendFiles offers the other side the files and folders at these paths, in this order, and returns the
// IDs of those that need not wait for others. If one cannot be sent, none is offered. If must, each counts
// as missed unless the other side gets it. It returns ErrNoFiles, ErrTooManyFiles, ErrOver, the Host's
// error, the context's, or which path cannot be sent and why.
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
			m.missRest(must, len(sources)-i-1)
			return ids, err
		case id != 0:
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// missRest counts as missed, if must, the n sources after one that could not be offered: that one is counted by offer
// or offerOrResume.
func (m *Manager) missRest(must bool, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if must {
		m.missed += n
	}
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
	for _, f := range m.list(func(f *file) bool { return f.outgoing && f.earlier != nil && f.earlier.Path == q.source.path }) {
		if m.resumeSending(f, q.source) {
			m.mu.Lock()
			defer m.mu.Unlock()
			f.must = q.must
			return f.id, nil
		}
	}
	wait, err := m.queueOrBegin(q)
	if err == nil && !wait {
		id, err = m.offer(q)
	}
	if wait || errors.Is(err, ErrFull) {
		m.OfferQueued() // there may be room by now
		return 0, nil
	}
	return id, err
}

// queueOrBegin queues a source that has to wait, and counts any other one in offering. It returns ErrOver if Close has
// emptied the queue.
func (m *Manager) queueOrBegin(q queued) (wait bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		if q.must {
			m.missed++
		}
		return false, ErrOver
	case !m.leaving.Load() && (len(m.out) >= maxOffers || len(m.queue) > 0):
		m.queue = append(m.queue, q)
		m.recount()
		return true, nil
	}
	m.offering++
	return false, nil
}

// offer tells both sides of a file that the caller has counted in offering. The error is that of Host.Send: after
// ErrFull, the source is the first of the queue; after another one, it counts as missed if it had to get through.
func (m *Manager) offer(q queued) (id uint64, err error) {
	f := &file{Offer: q.source.Offer, of: m.own, outgoing: true, must: q.must, source: q.source, hash: sha256.New()}
	f.turn.Lock() // the reader hears of the offer first
	defer f.turn.Unlock()
	text, err := json.Marshal(q.source.Offer)
	if err == nil {
		id, err = m.host.Send(KindOffer, string(text))
	}
	m.mu.Lock()
	m.offering-- // Close waits for that, and finds what is put or queued here
	f.id = id
	switch {
	case err == nil:
		m.put(f)
	case errors.Is(err, ErrFull):
		m.queue = slices.Insert(m.queue, 0, q)
		m.recount()
	case q.must:
		m.missed++
	}
	m.registered.Broadcast()
	m.mu.Unlock()
	if err == nil {
		m.keep(f)
		m.emitOffering(f, false)
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
		m.loaded(1)
		switch {
		case errors.Is(err, ErrFull):
			return
		case err != nil: // the journal cannot be written; the next may be
			q.source.close()
			m.host.Emit(Notice{Text: fmt.Sprintf("%q was not offered: %v.", q.source.Name, err)})
		}
	}
}

// dequeue takes the next of the queue, if it may be offered now, and counts it in offering.
func (m *Manager) dequeue() (q queued, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving.Load() || len(m.queue) == 0 || len(m.out) >= maxOffers {
		return queued{}, false
	}
	q, m.queue = m.queue[0], m.queue[1:]
	m.loading++ // the conversation does not end before it is offered
	m.offering++
	return q, true
}

func (m *Manager) emitOffering(f *file, accepted bool) {
	m.host.Emit(Offering{ID: f.id, Name: f.Name, Size: f.Size, Folder: f.Folder, Files: f.Files, Content: f.Content, Accepted: accepted})
	if n := f.source.leftOut; n > 0 {
		m.host.Emit(Notice{Text: notSent(f.Name, n)})
	}
}
