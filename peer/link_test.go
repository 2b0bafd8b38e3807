package peer_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v5/vnet"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/signaling/memstore"
)

// A link is what a packet meets between two machines.
type link struct {
	delay time.Duration // each way
	rate  int           // bits a second, each way
	queue int64         // bytes that wait, until packets are dropped
	loss  float64       // of 1, each way
}

// network returns a network that is such a link. Which packets it loses depends on the order of goroutines alone.
func (l link) network(t *testing.T) *network {
	t.Helper()
	router, err := newRouter(&vnet.RouterConfig{CIDR: "10.0.0.0/24", MinDelay: l.delay, QueueSize: 10_000, LoggerFactory: logging.NewDefaultLoggerFactory()})
	if err != nil {
		t.Fatal(err)
	}
	n := &network{router: router}
	for machine, address := range map[**vnet.Net]string{&n.caller: "10.0.0.1", &n.callee: "10.0.0.2"} {
		if *machine, err = newNet(&vnet.NetConfig{StaticIPs: []string{address}}); err != nil {
			t.Fatal(err)
		}
		queue, err := vnet.NewQueue(*machine, vnet.NewTBFQueue(l.rate, 3000, l.queue))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = queue.Close() }) // it never fails
		if err := router.AddNet(queue); err != nil {
			t.Fatal(err)
		}
	}
	dice := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	var mu sync.Mutex
	router.AddChunkFilter(func(vnet.Chunk) bool {
		mu.Lock()
		defer mu.Unlock()
		return !n.cut.Load() && dice.Float64() >= l.loss
	})
	if err := router.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := router.Stop(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// A shipment is how a file went over a link, with a message each 100 ms beside it.
type shipment struct {
	took     time.Duration
	messages []time.Duration // from said to delivered
	stripes  int             // the ports of the sender that packets went from, beside the first
}

// ship sends the file at path over a link in virtual time. The function disturb runs at the same time; it may be nil.
func (l link) ship(t *testing.T, path string, config chat.Config, disturb func(n *network)) (s shipment) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n, store := l.network(t), memstore.New(memstore.Limits{})
		ports := map[string]bool{}
		var mu sync.Mutex // guards ports and said
		n.router.AddChunkFilter(func(c vnet.Chunk) bool {
			mu.Lock()
			defer mu.Unlock()
			if len(c.UserData()) > 1000 {
				ports[c.SourceAddr().String()] = true
			}
			return true
		})
		from, to := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
		var wg, beside sync.WaitGroup
		a, b := newPorter(&wg, from, config), newPorter(&wg, to, chat.Config{DownloadDir: dir, AcceptFiles: true})
		for e := range a.events {
			if _, ok := e.(chat.Connected); ok {
				break
			}
		}
		begun, said, arrived := time.Now(), map[uint64]time.Time{}, make(chan struct{})
		if _, err := a.SendFiles(context.Background(), path); err != nil {
			t.Fatal(err)
		}
		beside.Go(func() {
			for {
				select {
				case <-arrived:
					return
				case <-time.After(100 * time.Millisecond):
				}
				mu.Lock()
				if id, err := a.Say(context.Background(), "x"); err == nil {
					said[id] = time.Now()
				}
				mu.Unlock()
			}
		})
		if disturb != nil {
			beside.Go(func() { disturb(n) })
		}
		for e := range a.events {
			if e, ok := e.(chat.Delivered); ok {
				mu.Lock()
				s.messages = append(s.messages, time.Since(said[e.ID]))
				mu.Unlock()
			}
			if _, ok := e.(chat.FileSent); ok {
				break
			}
		}
		s.took = time.Since(begun)
		close(arrived)
		beside.Wait()
		s.stripes = len(ports) - 1
		if err := errors.Join(a.Finish(context.Background()), b.Finish(context.Background())); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if err := errors.Join(a.err, b.err); err != nil {
			t.Error(err)
		}
	})
	same(t, filepath.Join(dir, filepath.Base(path)), path)
	return s
}

// same checks that two files have the same content.
func same(t *testing.T, got, want string) {
	t.Helper()
	a, err := os.ReadFile(got)   //nolint:gosec // of this test
	b, err2 := os.ReadFile(want) //nolint:gosec // of this test
	if err := errors.Join(err, err2); err != nil || !bytes.Equal(a, b) {
		t.Errorf("%d bytes arrived, or others (%v)", len(a), err)
	}
}

