package pionnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inOwnNetwork runs test on a thread that has a network of its own, or skips it where that is not allowed.
func inOwnNetwork(t *testing.T, test func() (skip error)) {
	t.Helper()
	skip := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		defer close(skip)
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			skip <- err
			return
		}
		if err := test(); err != nil {
			skip <- err
		}
	}()
	if err := <-skip; err != nil {
		t.Skip("no network of its own: ", err)
	}
}

// An attempt that begins just after a link has come up has the link's addresses.
func TestATentativeAddress(t *testing.T) {
	t.Parallel()
	inOwnNetwork(t, func() error {
		for _, args := range []string{"link add name near type veth peer name far", "link set far up", "link set near up", "addr add fd00:1::1/64 dev near"} {
			if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil { //nolint:gosec,noctx // the test's own words
				return fmt.Errorf("ip %s: %w: %s", args, err, out)
			}
		}
		at := &net.UDPAddr{IP: net.ParseIP("fd00:1::1")}
		if c, err := net.ListenUDP("udp6", at); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("the address is not tentative: %v, %v", c, err)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		n, err := NewNet(ended)
		if err != nil {
			t.Error(err)
			return nil
		}
		if _, err := n.ListenUDP("udp6", at); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("the wait does not end with its context: %v", err)
		}
		n, err = NewNet(t.Context())
		if err != nil {
			t.Error(err)
			return nil
		}
		c, err := n.ListenUDP("udp6", at)
		if err != nil {
			t.Error(err)
			return nil
		}
		_ = c.Close() // nothing was sent
		return nil
	})
}
