package longpoll

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
)

// epoll notices clients that hang up while no goroutine reads their connections. Go's poller tells
// only readers, so this is an epoll of its own, whose descriptor Go's poller watches.
type epoll struct {
	file *os.File
	wait sync.WaitGroup // for run
}

// newEpoll returns an epoll that calls hungUp with the keys of connections whose clients hang up.
func newEpoll(hungUp func(key uint64)) (*epoll, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(err, syscall.Close(fd))
	}
	e := &epoll{file: os.NewFile(uintptr(fd), "epoll")}
	e.wait.Go(func() { e.run(hungUp) })
	return e, nil
}

// add watches c, whose hang-up is reported once, under key.
func (e *epoll) add(c net.Conn, key uint64) error {
	return e.control(c, syscall.EPOLL_CTL_ADD, key)
}

// remove watches c no more.
func (e *epoll) remove(c net.Conn) { _ = e.control(c, syscall.EPOLL_CTL_DEL, 0) } // it may not have been added

func (e *epoll) control(conn net.Conn, operation int, key uint64) error {
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	event := syscall.EpollEvent{
		Events: syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, // and errors, always
		Fd:     int32(key),                                //nolint:gosec // half of it
		Pad:    int32(key >> 32),                          //nolint:gosec // the other half
	}
	failed := raw.Control(func(fd uintptr) {
		var own syscall.RawConn
		if own, err = e.file.SyscallConn(); err == nil {
			failed := own.Control(func(epoll uintptr) {
				err = syscall.EpollCtl(int(epoll), operation, int(fd), &event)
			})
			err = errors.Join(err, failed)
		}
	})
	return errors.Join(err, failed)
}

// run reports hang-ups until close.
func (e *epoll) run(hungUp func(key uint64)) {
	raw, err := e.file.SyscallConn()
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

// close ends run, and waits for it.
func (e *epoll) close() {
	_ = e.file.Close()
	e.wait.Wait()
}
