package peer_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// An amnesiac takes an offer and forgets the room at once, the first few times.
type amnesiac struct {
	signaling.Store
	times int

	mu     sync.Mutex // guards what follows
	offers []time.Time
	reads  int
}

func (a *amnesiac) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	v, err := a.Store.Offer(ctx, t, d)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.offers = append(a.offers, time.Now())
	if err == nil && len(a.offers) <= a.times {
		err = a.Close(ctx, t)
	}
	return v, err
}

func (a *amnesiac) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	a.mu.Lock()
	a.reads++
	a.mu.Unlock()
	return a.Store.Description(ctx, t, of, known, wait)
}

func TestAStoreThatForgets(t *testing.T) {
	t.Run("the caller opens the room again, ever more slowly, and connects in the end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const times = 15
			n, store := newNetwork(t, time.Millisecond), &amnesiac{Store: memstore.New(memstore.Limits{}), times: times}
			caller, callee := n.connect(t, store)
			talk(t, pipeOf(t, caller), pipeOf(t, callee))
			store.mu.Lock()
			defer store.mu.Unlock()
			if len(store.offers) != times+1 {
				t.Errorf("%d offers, want %d", len(store.offers), times+1)
			}
			last := time.Duration(0)
			for i := range store.offers[1:] {
				pause := store.offers[i+1].Sub(store.offers[i])
				if pause < min(2*last, 3*time.Second)-10*time.Millisecond {
					t.Errorf("pause %d is %v, after one of %v", i, pause, last)
				}
				last = pause
			}
			if last < 3*time.Second || last > 4*time.Second {
				t.Errorf("the last pause is %v, want about 3s", last)
			}
			if store.reads > 10*times {
				t.Errorf("%d reads are a hot loop", store.reads)
			}
		})
	})

	t.Run("a Store that closes every room at once does not make a side run hot", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := &shut{Store: memstore.New(memstore.Limits{})}
			callee := newNetwork(t, 0).answers(t, store, room, quiet())
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if _, err := callee.Pipe(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("it says %v", err)
			}
			if reads := store.reads.Load(); reads > 40 {
				t.Errorf("%d reads in a minute", reads)
			}
		})
	})

	t.Run("a callee whose answer comes to a server that was restarted goes on, and knows why", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), &restarted{vanishing: vanishing{Store: memstore.New(memstore.Limits{})}}
			config, events := telling()
			caller, callee := n.calls(t, store, room+"-falcon", quiet()), n.answers(t, store, room+"-falcon", config)
			if e := await[peer.Retrying](t, events); !errors.Is(e.Err, peer.ErrForgotten) {
				t.Errorf("it is told: %v", e.Err)
			}
			talk(t, pipeOf(t, caller), pipeOf(t, callee))
		})
	})

	t.Run("a room that goes when the answer comes is opened again", func(t *testing.T) {
		for _, lost := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, time.Millisecond), &vanishing{Store: memstore.New(memstore.Limits{}), lost: lost}
				caller, callee := n.connect(t, store)
				talk(t, pipeOf(t, caller), pipeOf(t, callee))
				if !store.gone {
					t.Error("the room never went")
				}
			})
		}
	})
}

// A restarted Store is a server that is restarted, once, while the answer is on its way.
type restarted struct {
	vanishing
	cuts atomic.Int64
}

func (r *restarted) Interruptions() int64 { return r.cuts.Load() }

func (r *restarted) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	if r.cuts.CompareAndSwap(0, 1) {
		r.vanish(ctx)
	}
	return r.Store.Answer(ctx, t, to, d)
}

// A shut Store says that every room was closed.
type shut struct {
	signaling.Store
	reads atomic.Int64
}

func (s *shut) Description(context.Context, signaling.Ticket, signaling.Side, signaling.Version, time.Duration) (signaling.Description, signaling.Version, error) {
	s.reads.Add(1)
	return nil, "", signaling.ErrClosed
}

// A vanishing Store loses the room once: as soon as the answer is there, or when the
// caller has read it.
type vanishing struct {
	signaling.Store
	lost bool // before the caller can read the answer

	mu     sync.Mutex // guards what follows
	caller signaling.Ticket
	gone   bool
}

func (v *vanishing) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	v.mu.Lock()
	v.caller = t
	v.mu.Unlock()
	return v.Store.Offer(ctx, t, d)
}

func (v *vanishing) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	version, err := v.Store.Answer(ctx, t, to, d)
	if v.lost {
		v.vanish(ctx)
	}
	return version, err
}

func (v *vanishing) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	d, version, err := v.Store.Description(ctx, t, of, known, wait)
	if of == signaling.Callee && err == nil {
		v.vanish(ctx)
	}
	return d, version, err
}

// AddCandidates lets nothing through before the room has gone.
func (v *vanishing) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.gone {
		return at + len(c), nil
	}
	return v.Store.AddCandidates(ctx, t, at, c...)
}

func (v *vanishing) vanish(ctx context.Context) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.gone {
		v.gone = v.Close(ctx, v.caller) == nil
	}
}

// A scrambler hands on candidates as it likes.
type scrambler struct {
	signaling.Store
	scramble func([]signaling.Candidate) []signaling.Candidate
}

func (s scrambler) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	list, err := s.Store.Candidates(ctx, t, of, after, wait)
	if err == nil {
		list = s.scramble(slices.Clone(list))
	}
	return list, err
}

