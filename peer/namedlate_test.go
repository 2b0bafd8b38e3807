package peer_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A lateNamer is a Store that takes the candidates of one side late, but the first note of a caller, which has no candidate.
type lateNamer struct {
	signaling.Store
	of    signaling.Side
	delay *atomic.Int64 // nanoseconds
}

func (s lateNamer) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	if t.Side != s.of {
		return s.Store.AddCandidates(ctx, t, at, c...)
	}
	if at == 0 && t.Side == signaling.Caller {
		if n, err := s.Store.AddCandidates(ctx, t, 0, c[0]); err != nil || len(c) == 1 {
			return n, err
		}
		at, c = 1, slices.Clone(c[1:])
	}
	select {
	case <-time.After(time.Duration(s.delay.Load())):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return s.Store.AddCandidates(ctx, t, at, c...)
}

// late1s returns a lateNamer that takes them a second late.
func late1s(store signaling.Store, of signaling.Side) lateNamer {
	s := lateNamer{store, of, &atomic.Int64{}}
	s.delay.Store(int64(time.Second))
	return s
}

// A side whose relay was named when the two had connected already is left as if it had been named in time: the other side knows that the
// path is a relay's, spreads no file over it, and looks for another path.
func TestRelayNamedLate(t *testing.T) {
	t.Parallel()
	for side, late := range map[string]signaling.Side{"caller": signaling.Caller, "callee": signaling.Callee} {
		t.Run("of the "+side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 10*time.Millisecond), memstore.New(memstore.Limits{})
				var blocked atomic.Bool
				blocked.Store(true)
				two := map[string]bool{"10.0.0.1": true, "10.0.0.2": true}
				n.router.AddChunkFilter(func(c vnet.Chunk) bool {
					return !blocked.Load() || !two[hostOf(c.SourceAddr())] || !two[hostOf(c.DestinationAddr())]
				})
				at, config := late1s(store, late), [2]peer.Config{moving(), moving()}
				config[late].ICEServers = []signaling.ICEServer{relayed(t, n)}
				from, to := n.calls(t, at, right, config[signaling.Caller]), n.answers(t, at, right, config[signaling.Callee])
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				misled := map[signaling.Side]*peer.Pipe{signaling.Caller: callee, signaling.Callee: caller}[late]
				if misled.Path == "relay" {
					t.Fatal("the relay was named in time")
				}
				select {
				case route := <-misled.Relayed():
					if !strings.HasPrefix(route, "host 10.0.0.") || !strings.Contains(route, ",relay "+relayAddress+":") || !strings.HasSuffix(route, ",host") {
						t.Errorf("the route is %q", route)
					}
				case <-soon(t).Done():
					t.Fatal("it was never known that the path is a relay's")
				}
				if c, err := misled.OpenApart(t.Context()); err == nil {
					t.Error("a file can be spread over a relay")
					_ = c.Close()
				}
				blocked.Store(false)
				caller, callee = replacedBoth(t, from, to, caller, callee)
				talk(t, caller, callee)
				if caller.Path != "host" || callee.Path != "host" {
					t.Errorf("the paths are %s and %s", caller.Path, callee.Path)
				}
			})
		})
	}
}

// A connection that was renewed goes through a relay as before, also if its relay is named late, or never.
func TestRenewalNamedLate(t *testing.T) {
	t.Parallel()
	for name, delay := range map[string]time.Duration{"late": time.Second, "never": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, store, config, other := relaysFor(t, 3*time.Minute, func(a, _ *peer.Config) { a.Discover = nil })
				at := late1s(store, signaling.Callee)
				from, to := r.n.calls(t, at, right, config), r.n.answers(t, at, right, other)
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				select {
				case <-caller.Relayed():
				case <-soon(t).Done():
					t.Fatal("it was never known that the path is a relay's")
				}
				at.delay.Store(int64(delay))
				time.Sleep(6 * time.Minute)
				caller, callee = replacedBoth(t, from, to, caller, callee)
				if !caller.Renewed || caller.Path != "relay" || callee.Path != "relay" {
					t.Errorf("renewed: %t; the paths are %s and %s", caller.Renewed, caller.Path, callee.Path)
				}
				if !strings.Contains(caller.Route, ",relay ") && delay == time.Second {
					t.Errorf("the route is %s", caller.Route)
				}
				talk(t, caller, callee)
			})
		})
	}
}
