// Package storetest has the tests that every [signaling.Store] passes: the one in memory, the one
// in NATS, and [signaling.Client]. They test each sentence of the documentation of signaling.Store.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
)

// testTimeout is how long one test may take, on the slowest machine.
const testTimeout = 30 * time.Second

// Limits are the limits of the Store that a test asks for.
type Limits struct {
	Rooms      int // in all; at least 100 if zero
	Candidates int // of one side of a room; exactly 100 if zero
	ListBytes  int // bytes of these candidates; exactly 128 KiB if zero
}

// An Opener opens an empty Store for one test, and closes it with t.Cleanup. It has to call
// observe with the Store in which reads wait (for a Client, that of the server) and use the Store
// that observe returns, because the tests wait until a read waits: see [Observe].
type Opener func(t *testing.T, limits Limits, observe func(signaling.Store) signaling.Store) signaling.Store

// Run runs the tests in parallel, each with its own Store.
func Run(t *testing.T, open Opener) {
	suite{open: open, bubble: func(t *testing.T, test func(*testing.T)) { test(t) }}.run(t)
}

// RunVirtual is Run with each test in a bubble of [testing/synctest], in virtual time. It is for
// Stores that use no network.
func RunVirtual(t *testing.T, open Opener) {
	suite{open: open, bubble: synctest.Test, virtual: true}.run(t)
}

type suite struct {
	t       *testing.T
	open    Opener
	bubble  func(*testing.T, func(*testing.T))
	virtual bool // bubble is one of synctest
}

func (s suite) run(t *testing.T) {
	for _, group := range []struct {
		name  string
		tests func(suite)
	}{
		{"offer", offers},
		{"reoffer", reoffers},
		{"answer", answers},
		{"lobby", lobby},
		{"read", reads},
		{"wait", waits},
		{"candidates", candidates},
		{"early candidates", earlyCandidates},
		{"listen", listening},
		{"close", closing},
		{"crowd", crowds},
		{"model", models},
	} {
		t.Run(group.name, func(t *testing.T) {
			s.t = t
			group.tests(s)
		})
	}
}

func (s suite) test(sentence string, test func(*store)) { s.limited(sentence, Limits{}, test) }

func (s suite) limited(sentence string, limits Limits, test func(*store)) {
	s.t.Run(sentence, func(t *testing.T) {
		t.Parallel()
		s.bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			t.Cleanup(cancel)
			x := &store{T: t, ctx: ctx, parked: make(chan struct{}, 10_000), virtual: s.virtual}
			x.Store = s.open(t, limits, func(below signaling.Store) signaling.Store { return Observe(below, x.parked) })
			test(x)
		})
	})
}

// A store is the Store under test, with helpers for one test.
type store struct {
	*testing.T
	signaling.Store

	ctx     context.Context // ends when the test takes too long
	parked  chan struct{}   // has one value for each read that has begun to wait
	virtual bool            // the test is in a bubble of synctest
}

// want fails the test unless err is wanted.
func (x *store) want(err, wanted error, doing string, args ...any) {
	x.Helper()
	if !errors.Is(err, wanted) {
		x.Fatalf("%s: got error %v, want %v", fmt.Sprintf(doing, args...), err, wanted)
	}
}

// opened opens room with an offer.
func (x *store) opened(room string) (signaling.Ticket, signaling.Version) {
	x.Helper()
	t := signaling.NewTicket(room, signaling.Caller)
	v, err := x.Offer(x.ctx, t, offer("1"))
	x.want(err, nil, "opening room %s", room)
	return t, v
}

// met opens room, answers in it, and adds a candidate on each side.
func (x *store) met(room string) (caller, callee signaling.Ticket) {
	x.Helper()
	caller, v := x.opened(room)
	callee = signaling.NewTicket(room, signaling.Callee)
	_, err := x.Answer(x.ctx, callee, v, answer("1"))
	x.want(err, nil, "answering")
	x.add(caller, 0, 1, "caller 0")
	x.add(callee, 0, 1, "callee 0")
	return caller, callee
}

// add adds candidates with these names, and expects the list to have count candidates afterwards.
func (x *store) add(t signaling.Ticket, at, count int, names ...string) {
	x.Helper()
	n, err := x.AddCandidates(x.ctx, t, at, list(names...)...)
	x.want(err, nil, "adding %q at %d", names, at)
	if n != count {
		x.Fatalf("adding %q at %d: the list has %d, want %d", names, at, n, count)
	}
}

// holds expects the side's description to be d (nil: none yet), and returns its version.
func (x *store) holds(room string, of signaling.Side, d signaling.Description) signaling.Version {
	x.Helper()
	got := x.description(x.ctx, reader(room), of, "", 0)
	if d == nil {
		x.want(got.err, noDescription[of], "reading the %s", of)
		return ""
	}
	x.want(got.err, nil, "reading the %s", of)
	if !bytes.Equal(got.d, d) {
		x.Fatalf("the %s is %q, want %q", of, got.d, d)
	}
	if got.v == "" {
		x.Fatalf("the %s has no version", of)
	}
	return got.v
}

