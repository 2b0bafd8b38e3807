package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"p2pchat/signaling"
)

// models compares the Store with a model, over random sequences of requests, while some reads wait.
func models(s suite) {
	s.test("random requests find what a simple model holds", func(x *store) {
		x.model(func() string { return "model" + rand.Text() })
	})
	s.test("random requests in the lobby find what a simple model holds", func(x *store) {
		x.model(func() string { return signaling.Lobby })
	})
}

func (x *store) model(room func() string) {
	x.ctx = x.Context()                                     // a Client that sends too much waits, in virtual time
	rapid.Check(struct{ rapid.TB }{x.T}, func(t *rapid.T) { // without Deadline, which a bubble does not allow
		m := &roomModel{store: x, room: room(), tokens: []string{""}, versions: map[signaling.Version]bool{}}
		defer m.stopWaiting()
		for range 3 {
			m.tokens = append(m.tokens, signaling.NewTicket(m.room, signaling.Caller).Token)
		}
		t.Repeat(map[string]func(*rapid.T){
			"offer": m.offer, "reoffer": m.reoffer, "answer": m.answer, "add": m.add, "close": m.close, "wait": m.wait, "sleep": m.sleep,
			"": func(t *rapid.T) { m.checkWaiting(t); m.read(t) },
		})
		if m.sides[signaling.Caller].d != nil { // leave space for the other runs
			m.check(t, m.Close(m.ctx, signaling.Ticket{Room: m.room, Token: m.sides[signaling.Caller].token}), nil, "closing at the end")
			m.roomClosed(t)
		}
		for _, r := range m.waiting {
			r.cancel()
			m.ends(t, r, nil, "", nil, context.Canceled)
		}
	})
}

// A roomModel is one room, as the documentation of signaling.Store describes it.
type roomModel struct {
	*store
	room       string
	tokens     []string // that requests choose from; in the lobby, also to write
	sides      [2]modelSide
	turnedDown []string                   // tokens of replaced answers, the latest last
	versions   map[signaling.Version]bool // that the Store has given
	waiting    []*modelRead               // reads that wait
}

func (m *roomModel) inLobby() bool { return m.room == signaling.Lobby }

type modelSide struct {
	d     signaling.Description // nil: none
	v     signaling.Version
	token string
	list  []signaling.Candidate
}

func (m *roomModel) check(t *rapid.T, err, wanted error, doing string) {
	if !errors.Is(err, wanted) {
		t.Fatalf("%s: got error %v, want %v", doing, err, wanted)
	}
}

func (m *roomModel) ticket(t *rapid.T, side signaling.Side) signaling.Ticket {
	tokens := m.tokens[1:]
	if m.inLobby() {
		tokens = m.tokens
	}
	return signaling.Ticket{Room: m.room, Side: side, Token: rapid.SampledFrom(tokens).Draw(t, "token")}
}

// draw returns the description with one of the texts. It names an ICE username fragment, and no candidate of the model
// does: so the lobby keeps none of them for the next offer.
func (m *roomModel) draw(t *rapid.T, describe func(string) signaling.Description, texts ...string) signaling.Description {
	return describe("a=ice-ufrag:" + rapid.SampledFrom(texts).Draw(t, "text"))
}

// written checks the outcome of writing d, and writes it in the model.
func (m *roomModel) written(t *rapid.T, ticket signaling.Ticket, d signaling.Description, v signaling.Version, err, wanted error) {
	m.check(t, err, wanted, "writing the "+ticket.Side.String())
	now := &m.sides[ticket.Side]
	switch {
	case err != nil:
		return
	case m.repeats(ticket, d):
		if v != now.v {
			t.Fatalf("a repeated %s has version %q, and had %q", ticket.Side, v, now.v)
		}
		return
	case v == "" || m.versions[v]:
		t.Fatalf("version %q was given before", v)
	}
	m.versions[v] = true
	if callee := &m.sides[signaling.Callee]; callee.token != "" {
		m.turnedDown = append(m.turnedDown, callee.token)
		m.turnedDown = m.turnedDown[max(0, len(m.turnedDown)-8):]
	}
	if ticket.Side == signaling.Caller {
		m.sides = [2]modelSide{}
	}
	now.d, now.v, now.token = d, v, ticket.Token // a new answer in the lobby leaves the list
}

func (m *roomModel) repeats(t signaling.Ticket, d signaling.Description) bool {
	return t.Token != "" && m.sides[t.Side].token == t.Token && bytes.Equal(m.sides[t.Side].d, d)
}

func (m *roomModel) offer(t *rapid.T) {
	ticket, d := m.ticket(t, signaling.Caller), m.draw(t, offer, "1", "2")
	var wanted error
	if m.sides[signaling.Caller].d != nil && !m.repeats(ticket, d) && !m.inLobby() {
		wanted = signaling.ErrOccupied
	}
	v, err := m.Offer(m.ctx, ticket, d)
	m.written(t, ticket, d, v, err, wanted)
}

func (m *roomModel) reoffer(t *rapid.T) {
	ticket, d := m.ticket(t, signaling.Caller), m.draw(t, offer, "1", "2", "3")
	wanted := m.mayWrite(ticket)
	v, err := m.Reoffer(m.ctx, ticket, d)
	m.written(t, ticket, d, v, err, wanted)
}

