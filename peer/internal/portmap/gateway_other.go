//go:build !linux && !darwin && !windows

package portmap

import (
	"errors"
	"net/netip"
)

func defaultGateway() (netip.Addr, error) {
	return netip.Addr{}, errors.New("the routing table of this system is not read")
}
