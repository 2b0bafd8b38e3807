package pionnet

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// AvoidDeadLink is a [net.Dialer]'s Control that makes a socket use another link if the one that leads to the address has no carrier.
func AvoidDeadLink(_, address string, c syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || to.Addr().IsLoopback() {
		return nil //nolint:nilerr // the socket is used as it is
	}
	at := to.Addr().Unmap()
	link, _ := standInTo(at, routeTo(at))
	if link == nil {
		return nil
	}
	// IP_UNICAST_IF does nothing for TCP. Since Linux 5.7, this needs no privilege; without it the connection fails, as it would anyway.
	return c.Control(func(fd uintptr) { _ = unix.BindToDevice(int(fd), link.Name) })
}
