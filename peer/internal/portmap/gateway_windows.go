package portmap

import (
	"errors"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

const withGateways = 0x80 // GAA_FLAG_INCLUDE_GATEWAYS of iptypes.h

// defaultGateway returns the gateway of the interface with the lowest metric that is up and has one.
func defaultGateway() (gateway netip.Addr, err error) {
	size := uint32(16 << 10)
	var first *windows.IpAdapterAddresses
	for range 3 { // the list may grow between two calls
		buffer := make([]uint64, size/8+1) // aligned
		first = (*windows.IpAdapterAddresses)(unsafe.Pointer(&buffer[0]))
		if err = windows.GetAdaptersAddresses(windows.AF_INET, withGateways, 0, first, &size); !errors.Is(err, windows.ERROR_BUFFER_OVERFLOW) {
			break
		}
	}
	if err != nil {
		return gateway, err
	}
	best := ^uint32(0)
	for a := first; a != nil; a = a.Next {
		if a.OperStatus != windows.IfOperStatusUp || a.FirstGatewayAddress == nil || a.Ipv4Metric >= best {
			continue
		}
		if at, ok := netip.AddrFromSlice(a.FirstGatewayAddress.Address.IP().To4()); ok {
			best, gateway = a.Ipv4Metric, at
		}
	}
	if !gateway.IsValid() {
		return gateway, errors.New("there is no default route by way of a gateway")
	}
	return gateway, nil
}
