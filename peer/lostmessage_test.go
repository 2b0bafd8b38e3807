package peer_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"

	"p2pchat/chat"
	"p2pchat/signaling/memstore"
)

// A message whose packet is lost, with nothing said after it, arrives within four round trips: SCTP alone waits 0.2 s more.
func TestALostMessageIsSoonThere(t *testing.T) {
	t.Parallel()
	const delay, applicationData = 15 * time.Millisecond, 23 // DTLS
	synctest.Test(t, func(t *testing.T) {
		n, store := link{delay: delay, rate: 100e6, queue: 625_000}.network(t), memstore.New(memstore.Limits{})
		var lose, lost atomic.Int64
		n.router.AddChunkFilter(func(c vnet.Chunk) bool {
			fromCaller := strings.HasPrefix(c.SourceAddr().String(), "10.0.0.1:")
			if lose.Load() == 0 || !fromCaller || c.UserData()[0] != applicationData {
				return true
			}
			lose.Add(-1)
			lost.Add(1)
			return false
		})
		var wg sync.WaitGroup
		a, b := newPorter(&wg, n.calls(t, store, right, quiet()), chat.Config{}), newPorter(&wg, n.answers(t, store, right, quiet()), chat.Config{})
		say := func(text string) time.Duration {
			begun := time.Now()
			if _, err := a.Say(context.Background(), text); err != nil {
				t.Fatal(err)
			}
			for e := range b.events {
				if _, ok := e.(chat.Message); ok {
					break
				}
			}
			return time.Since(begun)
		}
		say("goes out with the hello")
		say("is measured")
		time.Sleep(time.Second) // nothing is on its way
		lose.Store(1)
		took := say("lost once")
		t.Logf("it took %v", took)
		if lost.Load() != 1 || took > 8*delay {
			t.Errorf("with %d packets lost, it took %v", lost.Load(), took)
		}
		if err := errors.Join(a.Finish(context.Background()), b.Finish(context.Background())); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
}
