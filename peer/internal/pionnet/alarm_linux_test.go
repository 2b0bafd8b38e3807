package pionnet

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Go's poller cannot wait on each file: epoll takes no regular one, and a sandbox may let it take no timer. Then the Alarm has a timer of Go.
func TestAlarmOnWhatCannotBePolled(t *testing.T) {
	t.Parallel()
	fd, err := unix.Open(filepath.Join(t.TempDir(), "file"), unix.O_CREAT|unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	if rings, set := timerOf(t.Context(), fd, func(f func()) { wg.Go(f) }); rings != nil || set != nil {
		t.Error("it is taken for a timer")
	}
}

// An Alarm rings after the time that it was set to last, whichever timer it has.
func TestAlarm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		kernel bool
	}{{"with a timer of the kernel", true}, {"with a timer of Go", false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, end := context.WithCancel(t.Context())
			defer end()
			var wg sync.WaitGroup
			started := 0
			var start func(func())
			if c.kernel {
				start = func(f func()) { started++; wg.Go(f) }
			}
			a := NewAlarm(ctx, time.Hour, start)
			if c.kernel != (started == 1) {
				t.Fatalf("%d goroutines wait for the kernel", started)
			}
			rings := func(why string) {
				t.Helper()
				select {
				case <-a.C:
				case <-time.After(10 * time.Second):
					t.Fatal("it does not ring " + why)
				}
			}
			a.Set(time.Millisecond)
			rings("when it was set to an earlier time")
			a.Set(0)
			rings("at once")
			a.Set(20 * time.Millisecond)
			begun := time.Now()
			a.Set(200 * time.Millisecond)
			if rings("when it was set to a later time"); time.Since(begun) < 200*time.Millisecond {
				t.Errorf("it rings after %v, at the time before", time.Since(begun))
			}
			end()
			wg.Wait()
			a.Set(time.Hour) // as a check may at any time
		})
	}
}
