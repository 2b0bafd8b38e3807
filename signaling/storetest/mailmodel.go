package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"pgregory.net/rapid"

	"p2pchat/signaling"
)

// mailModels compares the Mail with a model, which is a sorted list of blocks, over random
// sequences of requests.
func mailModels(s mailSuite) {
	s.test("random requests find what a simple model holds", MailLimits{}, func(x *mail) {
		rapid.Check(struct{ rapid.TB }{x.T}, func(t *rapid.T) {
			m := &boxModel{Mail: x.Mail, ctx: x.Context()} // a Client that sends too much waits, in virtual time
			m.putter, m.taker = signaling.NewBox(rand.Text(), rand.Text())
			t.Repeat(map[string]func(*rapid.T){"add": m.add, "delete": m.delete, "trespass": m.trespass, "": m.read})
			m.check(t, m.DeleteBlocks(m.ctx, m.taker, signaling.MaxBlockNumber), nil, "deleting all at the end")
		})
	})
}

type boxModel struct {
	signaling.Mail

	ctx           context.Context
	putter, taker signaling.Box
	blocks        []signaling.Block
}

func (m *boxModel) check(t *rapid.T, err, wanted error, doing string) {
	if !errors.Is(err, wanted) {
		t.Fatalf("%s: got error %v, want %v", doing, err, wanted)
	}
}

func (m *boxModel) draw(t *rapid.T) signaling.Block {
	return block(rapid.Uint64Range(1, 20).Draw(t, "number"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "text"))
}

func (m *boxModel) add(t *rapid.T) {
	b := m.draw(t)
	last, repeated := uint64(0), false
	for _, had := range m.blocks {
		last = had.Number
		repeated = repeated || had.Number == b.Number && bytes.Equal(had.Bytes, b.Bytes)
	}
	var wanted error
	if b.Number <= last && !repeated {
		wanted = signaling.ErrBlockExists
	}
	_, err := m.AddBlock(m.ctx, m.putter, b)
	m.check(t, err, wanted, "putting a block")
	if b.Number > last {
		m.blocks = append(m.blocks, b)
	}
}

func (m *boxModel) delete(t *rapid.T) {
	through := rapid.Uint64Range(0, 21).Draw(t, "through")
	m.check(t, m.DeleteBlocks(m.ctx, m.taker, through), nil, "deleting")
	m.blocks = slices.DeleteFunc(m.blocks, func(b signaling.Block) bool { return b.Number <= through })
}

// trespass uses each side of the box for what only the other side may do.
func (m *boxModel) trespass(t *rapid.T) {
	_, err := m.AddBlock(m.ctx, m.taker, m.draw(t))
	m.check(t, err, signaling.ErrWrongToken, "putting with the token to take")
	_, err = m.Blocks(m.ctx, m.putter, 0, 0)
	m.check(t, err, signaling.ErrWrongToken, "taking with the token to put")
	m.check(t, m.DeleteBlocks(m.ctx, m.putter, 20), signaling.ErrWrongToken, "deleting with the token to put")
}

func (m *boxModel) read(t *rapid.T) {
	after := rapid.Uint64Range(0, 21).Draw(t, "after")
	got, err := m.Blocks(m.ctx, m.taker, after, 0)
	m.check(t, err, nil, "reading")
	wanted := slices.DeleteFunc(slices.Clone(m.blocks), func(b signaling.Block) bool { return b.Number <= after })
	if !slices.EqualFunc(got, wanted, func(a, b signaling.Block) bool { return a.Number == b.Number && bytes.Equal(a.Bytes, b.Bytes) }) {
		t.Fatalf("after %d there are blocks %v, want %v", after, numbers(got), numbers(wanted))
	}
}
