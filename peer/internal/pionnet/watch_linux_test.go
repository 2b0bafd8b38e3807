package pionnet

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel tells of links, addresses and routes that come and go.
func TestWatchRoutes(t *testing.T) {
	t.Parallel()
	inOwnNetwork(t, func() error {
		ctx, end := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer end()
		changed := WatchRoutes(ctx, time.Hour, wg.Go)
		for _, args := range []string{
			"link add near type veth peer name far", "link set near up", "link set far up", "addr add 10.0.0.2/24 dev near",
			"route add default via 10.0.0.1 dev near", "route del default", "addr del 10.0.0.2/24 dev near", "link del near",
		} {
			select {
			case <-changed: // what is left of the change before
			default:
			}
			if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil { //nolint:gosec,noctx // the test's own words
				return fmt.Errorf("ip %s: %w: %s", args, err, out)
			}
			select {
			case <-changed:
			case <-time.After(10 * time.Second):
				t.Errorf("nothing is told after ip %s", args)
			}
		}
		return nil
	})
}

// Messages have the header of those of a routing socket (route(4)), as FreeBSD and macOS write them; no socket of Linux does.
func TestReadChanges(t *testing.T) {
	t.Parallel()
	const add, miss, newAddress = 1, 7, 12 // RTM_ADD, RTM_MISS and RTM_NEWADDR
	others := string(rune(miss))
	message := func(kind byte) []byte { return append([]byte{152, 0, 5, kind, 1}, make([]byte, 147)...) }
	watch := func(t *testing.T) (kernel *os.File, told chan bool, end func()) {
		t.Helper()
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		kernel, socket := os.NewFile(uintptr(pair[0]), "kernel"), os.NewFile(uintptr(pair[1]), "socket")
		raw, err := socket.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		told = make(chan bool, 1)
		wg.Go(func() { readChanges(ctx, raw, told, others) })
		return kernel, told, func() {
			cancel()
			socket.Close()
			wg.Wait()
			kernel.Close()
		}
	}
	write := func(t *testing.T, kernel *os.File, b []byte) {
		t.Helper()
		if _, err := kernel.Write(b); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("tells changes from look-ups", func(t *testing.T) {
		kernel, told, end := watch(t)
		defer end()
		for _, m := range []struct {
			message []byte
			change  bool
		}{
			{message(add), true}, {message(miss), false}, {message(newAddress), true}, {[]byte{3, 0, 5}, true}, {make([]byte, 20<<10), true},
		} {
			write(t, kernel, m.message)
			if change := <-told; change != m.change {
				t.Errorf("a change is told after %v…: %t", m.message[:3], change)
			}
		}
	})

	t.Run("tells at most three times of many messages that no one hears of", func(t *testing.T) {
		kernel, told, end := watch(t)
		defer end()
		for range 32 {
			write(t, kernel, message(miss))
		}
		write(t, kernel, message(add))
		times := 1
		for !<-told {
			times++
		}
		if times > 3 { // in told, to be told, and the rest
			t.Errorf("%d times", times)
		}
	})

	t.Run("says that nothing more is told", func(t *testing.T) {
		kernel, told, end := watch(t)
		defer end()
		kernel.Close()
		if _, open := <-told; open {
			t.Error("something is told")
		}
	})

	t.Run("ends though no one hears", func(t *testing.T) {
		kernel, told, end := watch(t)
		write(t, kernel, message(add))
		for len(told) == 0 {
			time.Sleep(time.Millisecond)
		}
		write(t, kernel, message(add))
		end()
	})
}