func TestAStoreThatScramblesCandidates(t *testing.T) {
	reverse := func(list []signaling.Candidate) []signaling.Candidate {
		slices.Reverse(list)
		return list
	}
	repeat := func(list []signaling.Candidate) []signaling.Candidate { return slices.Concat(list, list, list) }
	for name, wrap := range map[string]func(signaling.Store) signaling.Store{
		"out of order":                    func(s signaling.Store) signaling.Store { return scrambler{s, reverse} },
		"repeated":                        func(s signaling.Store) signaling.Store { return scrambler{s, repeat} },
		"without the callee's":            func(s signaling.Store) signaling.Store { return deaf{s, signaling.Callee} },
		"without the caller's, unsealed,": func(s signaling.Store) signaling.Store { return stripped{deaf{s, signaling.Caller}} },
		"out of order, unsealed,":         func(s signaling.Store) signaling.Store { return stripped{scrambler{s, reverse}} },
	} {
		t.Run("candidates "+name+" lead to a connection", func(t *testing.T) {
			store := wrap(memstore.New(memstore.Limits{}))
			caller, callee := calling(t, store, room, quiet()), answering(t, store, room, quiet())
			talk(t, pipeOf(t, caller), pipeOf(t, callee))
		})
	}

	t.Run("a list that is full does not end the attempt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store, log := newNetwork(t, 10*time.Millisecond), full{memstore.New(memstore.Limits{})}, &logbook{}
			config := quiet()
			config.Log = log.logger()
			caller, callee := n.calls(t, store, room, quiet()), n.answers(t, store, room, config)
			talk(t, pipeOf(t, caller), pipeOf(t, callee))
			log.has(t, "the server takes no more")
		})
	})
}

// A deaf Store hears no candidates of one side.
type deaf struct {
	signaling.Store
	to signaling.Side
}

func (d deaf) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	if t.Side == d.to {
		return at + len(c), nil
	}
	return d.Store.AddCandidates(ctx, t, at, c...)
}

// A full Store takes the caller's candidates only.
type full struct{ signaling.Store }

func (f full) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	if t.Side == signaling.Callee {
		return 0, signaling.ErrListFull
	}
	return f.Store.AddCandidates(ctx, t, at, c...)
}

// An endless Store has another list of candidates for everybody who has read the
// real ones, without end.
type endless struct {
	signaling.Store
	list []signaling.Candidate

	mu    sync.Mutex // guards what follows
	reads map[signaling.Side]int
}

func (e *endless) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	if after == 0 {
		return e.Store.Candidates(ctx, t, of, after, wait)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reads[of]++
	if e.reads[of] > hot {
		return nil, errHot
	}
	return e.list, nil
}

// A restless Store has a new version of the offer for every read.
type restless struct {
	signaling.Store
	offer signaling.Description
	reads atomic.Int64
}

func (r *restless) Description(context.Context, signaling.Ticket, signaling.Side, signaling.Version, time.Duration) (signaling.Description, signaling.Version, error) {
	n := r.reads.Add(1)
	if n > hot {
		return nil, "", errHot
	}
	return r.offer, signaling.Version(strconv.FormatInt(n, 10)), nil
}

func (r *restless) Answer(context.Context, signaling.Ticket, signaling.Version, signaling.Description) (signaling.Version, error) {
	return "answer", nil
}

// After that many reads in no time a Store gives up, or the test would never end.
const hot = 1000

var errHot = errors.New("read a thousand times")

func TestAStoreWithoutEnd(t *testing.T) {
	for _, size := range []int{1, 100, 1000} {
		t.Run("of lists of "+strconv.Itoa(size)+" candidates at most 256 are read", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, log := newNetwork(t, 10*time.Millisecond), &logbook{}
				store := &endless{
					Store: stripped{memstore.New(memstore.Limits{})}, reads: map[signaling.Side]int{},
					list: slices.Repeat([]signaling.Candidate{signaling.Candidate("nonsense")}, size),
				}
				config := quiet()
				config.Log = log.logger()
				caller, callee := n.calls(t, store, room, config), n.answers(t, store, room, config)
				talk(t, pipeOf(t, caller), pipeOf(t, callee))
				store.mu.Lock()
				defer store.mu.Unlock()
				want := (peer.MaxCandidates - 1 + size - 1) / size
				if store.reads[signaling.Caller] != want || store.reads[signaling.Callee] != want {
					t.Errorf("%v more reads of the two lists, want %d", store.reads, want)
				}
				log.has(t, "count="+strconv.Itoa(peer.MaxCandidates/2)+"\n")
				if log.count("count="+strconv.Itoa(peer.MaxCandidates)) > 0 {
					t.Errorf("more than %d of them were taken", peer.MaxCandidates)
				}
			})
		})
	}

	for name, offer := range map[string]signaling.Description{
		"good":    stale(t, signaling.Caller),
		"garbled": describing(t, signaling.Caller, "v=1"),
	} {
		t.Run("one "+name+" offer after the other does not make a side run hot", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &restless{Store: memstore.New(memstore.Limits{}), offer: offer}
				callee := newNetwork(t, 0).answers(t, store, room, quiet())
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				if _, err := callee.Pipe(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("it says %v", err)
				}
				if reads := store.reads.Load(); reads < 10 || reads > 40 {
					t.Errorf("%d reads in a minute", reads)
				}
			})
		})
	}
}
