package peer_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A guesser is a Store that lies: it makes up offers and answers with a guess at the code,
// replays old ones, and keeps back, delays and forgets what the two write.
type guesser struct {
	signaling.Store
	own map[signaling.Side]string // its SDPs

	mu     sync.Mutex // guards what follows
	random *rand.Rand // nil: it tells the lie always
	always lie
	old    map[signaling.Side][]signaling.Description
	log    []string // what was written in the typed room, and what people were told
	bait   int      // answers there to offers that it made up or replayed
	forged map[signaling.Side]int
}

type lie int

const (
	honest   lie = iota
	guess        // a made-up document, with a guess
	replay       // an old document
	keepBack     // nothing, for a while
	forget       // says that it was written, or that another program was quicker
)

func newGuesser(own map[signaling.Side]string, random *rand.Rand) *guesser {
	return &guesser{
		Store: memstore.New(memstore.Limits{}), own: own, random: random,
		old: map[signaling.Side][]signaling.Description{}, forged: map[signaling.Side]int{},
	}
}

func (g *guesser) note(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log = append(g.log, text)
}

// lies picks one of them, or none.
func (g *guesser) lies(of ...lie) lie {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.random == nil && slices.Contains(of, g.always):
		return g.always
	case g.random == nil || g.random.IntN(5) > 3:
		return honest
	}
	return of[g.random.IntN(len(of))]
}

func (g *guesser) be(l lie) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.always = l
}

func (g *guesser) wrote(t signaling.Ticket, what string, d signaling.Description) {
	if t.Room != open {
		return
	}
	g.note(what)
	g.mu.Lock()
	defer g.mu.Unlock()
	side := signaling.Caller
	if what == "answer" {
		side = signaling.Callee
	}
	g.old[side] = append(g.old[side], d)
}

func (g *guesser) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	g.wrote(t, "offer", d)
	return g.Store.Offer(ctx, t, d)
}

func (g *guesser) Reoffer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	g.wrote(t, "offer", d)
	return g.Store.Reoffer(ctx, t, d)
}

func (g *guesser) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	g.wrote(t, "answer", d)
	if g.mu.Lock(); t.Room == open && strings.HasPrefix(string(to), "bait") {
		g.bait++
	}
	g.mu.Unlock()
	switch g.lies(keepBack, forget) {
	case keepBack:
		return "answer", nil
	case forget:
		return "", []error{signaling.ErrAnswered, signaling.ErrSuperseded}[len(d)%2]
	}
	return g.Store.Answer(ctx, t, to, d)
}

func (g *guesser) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	pause := func() { _ = sleep(ctx, 500*time.Millisecond) }
	switch g.lies(guess, guess, replay, keepBack) {
	case guess:
		pause()
		if d := g.guess(ctx, t, of); d != nil {
			return d, signaling.Version("bait " + time.Now().String()), ctx.Err()
		}
	case replay:
		pause()
		g.mu.Lock()
		old := slices.Clone(g.old[of])
		g.mu.Unlock()
		if len(old) > 1 && t.Room == open {
			return old[0], signaling.Version("bait " + time.Now().String()), ctx.Err()
		}
	case keepBack:
		_ = sleep(ctx, 5*time.Second)
	}
	return g.Store.Description(ctx, t, of, known, wait)
}

// guess makes a document up.
func (g *guesser) guess(ctx context.Context, t signaling.Ticket, of signaling.Side) signaling.Description {
	tried := peer.Code{Room: t.Room, Secret: "a-guess"}
	if t.Room == open {
		g.mu.Lock()
		g.forged[of]++
		g.mu.Unlock()
	}
	if of == signaling.Caller {
		_, d, err := peer.Propose(tried, g.own[of])
		if err != nil {
			panic(err)
		}
		return d
	}
	offer, _, err := g.Store.Description(ctx, signaling.Ticket{Room: t.Room}, signaling.Caller, "", 0)
	if err != nil {
		return nil
	}
	d, err := peer.Respond(tried, offer, g.own[of])
	if err != nil {
		panic(err)
	}
	return d
}

func (g *guesser) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	if g.lies(keepBack) == keepBack {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return g.Store.Candidates(ctx, t, of, after, wait)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// check holds the invariant against all that was written and told.
func (g *guesser) check(t *testing.T, seed uint64, caller, callee *program) {
	t.Helper()
	g.mu.Lock()
	log, bait := slices.Clone(g.log), g.bait
	g.mu.Unlock()
	if bait > peer.Guesses {
		t.Errorf("seed %d: the callee gave %d answers that are good for a guess", seed, bait)
	}
	if want := []int{2, 1, 0}; len(caller.left) > len(want) || !slices.Equal(caller.left, want[:len(caller.left)]) {
		t.Errorf("seed %d: the caller was told that %v are left", seed, caller.left)
	}
	if spent := caller.saved().Spent; spent != len(caller.left) {
		t.Errorf("seed %d: the caller was told of %d wrong codes, and knows of %d", seed, len(caller.left), spent)
	}
	if i := slices.Index(log, "burnt"); i >= 0 && slices.Contains(log[i:], "offer") {
		t.Errorf("seed %d: there was an offer with a burnt code: %q", seed, log[i:])
	}
	if spent := callee.saved().Spent; spent > peer.Guesses || spent > callee.told+callee.lives {
		t.Errorf("seed %d: the callee gave %d answers in vain, and was told of %d in %d lives", seed, spent, callee.told, callee.lives)
	}
}
