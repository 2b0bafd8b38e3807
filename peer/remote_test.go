package peer

import (
	"net/netip"
	"testing"

	"p2pchat/peer/internal/pionnet"
)

// An address that both machines have is no path from one to the other.
func TestOwnAddressesAreNotNear(t *testing.T) {
	outside := netip.MustParseAddr("203.0.113.7")
	a := &attempt{machine: pionnet.Addresses{Own: []netip.Addr{netip.MustParseAddr("172.17.0.1"), netip.MustParseAddr("fd00:17::1")}}}
	for _, network := range []string{"192.168.1.0/24", "fd00::/64", "172.17.0.0/16", "fd00:17::/64"} {
		a.machine.Networks = append(a.machine.Networks, netip.MustParsePrefix(network))
	}
	for _, sameNAT := range []bool{false, true} {
		for address, want := range map[string]bool{
			"172.17.0.1": false, "fd00:17::1": false, // this machine's own bridge
			"172.17.0.2": true, "192.168.1.8": true, "fd00::8": true, // in its networks
			"192.168.1.7": true, "fd00::7": true, // another program on this machine
			"10.0.0.1": sameNAT,
		} {
			if near := a.isNear(netip.MustParseAddr(address)); near != want {
				t.Errorf("with the same NAT: %v: %s is near: %v", sameNAT, address, near)
			}
		}
		a.mapped = [2]netip.Addr{outside, outside}
	}
	a.remote.due = true
	if !a.isNear(netip.MustParseAddr("172.17.0.1")) {
		t.Error("after a while it is not tried")
	}
}
