//go:build unix

package signaling_test

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"p2pchat/signaling"
)

func TestSilentAddress(t *testing.T) {
	t.Run("an address that is silent is given up after Patience", func(t *testing.T) {
		c := client(t, "http://"+silent(t), brief)
		started := time.Now()
		if err := readOffer(t, c, 0); !errors.Is(err, signaling.ErrUnreachable) {
			t.Error(err)
		}
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// silent is an address that takes no connection and refuses none: of a listener
// whose short backlog is full.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = syscall.Listen(int(fd), 0) }); err != nil || failed != nil {
		t.Skip("this system does not let a backlog shrink: ", err, failed)
	}
	for range 10 {
		c, err := net.DialTimeout("tcp", l.Addr().String(), 100*time.Millisecond)
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return l.Addr().String()
		}
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
	}
	t.Skip("this system lets nobody wait outside a full backlog")
	return ""
}
