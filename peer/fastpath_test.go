package peer_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// transports are the two that further channels can use.
var transports = []struct {
	name   string
	config func() peer.Config
	quic   bool
}{
	{"over QUIC", quiet, true},
	{"over DataChannels", dataChannelsOnly, false},
}

// A quicTap counts the packets with which QUIC connections begin, and can drop all packets of QUIC.
type quicTap struct {
	handshakes atomic.Int64
	blocked    atomic.Bool
}

func (n *network) tapQUIC() *quicTap {
	q := &quicTap{}
	n.router.AddChunkFilter(func(c vnet.Chunk) bool {
		first := func(b []byte) byte { return append(b, 0)[0] }
		packet := c.UserData()
		if at := c.SourceAddr().String(); (at[:8] == relayAddress || c.DestinationAddr().String()[:8] == relayAddress) && len(packet) > 4 {
			packet = packet[4:] // what is in the message of a TURN channel (RFC 8656, section 12.4)
		}
		if first(packet) >= 0xc0 {
			q.handshakes.Add(1)
		}
		return !q.blocked.Load() || first(packet) < 64
	})
	return q
}

// joined connects two machines that are 2 ms apart.
func joined(t *testing.T, at signaling.Store, caller, callee peer.Config) (q *quicTap, from, to *peer.Pipe) {
	t.Helper()
	n := newNetwork(t, time.Millisecond)
	q = n.tapQUIC()
	from, to = both(t, n.calls(t, at, right, caller), n.answers(t, at, right, callee))
	talk(t, from, to)
	return q, from, to
}

// carries opens a channel each way, and checks whether it goes over QUIC.
func carries(t *testing.T, from, to *peer.Pipe, quic bool) {
	t.Helper()
	for _, ends := range [][2]*peer.Pipe{{from, to}, {to, from}} {
		near, far := further(t, ends[0], ends[1])
		put(t, near, far, pattern(64<<10, 1))
		put(t, far, near, pattern(9, 2))
		if peer.OverQUIC(near) != quic || peer.OverQUIC(far) != quic {
			t.Errorf("a channel goes over QUIC: %v and %v, want %v", peer.OverQUIC(near), peer.OverQUIC(far), quic)
		}
		_ = near.Close() // as far does, it tells the other end
		_ = far.Close()
	}
}

func TestFastPath(t *testing.T) {
	for _, transport := range transports {
		t.Run("is used if both sides can: "+transport.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, from, to := joined(t, memstore.New(memstore.Limits{}), transport.config(), transport.config())
				carries(t, from, to, transport.quic)
				if n := q.handshakes.Load(); (n > 0) != transport.quic {
					t.Errorf("%d packets are QUIC's", n)
				}
			})
		})
	}

	t.Run("is not tried if one side cannot", func(t *testing.T) {
		for _, configs := range [][2]peer.Config{{quiet(), dataChannelsOnly()}, {dataChannelsOnly(), quiet()}} {
			synctest.Test(t, func(t *testing.T) {
				q, from, to := joined(t, memstore.New(memstore.Limits{}), configs[0], configs[1])
				begun := time.Now()
				carries(t, from, to, false)
				if n, took := q.handshakes.Load(), time.Since(begun); n > 0 || took > 100*time.Millisecond {
					t.Errorf("%d packets are QUIC's; it took %v", n, took)
				}
			})
		}
	})

	t.Run("is not used where the network bounds a file", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
			from, to := both(t, n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet()))
			carries(t, from, to, false)
		})
	})

	t.Run("is tried once where a network drops QUIC", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q, from, to := joined(t, memstore.New(memstore.Limits{}), quiet(), quiet())
			q.blocked.Store(true)
			begun := time.Now()
			further(t, from, to)
			if took := time.Since(begun); took > 1100*time.Millisecond {
				t.Errorf("the first channel takes %v", took)
			}
			begun = time.Now()
			for range 5 {
				near, far := further(t, from, to)
				put(t, near, far, []byte("x"))
			}
			if took := time.Since(begun); took > 100*time.Millisecond {
				t.Errorf("five more take %v", took)
			}
		})
	})
}

