//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package pionnet

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// otherNews has the types of messages that tell of look-ups of routes, not of changes. Where there is no IPv6, macOS tells several times
// a second that a program has looked for a route in vain, as lookAround does.
const otherNews = string(rune(unix.RTM_GET)) + string(rune(unix.RTM_LOSING)) + string(rune(unix.RTM_MISS)) + string(rune(unix.RTM_RESOLVE))

// routeSocket returns a socket on which the kernel tells of changes (route(4)).
func routeSocket() (*os.File, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(unix.AF_ROUTE, unix.SOCK_RAW, unix.AF_UNSPEC)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "routing socket"), nil
}
