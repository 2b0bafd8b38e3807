package peer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
)

func TestConnecting(t *testing.T) {
	t.Run("a caller who waits is joined", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		config, events := telling()
		caller := calling(t, store, room, config)
		await[peer.Waiting](t, events)
		callee := answering(t, store, room, quiet())
		talk(t, pipeOf(t, caller), pipeOf(t, callee))
		await[peer.Connecting](t, events)
	})

	t.Run("a callee may come first", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		config, events := telling()
		callee := answering(t, store, room, config)
		await[peer.Waiting](t, events)
		caller := calling(t, store, room, quiet())
		talk(t, pipeOf(t, caller), pipeOf(t, callee))
		await[peer.Connecting](t, events)
	})

	t.Run("the room is given back once the two are connected", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		caller, callee := calling(t, store, room, quiet()), answering(t, store, room, quiet())
		talk(t, pipeOf(t, caller), pipeOf(t, callee))
		eventually(t, "the room is gone", func() bool { return !stands(t, store) })
	})

	t.Run("the room is given back if the server takes no further offer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
			config, events := telling()
			caller := n.calls(t, once{store}, room, config)
			await[peer.Waiting](t, events)
			post(t, store, room, signaling.Callee, stale(t, signaling.Callee)) // leads nowhere
			_ = fails(t, caller, errOnce)
			caller.Close()
			if stands(t, store) {
				t.Error("the first offer is still there")
			}
		})
	})

	t.Run("a machine whose network cannot be looked at says so", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
			_ = fails(t, calling(t, store, room, quiet().Over(blind{n.caller})), errBlind)
			n.calls(t, store, room, quiet())
			_ = fails(t, answering(t, store, room, quiet().Over(blind{n.callee})), errBlind)
		})
	})

	t.Run("the room is given back if the caller leaves before the server has replied to its offer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
			caller := n.calls(t, unanswering{store}, room, quiet())
			synctest.Wait()
			if !stands(t, store) {
				t.Fatal("there is no offer")
			}
			caller.Close()
			if stands(t, store) {
				t.Error("the offer is still there")
			}
		})
	})

	t.Run("a server and its REST API are a Store like any other", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		web := server.New(store, server.Config{Log: slog.New(slog.DiscardHandler)})
		at := httptest.NewServer(web)
		t.Cleanup(at.Close)
		t.Cleanup(web.Drain)
		caller, callee := calling(t, client(t, at.URL), room, quiet()), answering(t, client(t, at.URL), room, quiet())
		talk(t, pipeOf(t, caller), pipeOf(t, callee))
		eventually(t, "the room is gone", func() bool { return !stands(t, store) })
	})

	t.Run("many meet at one Store at once", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		for _, room := range []string{"a", "b", "c", "d"} {
			t.Run(room, func(t *testing.T) {
				t.Parallel()
				caller, callee := calling(t, store, room, quiet()), answering(t, store, room, quiet())
				talk(t, pipeOf(t, caller), pipeOf(t, callee))
			})
		}
	})

	t.Run("a pipe tells how it came about", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			caller, callee := newNetwork(t, 50*time.Millisecond).connect(t, memstore.New(memstore.Limits{}))
			for _, p := range []*peer.Pipe{pipeOf(t, caller), pipeOf(t, callee)} {
				if p.Foreign {
					t.Error("one of ours is foreign")
				}
				if p.Path != "host" {
					t.Errorf("the path is %q, want host", p.Path)
				}
				if since := time.Since(begun); p.Took <= 0 || p.Took > since {
					t.Errorf("it took %v of %v", p.Took, since)
				}
			}
		})
	})

	t.Run("statistics come every few seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t, 20*time.Millisecond)
			store := memstore.New(memstore.Limits{})
			config, events := telling()
			n.calls(t, store, room, config)
			n.answers(t, store, room, quiet())
			for range 3 {
				if s := await[peer.Stats](t, events); s.RTT != 40*time.Millisecond {
					t.Errorf("the round trip is %v, want 40ms", s.RTT)
				}
			}
		})
	})
}