// Each kind of NAT against each: further channels go over QUIC, and never through a relay.
func TestFastPathThroughNATs(t *testing.T) {
	t.Parallel()
	for a := range nats {
		for b := range nats {
			if testing.Short() && a > b {
				continue
			}
			for _, transport := range transports {
				t.Run(nats[a].name+" and "+nats[b].name+", "+transport.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						n, store := newNATs(t, a, b, time.Millisecond), memstore.New(memstore.Limits{})
						q := n.tapQUIC()
						config := transport.config()
						config.ICEServers = []signaling.ICEServer{n.stun(t), n.turn}
						from, to := both(t, n.calls(t, store, right, config), n.answers(t, store, right, config))
						quic := transport.quic && !relayNeeded(a, b)
						carries(t, from, to, quic)
						if n := q.handshakes.Load(); (n > 0) != quic {
							t.Errorf("%d packets are QUIC's", n)
						}
					})
				})
			}
		}
	}
}

// A relay that this side alone asks for carries no QUIC.
func TestNoFastPathThroughARelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
		q := n.tapQUIC()
		config := quiet()
		config.ICEServers = []signaling.ICEServer{relayed(t, n)}
		only := config
		only.RelayOnly = true
		from, to := both(t, n.calls(t, store, right, only), n.answers(t, store, right, config))
		carries(t, from, to, false)
		if n := q.handshakes.Load(); n > 0 {
			t.Errorf("%d packets are QUIC's", n)
		}
	})
}

// A lying server says of one side, or of both, that it can carry files over QUIC, or that it cannot.
type lyingOfQUIC struct {
	signaling.Store
	offer, answer bool
}

func claiming(d signaling.Description, quic bool) signaling.Description {
	var all, member map[string]json.RawMessage
	if json.Unmarshal(d, &all) != nil || json.Unmarshal(all["p2pchat"], &member) != nil {
		return d
	}
	member["quic"], _ = json.Marshal(quic) // it never fails
	all["p2pchat"], _ = json.Marshal(member)
	d, _ = json.Marshal(all)
	return d
}

func (l lyingOfQUIC) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	return l.Store.Offer(ctx, t, claiming(d, l.offer))
}

func (l lyingOfQUIC) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	return l.Store.Answer(ctx, t, to, claiming(d, l.answer))
}

func TestAServerThatLiesOfQUIC(t *testing.T) {
	for name, c := range map[string]struct {
		offer, answer  bool
		caller, callee func() peer.Config
		quic           bool
	}{
		"neither can, it says":            {false, false, quiet, quiet, false},
		"the caller cannot, it says":      {false, true, quiet, quiet, false},
		"the callee cannot, it says":      {true, false, quiet, quiet, false},
		"the caller can, it says":         {true, true, dataChannelsOnly, quiet, false},
		"the callee can, it says":         {true, true, quiet, dataChannelsOnly, false},
		"both can, it says":               {true, true, dataChannelsOnly, dataChannelsOnly, false},
		"both can, it says, and is right": {true, true, quiet, quiet, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := lyingOfQUIC{memstore.New(memstore.Limits{}), c.offer, c.answer}
				_, from, to := joined(t, store, c.caller(), c.callee())
				begun := time.Now()
				carries(t, from, to, c.quic)
				if took := time.Since(begun); took > 1100*time.Millisecond {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A file whose QUIC connection is cut, and nothing else, goes on over a DataChannel.
func TestAFileWhereQUICIsCut(t *testing.T) {
	const size = 4 << 20
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, noise(size), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
		q := n.tapQUIC()
		from, to := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
		var wg sync.WaitGroup
		a, b := newPorter(&wg, from, chat.Config{}), newPorter(&wg, to, chat.Config{DownloadDir: dir, AcceptFiles: true})
		wg.Go(func() {
			for a.written.Load() < size/4 {
				time.Sleep(time.Millisecond)
			}
			q.blocked.Store(true)
		})
		if _, err := a.SendFiles(context.Background(), path); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(a.Finish(context.Background()), b.Finish(context.Background())); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if err := errors.Join(a.err, b.err); err != nil {
			t.Error(err)
		}
		for e := range a.events {
			if _, ok := e.(chat.Disconnected); ok {
				t.Error("the two have lost each other")
			}
		}
		if q.handshakes.Load() == 0 {
			t.Error("no file went over QUIC")
		}
	})
	same(t, filepath.Join(dir, "data"), path)
}

// Channels on the fast path end with the connection, however that ends.
func TestFastPathEndsWithThePipe(t *testing.T) {
	for name, end := range map[string]func(*network, *peer.Session){
		"that is lost":   func(n *network, _ *peer.Session) { n.sever() },
		"that is closed": func(_ *network, s *peer.Session) { s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
				from, to := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
				caller, callee := both(t, from, to)
				near, far := further(t, caller, callee)
				end(n, from)
				for _, c := range []io.ReadWriteCloser{near, far} {
					_ = ends(t, c)
				}
			})
		})
	}
}