func fileOf(t *testing.T, size int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, noise(size), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// far is a link of 100 Mbit/s between machines that are 50 ms apart.
var far = link{delay: 25 * time.Millisecond, rate: 100e6, queue: 625_000, loss: 0.005}

// A file over a link that loses 1 % of the packets is at least four times as fast over stripes as over one association.
func TestFileWherePacketsAreLost(t *testing.T) {
	t.Parallel()
	size := peer.Long(8, 4) << 20
	path := fileOf(t, size)
	striped, single := far.ship(t, path, chat.Config{}, nil), far.ship(t, path, chat.Config{Stripes: chat.StripesNever}, nil)
	if striped.stripes != 4 || single.stripes != 0 {
		t.Errorf("it went over %d stripes; and over %d", striped.stripes, single.stripes)
	}
	if striped.took > single.took/4 {
		t.Errorf("it took %v over stripes, and %v without", striped.took, single.took)
	}
	t.Logf("%.1f MB/s over stripes, %.1f without", float64(size)/1e6/striped.took.Seconds(), float64(size)/1e6/single.took.Seconds())
}

// A file does not overflow a router's queue, whose losses would cost it seconds: not as it begins, and not later.
func TestFileThroughAShortQueue(t *testing.T) {
	t.Parallel()
	const size = 8_000_000
	short := link{delay: 25 * time.Millisecond, rate: 20e6, queue: 37_500} // 15 ms
	path, shares := fileOf(t, size), []float64(nil)
	for range 3 { // a burst may still be too much for so short a queue
		s := short.ship(t, path, chat.Config{}, nil)
		shares = append(shares, size*8/20e6/s.took.Seconds())
		t.Logf("it uses %.2f of the link, and a message takes %v", shares[len(shares)-1], p(.5, s.messages))
	}
	if best := slices.Max(shares); best < 0.5 {
		t.Errorf("it uses %.2f of the link", best)
	}
}

// A message does not wait long while a file fills a slow link with a deep queue, which a router at home has: 150 ms, and
// the round trip.
func TestMessagesDuringAFileOnASlowLink(t *testing.T) {
	t.Parallel()
	slow := link{delay: 25 * time.Millisecond, rate: 5e6, queue: 256 << 10}
	for name, config := range map[string]chat.Config{"over stripes": {}, "without stripes": {Stripes: chat.StripesNever}} {
		t.Run(name, func(t *testing.T) {
			size := peer.Long(5, 2) << 20
			s := slow.ship(t, fileOf(t, size), config, nil)
			if median := p(.5, s.messages); median > 200*time.Millisecond {
				t.Errorf("a message takes %v", median)
			}
			t.Logf("a message takes %v, at most %v; the file has %.2f MB/s", p(.5, s.messages), p(1, s.messages), float64(size)/1e6/s.took.Seconds())
		})
	}
}

// A file through cuts of all its connections, and of one stripe alone, arrives as it was sent.
func TestStripesThroughCuts(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("left to the long form of the tests")
	}
	far := far
	far.loss = 0
	t.Run("of all", func(t *testing.T) {
		const cuts = 3
		s := far.ship(t, fileOf(t, 16<<20), chat.Config{}, func(n *network) {
			for range cuts {
				time.Sleep(900 * time.Millisecond)
				n.cut.Store(true)
				time.Sleep(4 * time.Second)
				n.cut.Store(false)
			}
		})
		if s.stripes < 2*4 {
			t.Errorf("it used %d stripes in all", s.stripes)
		}
	})

	t.Run("of one", func(t *testing.T) {
		far.rate = 20e6 // or the other stripes have sent its pieces, too, before its end is noticed
		s := far.ship(t, fileOf(t, 16<<20), chat.Config{}, func(n *network) {
			time.Sleep(time.Second) // the file is on its stripes
			var victim string
			var mu sync.Mutex
			seen := map[string]bool{}
			n.router.AddChunkFilter(func(c vnet.Chunk) bool { // the second port that sends much from now on is a stripe's
				mu.Lock()
				defer mu.Unlock()
				if at := c.SourceAddr().String(); victim == "" && len(c.UserData()) > 1000 {
					if seen[at] = true; len(seen) == 2 {
						victim = at
					}
				}
				return victim != c.SourceAddr().String() && victim != c.DestinationAddr().String()
			})
		})
		if s.stripes <= 4 {
			t.Errorf("it used %d stripes in all: it went on without", s.stripes)
		}
	})
}
