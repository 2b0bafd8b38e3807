//go:build unix

package signaling_test

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"p2pchat/signaling"
)

func TestSilentAddress(t *testing.T) {
	t.Parallel()
	t.Run("an address that is silent is given up after Patience", func(t *testing.T) {
		t.Parallel()
		c := client(t, "http://"+silent(t).Addr().String(), brief)
		started := time.Now()
		if err := readOffer(t, c, 0); !errors.Is(err, signaling.ErrUnreachable) {
			t.Error(err)
		}
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})

	t.Run("one that accepts connections again is reached soon", func(t *testing.T) {
		t.Parallel()
		l := silent(t)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			says(404, "application/problem+json", `{"type":"urn:p2pchat:no-offer"}`)(w, r)
		}), ReadHeaderTimeout: time.Minute}
		var wg sync.WaitGroup
		t.Cleanup(wg.Wait)
		t.Cleanup(func() { _ = server.Close() })
		// TCP itself retransmits after 1, 3 and 7 seconds.
		const silence = 3500 * time.Millisecond
		time.AfterFunc(silence, func() { wg.Go(func() { _ = server.Serve(l) }) })
		started := time.Now()
		if err := readOffer(t, client(t, "http://"+l.Addr().String(), signaling.Config{Patience: time.Minute}), 0); !errors.Is(err, signaling.ErrNoOffer) {
			t.Error(err)
		}
		if late := time.Since(started) - silence; late > 2500*time.Millisecond {
			t.Errorf("it took %v more", late)
		}
	})
}

// silent returns a listener whose backlog is full, so that its address neither accepts nor refuses
// connections.
func silent(t *testing.T) net.Listener {
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
			return l
		}
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
	}
	t.Skip("this system has no full backlog")
	return nil
}
