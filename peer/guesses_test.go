package peer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// A program is one side over all its lives: what it has on disk survives them.
type program struct {
	side  signaling.Side
	store *guesser
	n     *network

	session *peer.Session
	stop    func()
	lives   int

	mu   sync.Mutex // guards what follows
	disk *peer.Resumption
	left []int // what a caller was told of wrong codes
	told int   // how often a callee was told of an answer in vain
	ends []error
}

func (p *program) save(a peer.Resumption) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.disk = &a
}

func (p *program) saved() (a peer.Resumption) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.disk != nil {
		a = *p.disk
	}
	if os.Getenv(testForgets) != "" {
		a.Spent = 0
	}
	return a
}

// testForgets makes a program's disk lose the count of guesses.
const testForgets = "PEER_FORGETS"

// A program whose disk loses the count of guesses must be found: the test runs once more with such a disk, and has to fail.
func TestForgottenGuessesAreFound(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestGuessingAfterAMeeting$/true$") //nolint:gosec // this very binary
	cmd.Env = append(os.Environ(), testForgets+"=1")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "the fourth guess was taken") {
		t.Errorf("it was not found: %v\n%s", err, out)
	}
}

func (p *program) report(e peer.Event) {
	switch e := e.(type) {
	case peer.Waiting:
		if a := p.saved(); a.Rendezvous == (peer.Code{}) {
			p.save(e.Resumption)
		}
	case peer.WrongCode:
		p.mu.Lock()
		if e.Left >= 0 {
			p.left = append(p.left, e.Left)
		} else {
			p.told++
		}
		p.mu.Unlock()
		if e.Left == 0 {
			p.store.note("burnt")
		}
	case peer.Retrying:
		if errors.Is(e.Err, peer.ErrUnprovenCaller) {
			p.mu.Lock()
			p.told++
			p.mu.Unlock()
		}
	case peer.Taken:
		p.mu.Lock()
		p.told++
		p.mu.Unlock()
	}
}

// start begins a life: as a conversation does, it saves how to meet again, says hello, and
// listens.
func (p *program) start() {
	config := quiet()
	config.Report, config.Save = p.report, func(a peer.Resumption) error { p.save(a); return nil }
	if a := p.saved(); a.Typed != (peer.Code{}) {
		config.Resume = &a
	}
	p.lives++
	if p.side == signaling.Caller {
		p.session = peer.Call(p.store, code(right), config.Over(p.n.caller))
	} else {
		p.session = peer.Answer(p.store, code(right), config.Over(p.n.callee))
	}
	s := p.session
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			pipe, err := s.Pipe(ctx)
			if err != nil {
				p.mu.Lock()
				p.ends = append(p.ends, err)
				p.mu.Unlock()
				return
			}
			now := pipe.Resumption()
			p.save(now)
			if pipe.Send(ctx, []byte("hello")) != nil {
				continue
			}
			for {
				if _, err := pipe.Recv(ctx); err != nil {
					break
				}
				now.Heard = true
				p.save(now)
			}
		}
	})
	p.stop = func() {
		cancel()
		p.n.cut.Store(true) // no goodbye: as if it was killed
		s.Close()
		wg.Wait()
		p.n.cut.Store(false)
	}
}

// Whatever a server does, and whenever programs are killed: a typed code takes three wrong
// answers in its life, each is reported, and from then on the code is of no use.
func TestThreeGuessesAreThree(t *testing.T) {
	seeds := peer.Long[uint64](60, 6)
	burnt, forged, own := 0, 0, listening(t, &wiretap{})
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 13)) //nolint:gosec // the same each time
			n := newNetwork(t, 5*time.Millisecond)
			store := newGuesser(own, rand.New(rand.NewPCG(seed, 1))) //nolint:gosec // the same each time
			caller, callee := &program{side: signaling.Caller, store: store, n: n}, &program{side: signaling.Callee, store: store, n: n}
			both := []*program{caller, callee}
			for _, p := range both {
				p.start()
			}
			for range 12 {
				time.Sleep(time.Duration(random.IntN(20000)) * time.Millisecond)
				switch p := both[random.IntN(2)]; random.IntN(3) {
				case 0: // killed, and started again
					p.stop()
					time.Sleep(time.Duration(random.IntN(4000)) * time.Millisecond)
					p.start()
				case 1:
					n.cut.Store(true)
					time.Sleep(4 * time.Second)
					n.cut.Store(false)
				case 2: // a person who reads why it ended, and tries again
					p.mu.Lock()
					ended := len(p.ends) == p.lives
					p.mu.Unlock()
					if ended {
						p.stop()
						p.start()
					}
				}
			}
			for _, p := range both {
				p.stop()
			}
			store.check(t, seed, caller, callee)
			store.mu.Lock()
			defer store.mu.Unlock()
			if slices.Contains(store.log, "burnt") {
				burnt++
			}
			forged += store.forged[signaling.Callee]
		})
	}
	if !testing.Short() && burnt < 3 {
		t.Errorf("of %d schedules only %d burnt the code, though %d answers were made up", seeds, burnt, forged)
	}
	t.Logf("%d schedules, %d answers made up, %d codes burnt", seeds, forged, burnt)
}

// The server that found the hole: it lets the two meet, keeps the caller's candidates from the
// callee, so that the caller has met and heard nothing, and then guesses in the typed room.
func TestGuessingAfterAMeeting(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("takes three guesses, if the caller is killed between them: %v", killed), func(t *testing.T) {
			own := listening(t, &wiretap{})
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t, 5*time.Millisecond)
				store := newGuesser(own, nil)
				caller := &program{side: signaling.Caller, store: store, n: n}
				caller.start()
				callee := n.answers(t, hiding{Store: store, of: signaling.Caller, scramble: func([]signaling.Candidate) []signaling.Candidate { return nil }}, right, quiet())
				for caller.saved().Rendezvous == (peer.Code{}) { // it has met, and not heard
					time.Sleep(100 * time.Millisecond)
				}
				store.be(guess)
				n.cut.Store(true)
				callee.Close()
				time.Sleep(5 * time.Second)
				n.cut.Store(false)
				for range 10 {
					time.Sleep(20 * time.Second)
					if killed {
						caller.stop()
						caller.start()
					}
				}
				store.be(honest)
				// Now with the right guess, a new one for each time that there is an offer.
				attacker := n.answers(t, store, right, quiet())
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				if p, err := attacker.Pipe(ctx); p != nil {
					t.Errorf("the fourth guess was taken: %v", err)
				}
				caller.stop()
				store.check(t, 0, caller, &program{})
				if len(caller.left) != peer.Guesses {
					t.Errorf("the caller was told of %d guesses", len(caller.left))
				}
			})
		})
	}
}
