package peer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A slowWriter is a Store that takes candidates late: checks come before them.
type slowWriter struct {
	signaling.Store
	delay time.Duration
}

func (s slowWriter) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	time.Sleep(s.delay)
	return s.Store.AddCandidates(ctx, t, at, c...)
}

// A side that hides its address is known by its checks before its relay's address has arrived: the path is
// called a relay all the same. A side whose candidates do not come does not hold up the call.
func TestPathBeforeCandidates(t *testing.T) {
	const code = "417-falcon-zebra"
	for name, delay := range map[string]time.Duration{"in time": 150 * time.Millisecond, "too late": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				config := quiet()
				config.ICEServers = []signaling.ICEServer{relayed(t, n)}
				caller := n.calls(t, store, code, config)
				config.RelayOnly = true
				begun := time.Now()
				n.answers(t, slowWriter{store, delay}, code, config)
				from := pipeOf(t, caller)
				if want := map[bool]string{true: "relay", false: "host"}[delay < time.Second]; from.Path != want {
					t.Errorf("the path is %s, not %s, after %v", from.Path, want, time.Since(begun))
				}
				if took := time.Since(begun); took > time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
