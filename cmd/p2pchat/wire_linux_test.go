package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A quality is how good a wire is.
type quality struct {
	delay time.Duration // each way
	loss  float64       // of 1, each way
	rate  float64       // bytes a second, each way; 0 for as many as come
	more  *atomic.Int64 // nanoseconds of delay more, which may change; nil: none
	queue time.Duration // how much a wire with a rate holds until it drops; 0: wireQueue
}

// wireQueue is a router's buffer.
const wireQueue = 50 * time.Millisecond

// wire joins two devices, each in a namespace of its own, by a wire of that quality. It
// carries Ethernet frames in their order, as tc-netem(8) would where that exists.
func wire(t testing.TB, q quality, a, b [2]string) {
	t.Helper()
	ends := [2]*os.File{tap(t, a[0], a[1]), tap(t, b[0], b[1])}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		for _, e := range ends {
			e.Close()
		}
		wg.Wait()
	})
	for i := range ends {
		frames := make(chan frame, 10_000)
		wg.Go(func() { q.take(ends[i], frames) })
		clock := q.newClock(t)
		wg.Go(func() {
			defer clock.Close() // of nil, it does nothing
			carry(frames, ends[1-i], clock)
		})
	}
}

type frame struct {
	bytes []byte
	due   time.Time
}

func (q quality) take(from io.Reader, frames chan<- frame) {
	defer close(frames)
	var free time.Time // when the wire has taken all that came
	for {
		b := make([]byte, 2048)
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if rand.Float64() < q.loss { //nolint:gosec // no secret
			continue
		}
		now := time.Now()
		if free.Before(now) {
			free = now
		}
		if q.rate > 0 {
			if free.Sub(now) > cmp.Or(q.queue, wireQueue) {
				continue
			}
			free = free.Add(time.Duration(float64(n) / q.rate * float64(time.Second)))
		}
		due := free.Add(q.delay)
		if q.more != nil {
			due = due.Add(time.Duration(q.more.Load()))
		}
		select {
		case frames <- frame{b[:n], due}:
		default: // a full queue drops, too
		}
	}
}

func carry(frames <-chan frame, to io.Writer, clock *os.File) {
	for f := range frames {
		sleep(time.Until(f.due), clock)
		_, _ = to.Write(f.bytes) // a device that is down loses what comes
	}
}

// newClock returns a timer of the system, or nil for a wire with a rate: each of its packets would wake the test, and the wire
// would be slower.
func (q quality) newClock(t testing.TB) *os.File {
	t.Helper()
	if q.rate > 0 {
		return nil
	}
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "clock")
}

// sleep is time.Sleep by a clock, which is not late. Package time waits whole milliseconds (epoll_wait), and the packets of a cold
// connection cross two dozen wires one after the other.
func sleep(d time.Duration, clock *os.File) {
	if clock == nil || d <= 0 {
		time.Sleep(d)
		return
	}
	raw, err := clock.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			_ = unix.TimerfdSettime(int(fd), 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}, nil) // it is a timer
		})
	}
	if err == nil {
		_, _ = clock.Read(make([]byte, 8)) // how often it has rung
	}
}

// tap makes a device in a namespace, and is its other end.
func tap(t testing.TB, namespace, device string) *os.File {
	t.Helper()
	f, err := openTap(namespace, device)
	if err != nil {
		t.Fatalf("making the device %s in %s: %v", device, namespace, err)
	}
	return f
}

func openTap(namespace, device string) (file *os.File, err error) {
	err = inNamespace(namespace, func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		request, err := unix.NewIfreq(device)
		if err == nil {
			request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		file = os.NewFile(uintptr(fd), device)
		return nil
	})
	return file, err
}

// inNamespace does something where sockets and devices are those of a network namespace.
func inNamespace(name string, do func() error) (err error) {
	runtime.LockOSThread() // it is the thread that is in a namespace
	defer runtime.UnlockOSThread()
	home, err := unix.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(home) }() // it was only read
	there, err := unix.Open("/run/netns/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(there) }() // it was only read
	if err := unix.Setns(there, unix.CLONE_NEWNET); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Setns(home, unix.CLONE_NEWNET)) }()
	return do()
}
