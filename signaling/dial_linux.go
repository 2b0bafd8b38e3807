package signaling

import (
	"syscall"
	"time"
)

const tcpUserTimeout = 18 // RFC 5482; syscall has no name for it

// giveUpAfter lets the system end a connection whose data nobody acknowledges.
func giveUpAfter(d time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(d.Milliseconds())) // without it all goes on, later
		})
	}
}
