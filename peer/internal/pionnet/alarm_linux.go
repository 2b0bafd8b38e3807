package pionnet

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// kernelTimer returns a timer of the kernel (timerfd_create(2)), and how it is set; nil if there is none. It ends with ctx; what it
// needs runs by start.
func kernelTimer(ctx context.Context, start func(func())) (rings <-chan time.Time, set func(time.Duration)) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, nil
	}
	return timerOf(ctx, fd, start)
}

// timerOf is kernelTimer for a file descriptor, which it closes. It returns nil for one on which Go's poller cannot wait: a read would fail at
// once, and the Alarm would never ring.
func timerOf(ctx context.Context, fd int, start func(func())) (rings <-chan time.Time, set func(time.Duration)) {
	timer := os.NewFile(uintptr(fd), "timerfd")
	raw, err := timer.SyscallConn()
	if err == nil {
		err = timer.SetReadDeadline(time.Time{})
	}
	if err != nil {
		_ = timer.Close()
		return nil, nil
	}
	rung := make(chan time.Time, 1)
	start(func() {
		defer timer.Close()
		defer context.AfterFunc(ctx, func() { _ = timer.SetReadDeadline(time.Unix(1, 0)) })()
		for b := make([]byte, 8); ; wake(rung) {
			if _, err := timer.Read(b); err != nil {
				return
			}
		}
	})
	return rung, func(d time.Duration) {
		_ = raw.Control(func(fd uintptr) { // fails only once ctx has ended
			_ = unix.TimerfdSettime(int(fd), 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}, nil)
		})
	}
}
