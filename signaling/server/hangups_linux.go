package server

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// hangups notices clients that hang up while no goroutine reads their connections. Go's poller
// tells only readers, so hangups has an epoll of its own, whose descriptor Go's poller watches.
type hangups struct{ epoll *os.File }

func (h *hangups) open() (err error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return errors.Join(err, syscall.Close(fd))
	}
	h.epoll = os.NewFile(uintptr(fd), "hangups")
	return nil
}

func (h *hangups) usable() bool { return h.epoll != nil }

// watch returns false if it cannot watch the connection of p.
func (h *hangups) watch(p *aside) bool {
	return h.control(p, syscall.EPOLL_CTL_ADD) == nil
}

func (h *hangups) unwatch(p *aside) { _ = h.control(p, syscall.EPOLL_CTL_DEL) } // it may not have been watched

func (h *hangups) control(p *aside, operation int) error {
	c, ok := p.conn.(*net.TCPConn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	event := syscall.EpollEvent{
		Events: syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, // and errors, always
		Fd:     int32(p.key),                              //nolint:gosec // half of it
		Pad:    int32(p.key >> 32),                        //nolint:gosec // the other half
	}
	failed := raw.Control(func(fd uintptr) {
		var within syscall.RawConn
		if within, err = h.epoll.SyscallConn(); err == nil {
			failed := within.Control(func(epoll uintptr) {
				err = syscall.EpollCtl(int(epoll), operation, int(fd), &event)
			})
			err = errors.Join(err, failed)
		}
	})
	return errors.Join(err, failed)
}

// hear calls hungUp with the keys of reads whose clients hang up, until close.
func (h *hangups) hear(hungUp func(key uint64)) {
	raw, err := h.epoll.SyscallConn()
	for err == nil {
		var events [64]syscall.EpollEvent
		n := 0
		err = raw.Read(func(epoll uintptr) bool {
			n, _ = syscall.EpollWait(int(epoll), events[:], 0)
			return n > 0
		})
		for _, e := range events[:max(n, 0)] {
			hungUp(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32) //nolint:gosec // its halves
		}
	}
}

func (h *hangups) close() error { return h.epoll.Close() }
