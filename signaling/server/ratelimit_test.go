package server

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// Clients beyond the first 65,536 have one bucket together.
func TestRateOfManyClients(t *testing.T) {
	const burst, own = 3, 1 << 16
	limits := newRateLimits(Rate{Client: 1e-6, Burst: burst})
	allowed := 0
	for i := range uint32(own + 5000) {
		if limits.client.Allow(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, i)))) {
			allowed++
		}
	}
	if allowed != own+burst {
		t.Errorf("%d requests were allowed, want %d", allowed, own+burst)
	}
}
