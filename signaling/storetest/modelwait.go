package storetest

import (
	"bytes"
	"context"
	"errors"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"p2pchat/signaling"
)

const (
	modelReads = 4           // that wait at once
	modelSleep = time.Second // longer than a wait that ends early
)

// A modelRead is a read of one document that waits for ever, and what its caller has of the document.
type modelRead struct {
	token  string
	of     signaling.Side
	list   bool
	known  signaling.Version
	after  int
	cancel context.CancelFunc
	result waiting
}

// wait starts a read. It returns once the read waits or has returned.
func (m *roomModel) wait(t *rapid.T) {
	if len(m.waiting) == modelReads {
		return
	}
	r := &modelRead{
		token: rapid.SampledFrom(m.tokens).Draw(t, "reader"), of: rapid.SampledFrom([]signaling.Side{signaling.Caller, signaling.Callee}).Draw(t, "of"),
		list: rapid.Bool().Draw(t, "list"), result: make(waiting, 1),
	}
	side, ticket := m.sides[r.of], signaling.Ticket{Room: m.room, Token: r.token}
	r.known = rapid.SampledFrom([]signaling.Version{"", side.v}).Draw(t, "known")
	r.after = rapid.IntRange(0, len(side.list)+1).Draw(t, "after")
	for len(m.parked) > 0 {
		<-m.parked
	}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(m.ctx)
	go func() {
		if r.list {
			r.result <- m.candidates(ctx, ticket, r.of, r.after, signaling.Forever)
		} else {
			r.result <- m.description(ctx, ticket, r.of, r.known, signaling.Forever)
		}
	}()
	m.waiting = append(m.waiting, r)
	if m.virtual { // a Client's reads wait again and again, so that more than one of them may have parked
		synctest.Wait()
		return
	}
	select {
	case <-m.parked:
	case o := <-r.result:
		r.result <- o
	}
}

// sleep lets waits end that end too early.
func (m *roomModel) sleep(*rapid.T) {
	if m.virtual {
		time.Sleep(modelSleep)
	}
}

// checkWaiting expects the reads to have returned that have something to return by now.
func (m *roomModel) checkWaiting(t *rapid.T) {
	still := m.waiting[:0]
	for _, r := range m.waiting {
		side, err := m.sides[r.of], error(nil)
		if r.list || r.of == signaling.Callee {
			err = m.mayRead(r.token, r.of)
		}
		switch {
		case err != nil:
			m.ends(t, r, nil, "", nil, err)
		case r.list && len(side.list) > r.after:
			m.ends(t, r, nil, "", side.list[r.after:], nil)
		case !r.list && side.d != nil && side.v != r.known:
			m.ends(t, r, side.d, side.v, nil, nil)
		default:
			still = append(still, r)
		}
	}
	m.waiting = still
}

// roomClosed expects all reads to have returned, because the room was closed.
func (m *roomModel) roomClosed(t *rapid.T) {
	for _, r := range m.waiting {
		m.ends(t, r, nil, "", nil, signaling.ErrClosed)
	}
	m.waiting = nil
}

// ends expects a read to return this.
func (m *roomModel) ends(t *rapid.T, r *modelRead, d signaling.Description, v signaling.Version, list []signaling.Candidate, wanted error) {
	late := time.NewTimer(testTimeout)
	defer late.Stop()
	select {
	case o := <-r.result:
		same := bytes.Equal(o.d, d) && o.v == v && bytes.Equal(signaling.JoinCandidates(o.list), signaling.JoinCandidates(list))
		if !errors.Is(o.err, wanted) || !same {
			t.Fatalf("a waiting read of the %s returned %s in version %q, %s, %v; want %s in version %q, %s, %v", r.of, o.d, o.v, o.list, o.err, d, v, list, wanted)
		}
		r.cancel()
	case <-late.C:
		t.Fatalf("a read of the %s waits on; want %s in version %q, %s, %v", r.of, d, v, list, wanted)
	}
}

// stopWaiting ends the reads that wait when the test of the model has ended.
func (m *roomModel) stopWaiting() {
	for _, r := range m.waiting {
		r.cancel()
	}
}
