package relay

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"

	"p2pchat/signaling/internal/ratelimit"
)

// All addresses together have 1,024 buckets.
func TestRequestsOfManyStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no time passes, so no bucket is refilled
		const most = 1024 * strangerBurst
		strangers := ratelimit.New[netip.Addr](strangerRate, strangerBurst, strangerBounds)
		allowed := 0
		for i := range uint32(2 * most) {
			if strangers.Allow(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, i)))) {
				allowed++
			}
		}
		if allowed > most {
			t.Errorf("%d requests were allowed, want at most %d", allowed, most)
		}
	})
}