// lists expects a side to have the candidates with these names from index after on.
func (x *store) lists(room string, of signaling.Side, after int, names ...string) {
	x.Helper()
	got := x.candidates(x.ctx, reader(room), of, after, 0)
	x.want(got.err, nil, "reading the %s candidates", of)
	x.same(got.list, names...)
}

func (x *store) same(got []signaling.Candidate, names ...string) {
	x.Helper()
	if g, w := signaling.JoinCandidates(got), signaling.JoinCandidates(list(names...)); !bytes.Equal(g, w) {
		x.Fatalf("the candidates are %s, want %s", g, w)
	}
}

// An outcome is what a read returned.
type outcome struct {
	d    signaling.Description
	v    signaling.Version
	list []signaling.Candidate
	err  error
	took time.Duration
}

func (x *store) description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) outcome {
	asked := time.Now()
	d, v, err := x.Description(ctx, t, of, known, wait)
	return outcome{d: d, v: v, err: err, took: time.Since(asked)}
}

func (x *store) candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) outcome {
	asked := time.Now()
	list, err := x.Candidates(ctx, t, of, after, wait)
	return outcome{list: list, err: err, took: time.Since(asked)}
}

// A waiting is a read that waits; it receives the read's outcome.
type waiting chan outcome

// wait starts a read, and returns once the read waits.
func (x *store) wait(read func() outcome) waiting {
	x.Helper()
	w := make(waiting, 1)
	go func() { w <- read() }()
	select {
	case <-x.parked:
	case o := <-w:
		x.Fatalf("the read did not wait: %q %q %q, %v", o.d, o.v, o.list, o.err)
	case <-x.ctx.Done():
		x.Fatal("the read did not begin to wait in time")
	}
	return w
}

// result returns the outcome of a waiting read.
func (x *store) result(w waiting) outcome {
	x.Helper()
	select {
	case o := <-w:
		return o
	case <-x.ctx.Done():
		x.Fatal("the waiting read did not return in time")
		return outcome{}
	}
}

// A document is one of the four of a room.
type document struct {
	name string
	of   signaling.Side
	list bool
}

var documents = []document{
	{"offer", signaling.Caller, false},
	{"answer", signaling.Callee, false},
	{"offer candidates", signaling.Caller, true},
	{"answer candidates", signaling.Callee, true},
}

// newer returns a read of doc for what is written after the call of newer.
func (x *store) newer(doc document, t signaling.Ticket) func(context.Context, time.Duration) outcome {
	x.Helper()
	plain := reader(t.Room)
	if doc.list {
		had := len(x.candidates(x.ctx, plain, doc.of, 0, 0).list)
		return func(ctx context.Context, wait time.Duration) outcome {
			return x.candidates(ctx, t, doc.of, had, wait)
		}
	}
	known := x.description(x.ctx, plain, doc.of, "", 0).v
	return func(ctx context.Context, wait time.Duration) outcome {
		return x.description(ctx, t, doc.of, known, wait)
	}
}

// Documents that a callee who was turned down may not read, and documents that only the room's
// caller may read with its token.
var calleeReads, callerReads = documents[1:], []document{documents[1], documents[3]}

// refuses expects reads of these documents to return an error at once.
func (x *store) refuses(when string, t signaling.Ticket, docs []document, wanted error) {
	x.Helper()
	for _, doc := range docs {
		for _, wait := range []time.Duration{0, signaling.Forever} {
			x.want(x.newer(doc, t)(x.ctx, wait).err, wanted, "%s: reading the %s", when, doc.name)
		}
	}
}

// waitForAll has a read wait for each of the documents with each ticket.
func (x *store) waitForAll(docs []document, tickets ...signaling.Ticket) map[string]waiting {
	x.Helper()
	all := map[string]waiting{}
	for i, t := range tickets {
		for _, doc := range docs {
			read := x.newer(doc, t)
			all[fmt.Sprintf("reader %d of the %s", i, doc.name)] = x.wait(func() outcome { return read(x.ctx, signaling.Forever) })
		}
	}
	return all
}

var noDescription = map[signaling.Side]error{signaling.Caller: signaling.ErrNoOffer, signaling.Callee: signaling.ErrNoAnswer}

// reader returns a ticket without a token.
func reader(room string) signaling.Ticket { return signaling.Ticket{Room: room} }

func offer(text string) signaling.Description {
	return fmt.Appendf(nil, `{"type":"offer","sdp":%q}`, text)
}

func answer(text string) signaling.Description {
	return fmt.Appendf(nil, `{"type":"answer","sdp":%q}`, text)
}

func list(names ...string) []signaling.Candidate {
	var list []signaling.Candidate
	for _, name := range names {
		list = append(list, fmt.Appendf(nil, `{"candidate":%q}`, name))
	}
	return list
}
