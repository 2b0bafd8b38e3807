//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package pionnet

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// drainMost bounds how many messages are read before what they tell is told.
const drainMost = 64

// subscribe tells on told what the kernel writes on a socket. It runs by start, until ctx has ended and end is called.
func subscribe(ctx context.Context, told chan<- bool, start func(func())) (end func(), err error) {
	socket, err := routeSocket()
	if err != nil {
		return nil, err
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	start(func() { readChanges(ctx, raw, told, otherNews) })
	return func() { _ = socket.Close() }, nil
}

// readChanges tells after each flurry of messages whether one was of a type that is not among others. It waits until that is heard, so
// that a storm of messages does not wake the program for each: the kernel drops those for which there is no room.
func readChanges(ctx context.Context, socket syscall.RawConn, told chan<- bool, others string) {
	for {
		var change, over bool
		if err := socket.Read(func(fd uintptr) (done bool) {
			change, done, over = drain(int(fd), others)
			return done
		}); err != nil || over {
			close(told)
			return
		}
		select {
		case told <- change:
		case <-ctx.Done():
			return
		}
	}
}

// drain reads the messages that are there, and reports whether one is of a type that is not among others, whether there was any, and
// whether there will be no more.
func drain(socket int, others string) (change, some, over bool) {
	var b [4]byte // the last one is a message's type (route(4)); what does not fit is dropped
	for range drainMost {
		switch n, err := unix.Read(socket, b[:]); {
		case n > 0:
			change = change || strings.IndexByte(others, b[3]) < 0
		case errors.Is(err, unix.ENOBUFS): // messages were dropped
			change = true
		case errors.Is(err, unix.EINTR):
			continue
		default:
			over = !errors.Is(err, unix.EAGAIN)
			return change, some || over, over
		}
		some = true
	}
	return change, some, false
}
