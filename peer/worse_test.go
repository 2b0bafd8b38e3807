package peer_test

import (
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/vnet"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer"
	"p2pchat/signaling/memstore"
)

// A line is what the network does to the packets of one address.
type line struct {
	delay atomic.Int64 // nanoseconds that packets from the address take longer
	loss  atomic.Int64 // percent, in each direction
}

// twoLines are those of a machine with two addresses.
type twoLines struct {
	*network
	transport.Net
	store *offered
	lines map[string]*line
	log   *slog.Logger // of the machine; nil: none
}

const wifi, cable = "10.0.0.3", "10.0.0.4"

// newTwoLines returns a network with a machine that has two addresses, and uses the cable.
func newTwoLines(t *testing.T) *twoLines {
	t.Helper()
	w := &twoLines{network: newNetwork(t, 5*time.Millisecond), store: &offered{Store: memstore.New(memstore.Limits{})}, lines: map[string]*line{wifi: {}, cable: {}}}
	w.Net = machine(t, w.router, cable, wifi)
	w.router.AddChunkFilter(func(c vnet.Chunk) bool {
		for at, line := range w.lines {
			if (strings.HasPrefix(c.SourceAddr().String(), at+":") || strings.HasPrefix(c.DestinationAddr().String(), at+":")) && rand.Int64N(100) < line.loss.Load() { //nolint:gosec // no secret
				return false
			}
		}
		return true
	})
	return w
}

// ListenUDP opens a socket whose packets are delayed as on the line of its address.
func (w *twoLines) ListenUDP(network string, at *net.UDPAddr) (transport.UDPConn, error) {
	c, err := w.Net.ListenUDP(network, at)
	if err != nil || at == nil || w.lines[at.IP.String()] == nil {
		return c, err
	}
	return &slowConn{c, w.lines[at.IP.String()]}, nil
}

type slowConn struct {
	transport.UDPConn
	line *line
}

// WriteTo sends a packet when its delay is over.
func (c *slowConn) WriteTo(b []byte, to net.Addr) (int, error) {
	d := time.Duration(c.line.delay.Load())
	if d == 0 {
		return c.UDPConn.WriteTo(b, to)
	}
	b = append([]byte(nil), b...)
	time.AfterFunc(d, func() { _, _ = c.UDPConn.WriteTo(b, to) }) // the socket may be closed by then
	return len(b), nil
}

// connected returns two sides that have talked for a while over the cable.
func (w *twoLines) connected(t *testing.T, side string) (from, to *peer.Session, caller, callee *peer.Pipe) {
	t.Helper()
	at := &traveller{}
	at.use(cable)
	two := moving().Over(w).Routed(at.route)
	two.Log = w.log
	configs := []peer.Config{two, moving().Over(w.callee)}
	if side == "callee" {
		configs = []peer.Config{moving().Over(w.caller), two}
	}
	w.lines[wifi].loss.Store(100)
	from, to = calling(t, w.store, right, configs[0]), answering(t, w.store, right, configs[1])
	t.Cleanup(w.sever)
	caller, callee = both(t, from, to)
	talk(t, caller, callee)
	time.Sleep(12 * time.Second)
	w.lines[wifi].loss.Store(0)
	return from, to, caller, callee
}

// moves returns how often the connection moves in a time, and the last Pipes.
func (w *twoLines) moves(t *testing.T, d time.Duration, from, to *peer.Session, caller, callee *peer.Pipe) (n int, _, _ *peer.Pipe) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		timer := time.NewTimer(time.Until(end))
		select {
		case <-caller.Replaced():
			caller, callee = replacedBoth(t, from, to, caller, callee)
			n++
		case <-timer.C:
		}
		timer.Stop()
	}
	return n, caller, callee
}

