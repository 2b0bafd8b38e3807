package peer_test

import (
	"context"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v5/vnet"
	"github.com/pion/turn/v5"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A mortalRelay is a TURN server that takes no credentials whose time is over, for no request.
type mortalRelay struct {
	n        *network
	machine  *vnet.Net
	secret   string
	lifetime time.Duration
	given    atomic.Int64 // credentials
	server   *turn.Server
}

func newMortalRelay(t *testing.T, n *network, lifetime time.Duration) *mortalRelay {
	t.Helper()
	r := &mortalRelay{n: n, machine: machine(t, n.router, relayAddress), lifetime: lifetime, secret: "first"}
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	return r
}

func (r *mortalRelay) start(t *testing.T) {
	t.Helper()
	conn, err := r.machine.ListenPacket("udp4", relayAddress+":3478")
	if err != nil {
		t.Fatal(err)
	}
	secret := r.secret
	r.server, err = turn.NewServer(turn.ServerConfig{
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard},
		AuthHandler: func(a *turn.RequestAttributes) (string, []byte, bool) {
			until, _, _ := strings.Cut(a.Username, ":")
			seconds, err := strconv.ParseInt(until, 10, 64)
			return a.Username, turn.GenerateAuthKey(a.Username, a.Realm, secret), err == nil && time.Now().Before(time.Unix(seconds, 0))
		},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: conn, RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{RelayAddress: net.ParseIP(relayAddress), Address: relayAddress, Net: r.machine}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (r *mortalRelay) stop(t *testing.T) {
	t.Helper()
	if err := r.server.Close(); err != nil {
		t.Error(err)
	}
}

// discover hands out credentials, as a signaling server does.
func (r *mortalRelay) discover(context.Context, signaling.Ticket, time.Duration) ([]signaling.ICEServer, error) {
	user := strconv.FormatInt(time.Now().Add(r.lifetime).Unix(), 10) + ":" + strconv.FormatInt(r.given.Add(1), 10)
	return []signaling.ICEServer{{URLs: []string{"turn:" + relayAddress + ":3478"}, Username: user, Credential: r.secret}}, nil
}

// relayedFor joins two machines, between which nothing goes directly, through a relay with such credentials.
func relayedFor(t *testing.T, lifetime time.Duration, set func(caller, callee *peer.Config)) (r *mortalRelay, from, to *peer.Session) {
	t.Helper()
	r, store, caller, callee := relaysFor(t, lifetime, set)
	return r, r.n.calls(t, store, right, caller), r.n.answers(t, store, right, callee)
}

// relaysFor returns the relay, and the configuration of the two.
func relaysFor(t *testing.T, lifetime time.Duration, set func(caller, callee *peer.Config)) (r *mortalRelay, store signaling.Store, caller, callee peer.Config) {
	t.Helper()
	n := newNetwork(t, 10*time.Millisecond)
	r = newMortalRelay(t, n, lifetime)
	two := map[string]bool{"10.0.0.1": true, "10.0.0.2": true}
	n.router.AddChunkFilter(func(c vnet.Chunk) bool { return !two[hostOf(c.SourceAddr())] || !two[hostOf(c.DestinationAddr())] })
	caller = moving()
	caller.Discover = r.discover
	callee = caller
	set(&caller, &callee)
	return r, memstore.New(memstore.Limits{}), caller, callee
}

// An awayStore is a Store that refuses offers while it is away.
type awayStore struct {
	signaling.Store
	away atomic.Bool
}

func (s *awayStore) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	if s.away.Load() {
		return "", signaling.ErrUnreachable
	}
	return s.Store.Offer(ctx, t, d)
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	long := peer.Long(2*time.Hour, 13*time.Minute) // of virtual time
	if os.Getenv("P2PCHATTEST_LONG") != "" {       // 'task test:long': more than a minute of CPU
		long = 6 * time.Hour
	}
	for _, c := range []struct {
		name        string
		credentials time.Duration
		call        time.Duration
		set         func(caller, callee *peer.Config)
	}{
		{"a long call", 10 * time.Minute, long, func(_, _ *peer.Config) {}},
		{"two that show no address", 3 * time.Minute, 5 * time.Minute, func(a, b *peer.Config) { a.RelayOnly, b.RelayOnly = true, true }},
		{"a caller that shows no address", 3 * time.Minute, 5 * time.Minute, func(a, _ *peer.Config) { a.RelayOnly = true }},
		{"a callee that alone has a relay", 3 * time.Minute, 5 * time.Minute, func(a, _ *peer.Config) { a.Discover = nil }},
	} {
		t.Run("keeps a connection whose credentials end: "+c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, from, to := relayedFor(t, c.credentials, c.set)
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				renewed := 0
				for range int(c.call.Minutes()) {
					time.Sleep(time.Minute)
					if isOver(caller.Replaced()) {
						caller, callee = replacedBoth(t, from, to, caller, callee)
						renewed++
						if !caller.Renewed || !callee.Renewed || !caller.Verified || !callee.Verified {
							t.Errorf("renewed: %v and %v, verified: %v and %v", caller.Renewed, callee.Renewed, caller.Verified, callee.Verified)
						}
					}
					if hasEnded(caller) || hasEnded(callee) {
						t.Fatalf("the connection was lost after %d renewals", renewed)
					}
					talk(t, caller, callee)
				}
				if renewed < int(c.call/(c.credentials+2*time.Minute)) || renewed > int(c.call/c.credentials)+1 { // pion asks the relay every 2 minutes
					t.Errorf("it was renewed %d times", renewed)
				}
				t.Logf("renewed %d times, with %d credentials", renewed, r.given.Load())
			})
		})
	}

	t.Run("follows the route to another network where the server refuses", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const wifi, cable = "10.0.0.5", "10.0.0.6"
			n, store, at := newNetwork(t, 10*time.Millisecond), &awayStore{Store: memstore.New(memstore.Limits{})}, &traveller{}
			at.use(wifi)
			r := newMortalRelay(t, n, 10*time.Minute)
			var open atomic.Bool
			n.router.AddChunkFilter(func(c vnet.Chunk) bool {
				return open.Load() || hostOf(c.SourceAddr()) == relayAddress || hostOf(c.DestinationAddr()) == relayAddress
			})
			book := &logbook{}
			config := moving()
			config.Discover = r.discover
			two := config
			two.Log = book.logger()
			from := calling(t, store, right, two.Over(machine(t, n.router, wifi, cable)).Routed(at.route))
			to := answering(t, store, right, config.Over(n.callee))
			t.Cleanup(n.sever)
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			store.away.Store(true)
			time.Sleep(12*time.Minute + 30*time.Second)
			if n := book.count("a TURN server no longer keeps"); n != 1 {
				t.Errorf("the log tells it %d times", n)
			}
			open.Store(true)
			at.use(cable)
			time.Sleep(30 * time.Second)
			caller, callee = replacedBoth(t, from, to, caller, callee)
			if caller.Local() != cable || caller.Renewed {
				t.Errorf("the connection leaves from %s; renewed: %v", caller.Local(), caller.Renewed)
			}
			talk(t, caller, callee)
		})
	})

	t.Run("is not needed for the next offer, which has new credentials", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, store, config, other := relaysFor(t, 10*time.Minute, func(a, _ *peer.Config) { a.RelayOnly = true })
			from := r.n.calls(t, store, right, config)
			time.Sleep(20 * time.Minute)
			_ = fails(t, r.n.answers(t, store, wrong, other), peer.ErrWrongCode)
			caller, callee := both(t, from, r.n.answers(t, store, right, other))
			talk(t, caller, callee)
		})
	})

	t.Run("waits for a server that is away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var away atomic.Bool
			book := &logbook{}
			_, from, to := relayedFor(t, 10*time.Minute, func(a, b *peer.Config) {
				find := a.Discover
				a.Discover = func(ctx context.Context, at signaling.Ticket, wait time.Duration) ([]signaling.ICEServer, error) {
					if away.Load() {
						return nil, signaling.ErrUnreachable
					}
					return find(ctx, at, wait)
				}
				b.Discover, a.Log = a.Discover, book.logger()
			})
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			away.Store(true)
			time.Sleep(12*time.Minute + 30*time.Second)
			if n := book.count("a TURN server no longer keeps"); n != 1 {
				t.Errorf("the log tells it %d times", n)
			}
			talk(t, caller, callee)
			if isOver(caller.Replaced()) {
				t.Fatal("it was renewed without new credentials")
			}
			away.Store(false)
			time.Sleep(35 * time.Second)
			caller, callee = replacedBoth(t, from, to, caller, callee)
			talk(t, caller, callee)
			if !caller.Renewed {
				t.Error("it was not renewed")
			}
		})
	})

	t.Run("goes on when there is a reason to move", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var slow atomic.Bool
			renews := make(chan struct{}, 9)
			_, from, to := relayedFor(t, 10*time.Minute, func(a, b *peer.Config) {
				find := a.Discover
				a.Discover = func(ctx context.Context, at signaling.Ticket, wait time.Duration) ([]signaling.ICEServer, error) {
					if slow.Load() {
						renews <- struct{}{}
						time.Sleep(time.Second)
					}
					return find(ctx, at, wait)
				}
				b.Discover = a.Discover
			})
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			slow.Store(true)
			<-renews
			caller.Move()
			callee.Move()
			time.Sleep(4 * time.Second)
			if !isOver(caller.Replaced()) || !isOver(callee.Replaced()) {
				t.Fatal("the renewal was given up")
			}
			caller, callee = replacedBoth(t, from, to, caller, callee)
			talk(t, caller, callee)
			if !caller.Renewed {
				t.Error("it was not renewed")
			}
		})
	})

	for _, c := range []struct {
		name     string
		contacts bool
		lost     func(from, to *net.UDPAddr) *net.UDPAddr // the machine whose old ports no longer work
	}{
		{"from the caller", false, func(from, _ *net.UDPAddr) *net.UDPAddr { return from }},
		{"to the caller", false, func(_, to *net.UDPAddr) *net.UDPAddr { return to }},
		{"of contacts", true, func(_, to *net.UDPAddr) *net.UDPAddr { return to }},
	} {
		t.Run("takes the place of a connection that is lost before it ends: "+c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var slow, dead atomic.Bool
				var old sync.Map
				renews := make(chan struct{}, 9)
				r, store, config, _ := relaysFor(t, 10*time.Minute, func(_, _ *peer.Config) {})
				config.Discover = func(ctx context.Context, at signaling.Ticket, wait time.Duration) ([]signaling.ICEServer, error) {
					if slow.Load() {
						renews <- struct{}{}
						time.Sleep(2 * time.Second)
					}
					return r.discover(ctx, at, wait)
				}
				r.n.router.AddChunkFilter(func(chunk vnet.Chunk) bool {
					at := c.lost(chunk.SourceAddr().(*net.UDPAddr), chunk.DestinationAddr().(*net.UDPAddr))
					if !dead.Load() {
						old.Store(at.String(), true)
					}
					_, known := old.Load(at.String())
					return !dead.Load() || at.IP.String() != "10.0.0.1" || !known
				})
				var sides [2]*peer.Session
				if friends := friends(1); c.contacts {
					for i, on := range []*vnet.Net{r.n.caller, r.n.callee} {
						sides[i] = peer.Meet(store, peer.Contact{Keys: friends[i].load, Calls: i == 0}, config.Over(on))
						t.Cleanup(sides[i].Close)
						t.Cleanup(r.n.sever)
					}
				} else {
					sides[0], sides[1] = r.n.calls(t, store, right, config), r.n.answers(t, store, right, config)
				}
				caller, callee := both(t, sides[0], sides[1])
				talk(t, caller, callee)
				slow.Store(true)
				<-renews
				dead.Store(true)
				begun := time.Now()
				caller, callee = both(t, sides[0], sides[1])
				if took := time.Since(begun); took > 5*time.Second || !caller.Renewed || !callee.Renewed {
					t.Errorf("it took %v, renewed: %v and %v", took, caller.Renewed, callee.Renewed)
				}
				talk(t, caller, callee)
			})
		})
	}

	t.Run("is not needed when the relay was restarted: the two meet again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, from, to := relayedFor(t, time.Hour, func(_, _ *peer.Config) {})
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			time.Sleep(time.Second)
			killed := time.Now()
			r.stop(t)
			r.secret = "second"
			r.start(t)
			caller, callee = both(t, from, to)
			talk(t, caller, callee)
			t.Logf("it took %v", time.Since(killed))
			if took := time.Since(killed); took > 1300*time.Millisecond { // 1.6 s if the meeting waits for paths that are better than a relay's
				t.Errorf("it took %v", took)
			}
		})
	})
}
