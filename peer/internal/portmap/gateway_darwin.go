package portmap

import (
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/net/route"
)

// defaultGateway asks the routing socket (route(4)).
func defaultGateway() (netip.Addr, error) {
	table, err := route.FetchRIB(syscall.AF_INET, route.RIBTypeRoute, 0)
	if err != nil {
		return netip.Addr{}, err
	}
	messages, err := route.ParseRIB(route.RIBTypeRoute, table)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, m := range messages {
		r, ok := m.(*route.RouteMessage)
		if !ok || r.Flags&syscall.RTF_GATEWAY == 0 || len(r.Addrs) <= syscall.RTAX_NETMASK {
			continue
		}
		to, isTo := r.Addrs[syscall.RTAX_DST].(*route.Inet4Addr)
		by, isBy := r.Addrs[syscall.RTAX_GATEWAY].(*route.Inet4Addr)
		mask, isMask := r.Addrs[syscall.RTAX_NETMASK].(*route.Inet4Addr)
		if isTo && isBy && to.IP == [4]byte{} && (!isMask || mask.IP == [4]byte{}) {
			return netip.AddrFrom4(by.IP), nil
		}
	}
	return netip.Addr{}, errors.New("there is no default route by way of a gateway")
}
