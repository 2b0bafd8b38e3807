package natsstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel() // it waits, most of the time
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint("nodes=", n), func(t *testing.T) {
			t.Parallel()
			c := nats(t, n)
			var opened atomic.Int64
			storetest.Run(t, func(t *testing.T, limits storetest.Limits, observe func(signaling.Store) signaling.Store) signaling.Store {
				return observe(c.open(t, fmt.Sprint("sig", opened.Add(1)), memstore.Limits{Rooms: limits.Rooms, Candidates: limits.Candidates, ListBytes: limits.ListBytes}))
			})
		})
	}
}