// A once is a Store that takes one offer.
type once struct{ signaling.Store }

var errOnce = errors.New("the server takes one offer")

func (once) Reoffer(context.Context, signaling.Ticket, signaling.Description) (signaling.Version, error) {
	return "", errOnce
}

// A blind machine cannot say which networks it has.
type blind struct{ transport.Net }

var errBlind = errors.New("the system says nothing of its networks")

func (blind) Interfaces() ([]*transport.Interface, error) { return nil, errBlind }

func TestDiscovering(t *testing.T) {
	failing := func(context.Context, signaling.Ticket, time.Duration) ([]signaling.ICEServer, error) {
		return nil, errors.New("no servers today")
	}

	t.Run("without STUN and TURN servers the two connect all the same", func(t *testing.T) {
		store, log := memstore.New(memstore.Limits{}), &logbook{}
		config := quiet()
		config.Discover, config.Log = failing, log.logger()
		caller, callee := calling(t, store, room, config), answering(t, store, room, quiet())
		talk(t, pipeOf(t, caller), pipeOf(t, callee))
		log.has(t, "no servers today")
	})

	t.Run("a guest asks with the ticket that it answers with, and goes on without servers after one refusal", func(t *testing.T) {
		for _, first := range []string{"caller", "callee"} {
			store, log := &whoAnswers{Store: memstore.New(memstore.Limits{}), answers: make(chan signaling.Ticket, 1)}, &logbook{}
			asked := make(chan signaling.Ticket, 9)
			config := quiet()
			config.Log = log.logger()
			config.Discover = func(ctx context.Context, t signaling.Ticket, wait time.Duration) ([]signaling.ICEServer, error) {
				if _, _, err := store.Description(ctx, signaling.Ticket{Room: t.Room}, signaling.Caller, "", wait); err != nil {
					return nil, signaling.ErrNoRoom
				}
				asked <- t
				return nil, signaling.ErrTooMany
			}
			var caller, callee *peer.Session
			if first == "caller" {
				caller = calling(t, store, room, quiet())
				awaitOffer(t, store)
				callee = answering(t, store, room, config)
			} else {
				callee = answering(t, store, room, config)
				caller = calling(t, store, room, quiet())
			}
			talk(t, pipeOf(t, caller), pipeOf(t, callee))
			if got := <-asked; got != <-store.answers || len(asked) > 0 {
				t.Errorf("%s first: it asked with %v, and %d times more", first, got, len(asked))
			}
			log.has(t, "going on without the server's STUN and TURN servers")
		}
	})

	t.Run("servers that are given are not looked for", func(t *testing.T) {
		store, log := memstore.New(memstore.Limits{}), &logbook{}
		config := quiet()
		config.Discover, config.Log = failing, log.logger()
		config.ICEServers = []signaling.ICEServer{}
		caller, callee := calling(t, store, room, config), answering(t, store, room, quiet())
		talk(t, pipeOf(t, caller), pipeOf(t, callee))
		if log.count("no servers today") > 0 {
			t.Error("it looked for them")
		}
	})

	t.Run("a server that cannot be reached ends the session at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := &recorder{Store: memstore.New(memstore.Limits{})}
			config := quiet()
			config.Discover = func(context.Context, signaling.Ticket, time.Duration) ([]signaling.ICEServer, error) {
				return nil, fmt.Errorf("asking: %w", signaling.ErrUnreachable)
			}
			begun := time.Now()
			_ = fails(t, calling(t, store, room, config), signaling.ErrUnreachable)
			post(t, store.Store, room, signaling.Caller, stale(t, signaling.Caller))
			callee := answering(t, store, room, config)
			_ = fails(t, callee, signaling.ErrUnreachable)
			if took := time.Since(begun); took > 0 {
				t.Errorf("it took %v", took)
			}
			if d, c := store.written(); len(d)+len(c) > 0 {
				t.Errorf("it wrote %q, %q", d, c)
			}
		})
	})

	t.Run("a server that knows nothing of them is good enough to meet at", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store, log := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{}), &logbook{}
			config := quiet()
			config.Log = log.logger()
			config.Discover = func(context.Context, signaling.Ticket, time.Duration) ([]signaling.ICEServer, error) {
				return nil, signaling.ErrForeign
			}
			caller, callee := n.calls(t, store, room, config), n.answers(t, store, room, config)
			talk(t, pipeOf(t, caller), pipeOf(t, callee))
			log.has(t, signaling.ErrForeign.Error())
		})
	})

	t.Run("who offers relays only, and has none, is told so at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t, time.Millisecond)
			store := memstore.New(memstore.Limits{})
			config := quiet()
			config.RelayOnly = true
			caller := n.calls(t, store, room, config)
			callee := n.answers(t, store, room, config)
			_ = fails(t, caller, peer.ErrNoRelay)
			_ = fails(t, callee, peer.ErrNoRelay)
		})
	})

	t.Run("who offers relays only, and is refused the list, is told of the refusal", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t, time.Millisecond)
			store := memstore.New(memstore.Limits{})
			config := quiet()
			config.RelayOnly = true
			config.Discover = func(context.Context, signaling.Ticket, time.Duration) ([]signaling.ICEServer, error) {
				return nil, signaling.ErrTooMany
			}
			err := fails(t, n.calls(t, store, room, config), signaling.ErrTooMany)
			if errors.Is(err, peer.ErrNoRelay) {
				t.Errorf("it is told %v", err)
			}
		})
	})
}

