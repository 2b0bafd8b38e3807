package signaling

import (
	"syscall"
	"time"
)

const tcpUserTimeout = 18 // TCP_USER_TIMEOUT (RFC 5482), which package syscall does not define

// setAckTimeout returns a net.Dialer.Control that has the system close a connection whose data is
// not acknowledged for d.
func setAckTimeout(d time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(d.Milliseconds())) // without it, a loss is only noticed later
		})
	}
}