func TestWorse(t *testing.T) {
	t.Parallel()
	spoil := map[string]func(*line){
		"slow":  func(l *line) { l.delay.Store(int64(400 * time.Millisecond)) },
		"lossy": func(l *line) { l.loss.Store(20) },
	}
	most := map[string]int{"slow": 0, "lossy": 3} // of 20 checks, chance may lose few
	limits := map[string]time.Duration{"slow": 15 * time.Second, "lossy": 5 * time.Minute}
	for name, spoil := range spoil {
		for _, side := range []string{"caller", "callee"} {
			t.Run("a connection leaves an address whose path has become "+name+", of the "+side, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newTwoLines(t)
					from, to, caller, callee := w.connected(t, side)
					if isOver(caller.Replaced()) {
						t.Fatal("it was moved without a reason")
					}
					spoil(w.lines[cable])
					begun := time.Now()
					n, nextCaller, nextCallee := w.moves(t, limits[name], from, to, caller, callee)
					if n == 0 || name == "slow" && n != 1 { // the two may meet again first where packets are lost
						t.Fatalf("moved %d times", n)
					}
					t.Logf("looked for %v", time.Since(begun))
					mine, theirs := nextCaller, nextCallee
					if side == "callee" {
						mine, theirs = theirs, mine
					}
					if mine.Local() != wifi {
						t.Errorf("packets leave from %s", mine.Local())
					}
					if n == 1 && mine.Reason == "silence" {
						t.Log("they have met again elsewhere")
					} else if mine.Reason != "worse" || mine.Theirs || theirs.Reason != "worse" || !theirs.Theirs {
						t.Errorf("%q, %v; %q, %v", mine.Reason, mine.Theirs, theirs.Reason, theirs.Theirs)
					}
					talk(t, nextCaller, nextCallee)
					agree(t, nextCaller, nextCallee)
					n, nextCaller, nextCallee = w.moves(t, peer.Long(30*time.Minute, 3*time.Minute), from, to, nextCaller, nextCallee)
					if n != 0 {
						t.Errorf("it has moved %d times from the good path", n)
					}
					talk(t, nextCaller, nextCallee)
				})
			})
		}

		t.Run("a connection stays where the other path is as "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTwoLines(t)
				from, to, caller, callee := w.connected(t, "caller")
				spoil(w.lines[cable])
				spoil(w.lines[wifi])
				n, caller, callee := w.moves(t, 20*time.Minute, from, to, caller, callee)
				if n > most[name] {
					t.Errorf("it has moved %d times", n)
				}
				for _, line := range w.lines {
					line.loss.Store(0)
				}
				_, caller, callee = w.moves(t, time.Minute, from, to, caller, callee) // they may be about to meet again
				talk(t, caller, callee)
			})
		})
	}

	t.Run("a connection stays where it is while a file makes a queue", func(t *testing.T) {
		for _, side := range []string{"caller", "callee"} {
			synctest.Test(t, func(t *testing.T) {
				w := newTwoLines(t)
				from, to, caller, callee := w.connected(t, "caller")
				sender, receiver := caller, callee
				if side == "callee" {
					sender, receiver = receiver, sender
				}
				receiver.Expect(true)
				for range 3 {
					c, err := sender.Open(soon(t))
					if err != nil {
						t.Fatal(err)
					}
					far, err := receiver.Accept(soon(t))
					if err != nil {
						t.Fatal(err)
					}
					spoil["slow"](w.lines[cable])
					n, _, _ := w.moves(t, 40*time.Second, from, to, caller, callee)
					if n != 0 {
						t.Fatalf("it has moved %d times", n)
					}
					if err := c.Close(); err != nil {
						t.Fatal(err)
					}
					_ = far.Close() // the other side may have
					time.Sleep(time.Second)
					w.lines[cable].delay.Store(0)
					time.Sleep(4 * time.Second)
				}
				spoil["slow"](w.lines[cable]) // it would move without a file
				if n, _, _ := w.moves(t, 15*time.Second, from, to, caller, callee); n != 1 {
					t.Errorf("it has moved %d times", n)
				}
			})
		}
	})
}

// A side that has used up its moves does not say that it tries another path.
func TestWorseWithoutMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, book := newTwoLines(t), &logbook{}
		w.log = book.logger()
		from, to, caller, callee := w.connected(t, "caller")
		for range peer.MovesMost {
			w.lines[wifi].loss.Store(100)
			caller.Move()
			caller, callee = replacedBoth(t, from, to, caller, callee)
			talk(t, caller, callee)
			time.Sleep(3 * time.Second)
		}
		time.Sleep(12 * time.Second)
		w.lines[wifi].loss.Store(0)
		w.lines[cable].delay.Store(int64(400 * time.Millisecond))
		if n, _, _ := w.moves(t, 30*time.Second, from, to, caller, callee); n != 0 {
			t.Errorf("it has moved %d times", n)
		}
		if book.count("trying another path") != 0 {
			t.Error("it says that it tries another path")
		}
	})
}

// oneInterface is a network with one interface.
type oneInterface struct {
	transport.Net
	eth *transport.Interface
}

func (n *oneInterface) Interfaces() ([]*transport.Interface, error) {
	return []*transport.Interface{n.eth}, nil
}

// A connection knows from which address it leaves, even if the socket that a STUN server was asked from names none.
func TestBaseOfPath(t *testing.T) {
	t.Parallel()
	eth := transport.NewInterface(net.Interface{Name: "eth0"})
	eth.AddAddress(&net.IPNet{IP: net.ParseIP(cable), Mask: net.CIDRMask(120, 128)})
	w := &oneInterface{eth: eth}
	for name, c := range map[string]struct {
		local webrtc.ICECandidate
		want  string
	}{
		"a host candidate":              {webrtc.ICECandidate{Address: wifi}, wifi},
		"a NAT's, of a known address":   {webrtc.ICECandidate{Address: "203.0.113.7", RelatedAddress: wifi}, wifi},
		"a NAT's, of a socket for all":  {webrtc.ICECandidate{Address: "203.0.113.7", RelatedAddress: "0.0.0.0"}, cable},
		"a relay's, of a socket for v6": {webrtc.ICECandidate{Address: "203.0.113.7", RelatedAddress: "::"}, "invalid IP"},
		"a name's":                      {webrtc.ICECandidate{Address: "x.local"}, "invalid IP"},
	} {
		if got := peer.BaseOf(&webrtc.ICECandidatePair{Local: &c.local}, w); got.String() != c.want {
			t.Errorf("the base of %s is %v, not %s", name, got, c.want)
		}
	}
}
