package pionnet

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// settleTime is how long routes may take to follow a change of links and addresses.
const settleTime = 200 * time.Millisecond

// WatchRoutes returns a channel that has something when this machine's links, addresses or routes may have changed, and once more
// soon after. It ends with ctx; what it needs runs by start. The kernel tells (rtnetlink(7)), so nothing wakes a machine whose
// network stays as it is. Where it does not, the channel has something each interval.
//
// pion gathers once, and does not notice that the network has changed. An event of pion for that would retire this file.
func WatchRoutes(ctx context.Context, interval time.Duration, start func(func())) <-chan time.Time {
	told, err := routeSocket()
	if err != nil {
		return time.Tick(interval)
	}
	changed := make(chan time.Time, 1)
	start(func() {
		defer told.Close()
		defer context.AfterFunc(ctx, func() { _ = told.SetReadDeadline(time.Unix(1, 0)) })()
		b := make([]byte, 8<<10) // what does not fit is dropped: that there was something is enough
		for {
			_, err := told.Read(b)
			switch {
			case err == nil || errors.Is(err, unix.ENOBUFS): // too many messages to keep
				wake(changed)
				_ = told.SetReadDeadline(time.Now().Add(settleTime))
			case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil:
				wake(changed)
				_ = told.SetReadDeadline(time.Time{})
			default:
				return
			}
			if ctx.Err() != nil {
				return
			}
		}
	})
	return changed
}

func wake(c chan<- time.Time) {
	select {
	case c <- time.Now():
	default: // it has something
	}
}

// routeSocket returns a socket on which the kernel tells of changes.
func routeSocket() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV6_ROUTE)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "rtnetlink"), nil
}