func (m *roomModel) answer(t *rapid.T) {
	ticket, d := m.ticket(t, signaling.Callee), m.draw(t, answer, "1", "2")
	current := m.sides[signaling.Caller]
	to := rapid.SampledFrom([]signaling.Version{"", current.v, "never-was"}).Draw(t, "to")
	var wanted error
	switch {
	case current.d == nil:
		wanted = signaling.ErrNoOffer
	case m.repeats(ticket, d):
	case to != "" && to != current.v:
		wanted = signaling.ErrSuperseded
	case m.sides[signaling.Callee].d != nil && !m.inLobby():
		wanted = signaling.ErrAnswered
	}
	v, err := m.Answer(m.ctx, ticket, to, d)
	m.written(t, ticket, d, v, err, wanted)
}

// mayWrite returns the error of a write by t that needs t's side to be its own.
func (m *roomModel) mayWrite(t signaling.Ticket) error {
	switch {
	case m.sides[signaling.Caller].d == nil:
		return signaling.ErrNoRoom
	case m.inLobby() && t.Token == "":
		return nil
	case m.sides[t.Side].token != t.Token:
		return signaling.ErrWrongToken
	}
	return nil
}

func (m *roomModel) add(t *rapid.T) {
	ticket := m.ticket(t, rapid.SampledFrom([]signaling.Side{signaling.Caller, signaling.Callee}).Draw(t, "side"))
	now := &m.sides[ticket.Side]
	at := rapid.IntRange(-1, len(now.list)+1).Draw(t, "at")
	var more []signaling.Candidate
	for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 4).Draw(t, "candidates") {
		more = append(more, fmt.Appendf(nil, `{"candidate":%q,"usernameFragment":"of none"}`, name))
	}
	if m.inLobby() && m.sides[signaling.Caller].d == nil && ticket == reader(m.room) {
		return // they would wait for the next offer: see earlyCandidates
	}
	wanted, grown := m.mayWrite(ticket), now.list
	switch {
	case wanted != nil:
	case at > len(now.list):
		wanted = signaling.ErrGap
	case at < 0:
		grown = append(slices.Clip(now.list), more...)
	default:
		grown = append(slices.Clip(now.list), more[min(len(now.list)-at, len(more)):]...)
	}
	if wanted == nil && len(grown) > 100 {
		wanted, grown = signaling.ErrListFull, now.list
	}
	n, err := m.AddCandidates(m.ctx, ticket, at, more...)
	m.check(t, err, wanted, "adding candidates")
	if now.list = grown; err == nil && n != len(grown) {
		t.Fatalf("the list has %d, want %d", n, len(grown))
	}
}

func (m *roomModel) close(t *rapid.T) {
	ticket := m.ticket(t, signaling.Caller)
	wanted := m.mayWrite(ticket)
	err := m.Close(m.ctx, ticket)
	m.check(t, err, wanted, "closing")
	if err == nil {
		m.sides, m.turnedDown = [2]modelSide{}, nil
		m.roomClosed(t)
	}
}

// read checks the four documents, read with one of the tokens or with none.
func (m *roomModel) read(t *rapid.T) {
	token := rapid.SampledFrom(m.tokens).Draw(t, "reader")
	for of := signaling.Caller; of <= signaling.Callee; of++ {
		m.readDescription(t, token, of)
		m.readCandidates(t, token, of)
	}
}

func (m *roomModel) mayRead(token string, of signaling.Side) error {
	switch {
	case token == "":
	case m.sides[signaling.Caller].d == nil:
		if of == signaling.Callee {
			return signaling.ErrClosed
		}
	case token == m.sides[signaling.Caller].token, token == m.sides[signaling.Callee].token:
	case of == signaling.Callee, slices.Contains(m.turnedDown, token):
		return signaling.ErrTurnedDown
	}
	return nil
}

func (m *roomModel) readDescription(t *rapid.T, token string, of signaling.Side) {
	side, wanted := m.sides[of], error(nil)
	if of == signaling.Callee {
		wanted = m.mayRead(token, of)
	}
	if wanted == nil && side.d == nil {
		wanted = noDescription[of]
	}
	ticket := signaling.Ticket{Room: m.room, Token: token}
	d, v, err := m.Description(m.ctx, ticket, of, "", 0)
	m.check(t, err, wanted, "reading the "+of.String())
	if err != nil {
		return
	}
	if !bytes.Equal(d, side.d) || v != side.v {
		t.Fatalf("the %s is %s in version %q, want %s in version %q", of, d, v, side.d, side.v)
	}
	_, _, err = m.Description(m.ctx, ticket, of, v, 0)
	m.check(t, err, signaling.ErrUnchanged, "reading the same "+of.String())
}

func (m *roomModel) readCandidates(t *rapid.T, token string, of signaling.Side) {
	wanted := m.mayRead(token, of)
	if wanted == nil && m.sides[signaling.Caller].d == nil {
		wanted = signaling.ErrNoRoom
	}
	after := len(m.sides[of].list) / 2
	got, err := m.Candidates(m.ctx, signaling.Ticket{Room: m.room, Token: token}, of, after, 0)
	m.check(t, err, wanted, "reading the candidates of the "+of.String())
	if g, w := signaling.JoinCandidates(got), signaling.JoinCandidates(m.sides[of].list[after:]); err == nil && !bytes.Equal(g, w) {
		t.Fatalf("the candidates from %d on are %s, want %s", after, g, w)
	}
}
