package peer_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer/mail"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A meeting is what a server learns of it: nothing else reaches the Store.
type meeting struct {
	pair  int // what the server wants to know
	names []string
	sizes []int
}

// A notebook notes all that a server sees of a meeting.
type notebook struct {
	signaling.Store

	mu sync.Mutex // guards what follows
	of meeting
}

func (n *notebook) note(t signaling.Ticket, content ...[]byte) {
	n.noteNames([]string{t.Room, t.Token}, content...)
}

func (n *notebook) noteNames(names []string, content ...[]byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range names {
		if name != "" && !slices.Contains(n.of.names, name) {
			n.of.names = append(n.of.names, name)
		}
	}
	for _, c := range content {
		n.of.sizes = append(n.of.sizes, len(c))
	}
}

func (n *notebook) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	n.note(t, d)
	return n.Store.Offer(ctx, t, d)
}

func (n *notebook) Reoffer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	n.note(t, d)
	return n.Store.Reoffer(ctx, t, d)
}

func (n *notebook) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	n.note(t, d)
	return n.Store.Answer(ctx, t, to, d)
}

func (n *notebook) AddCandidates(ctx context.Context, t signaling.Ticket, at int, list ...signaling.Candidate) (int, error) {
	for _, c := range list {
		n.note(t, c)
	}
	return n.Store.AddCandidates(ctx, t, at, list...)
}

func (n *notebook) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	n.note(t)
	return n.Store.Description(ctx, t, of, known, wait)
}

// A mailNotebook notes all that a server sees of letters before a meeting.
type mailNotebook struct {
	signaling.Mail
	of *notebook
}

func (n mailNotebook) AddBlock(ctx context.Context, b signaling.Box, block signaling.Block) (time.Duration, error) {
	n.of.noteNames([]string{b.Name, b.Token, hex.EncodeToString(b.Other[:])}, block.Bytes)
	return n.Mail.AddBlock(ctx, b, block)
}

func (n mailNotebook) Blocks(ctx context.Context, b signaling.Box, after uint64, wait time.Duration) ([]signaling.Block, error) {
	n.of.noteNames([]string{b.Name, b.Token, hex.EncodeToString(b.Other[:])})
	return n.Mail.Blocks(ctx, b, after, wait)
}

// leaves leaves a letter for the other side, which reads it.
func (k *keeper) leaves(t *testing.T, at signaling.Mail, length int) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	box := &k.keys.Generations[0].Boxes[k.keys.Side]
	in := mail.Incoming{Box: *box} // the other side's copy
	out, err := mail.Outgoing{Box: *box}.Seal(make([]byte, length))
	if err == nil {
		_, _, err = out.Post(t.Context(), at)
	}
	if err != nil {
		t.Fatal(err)
	}
	*box = out.Box
	in, letters, _, err := in.Take(t.Context(), at, 0)
	if err == nil {
		err = in.Delete(t.Context(), at)
	}
	if err != nil || len(letters) != 1 {
		t.Fatal(len(letters), err)
	}
}

// likeness is how an adversary judges whether two meetings are of the same pair: names that are equal or alike, and documents of
// like sizes.
func likeness(a, b meeting) float64 {
	var alike float64
	for _, x := range a.names {
		for _, y := range b.names {
			if x == y {
				alike += 1000
			}
			for i := range min(len(x), len(y)) {
				if x[i] == y[i] {
					alike += 0.01
				}
			}
		}
	}
	for i := range min(len(a.sizes), len(b.sizes)) {
		if a.sizes[i] == b.sizes[i] {
			alike++
		}
	}
	return alike
}

// Fifty meetings of five pairs, some in the same hour and some hours apart, with letters before them: a server that compares all it has seen links two
// of them no better than chance.
func TestAServerCannotLinkMeetings(t *testing.T) {
	const pairs, meetings = 5, 50
	var seen []meeting
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(5, 50)) //nolint:gosec // the same each time
		store, letters := memstore.New(memstore.Limits{}), memstore.NewMail(memstore.MailLimits{})
		n := newNetwork(t, 5*time.Millisecond)
		var all [pairs][2]*keeper
		for i := range all {
			all[i] = friends(byte(i))
		}
		for range meetings {
			pair, caller := random.IntN(pairs), random.IntN(2)
			book := &notebook{Store: store, of: meeting{pair: pair}}
			for range random.IntN(4) {
				all[pair][random.IntN(2)].leaves(t, mailNotebook{letters, book}, random.IntN(mail.MaxLetter))
			}
			first := all[pair][0].meets(book, caller == 0, n.caller)
			second := all[pair][1].meets(book, caller == 1, n.callee)
			a, b := pipeOf(t, first), pipeOf(t, second)
			talk(t, a, b)
			roll(t, all[pair], a, b)
			n.cut.Store(true)
			first.Close()
			second.Close()
			n.cut.Store(false)
			seen = append(seen, book.of)
			time.Sleep(time.Duration(random.IntN(90)) * time.Minute)
		}
	})
	advantage := linked(seen)
	t.Logf("of two meetings of one pair and two of other pairs, the server takes the right two for one pair with probability %.3f", advantage)
	if advantage < 0.4 || advantage > 0.6 {
		t.Errorf("the server links meetings with probability %.3f; chance is 0.5", advantage)
	}
	for i, m := range seen { // the adversary is no straw man: it finds pairs that have a name in common
		seen[i].names = append(slices.Clone(m.names), fmt.Sprint("pair ", m.pair))
	}
	if certain := linked(seen); certain < 0.99 {
		t.Errorf("with a name in common, the adversary links meetings with probability %.3f", certain)
	}
}

// linked returns the probability that two meetings of one pair are more alike than two of different pairs.
func linked(seen []meeting) float64 {
	var same, other []float64
	for i, a := range seen {
		for _, b := range seen[:i] {
			if a.pair == b.pair {
				same = append(same, likeness(a, b))
			} else {
				other = append(other, likeness(a, b))
			}
		}
	}
	wins := 0.0
	for _, x := range same {
		for _, y := range other {
			switch {
			case x > y:
				wins++
			case x == y:
				wins += 0.5
			}
		}
	}
	return wins / float64(len(same)*len(other))
}