// client returns a Client of a test's server.
func client(t testing.TB, base string) *signaling.Client {
	t.Helper()
	c, err := signaling.NewClient(base, signaling.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// whoAnswers tells with which ticket the first answer was written.
type whoAnswers struct {
	signaling.Store
	once    sync.Once
	answers chan signaling.Ticket
}

func (w *whoAnswers) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	w.once.Do(func() { w.answers <- t })
	return w.Store.Answer(ctx, t, to, d)
}

func awaitOffer(t *testing.T, store signaling.Store) {
	t.Helper()
	if _, _, err := store.Description(t.Context(), signaling.Ticket{Room: room}, signaling.Caller, "", signaling.Forever); err != nil {
		t.Fatal(err)
	}
}

// A server that names thousands of ICE servers would have a peer send packets to each.
func TestFewICEServersAreUsed(t *testing.T) {
	var many []signaling.ICEServer
	for i := range 20_000 {
		many = append(many, signaling.ICEServer{URLs: []string{fmt.Sprintf("stun:192.0.2.1:%d", 1+i), "stun:192.0.2.2:1", "stun:192.0.2.3:1"}})
	}
	for name, c := range map[string]struct {
		list          []signaling.ICEServer
		servers, urls int
	}{
		"none":                   {nil, 0, 0},
		"few":                    {many[:2], 2, 6},
		"too many":               {many, 3, 8},
		"one with too many URLs": {[]signaling.ICEServer{{URLs: make([]string, 1000)}}, 1, 8},
		"an empty one":           {[]signaling.ICEServer{{}, many[0]}, 1, 3},
	} {
		urls := 0
		used := peer.Bounded(c.list)
		for _, s := range used {
			urls += len(s.URLs)
		}
		if len(used) != c.servers || urls != c.urls {
			t.Errorf("%s: %d servers with %d URLs are used", name, len(used), urls)
		}
	}
}

// An unanswering Store takes an offer, and does not reply.
type unanswering struct{ signaling.Store }

func (u unanswering) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	if _, err := u.Store.Offer(ctx, t, d); err != nil {
		return "", err
	}
	<-ctx.Done()
	return "", ctx.Err()
}
