package pionnet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"
)

// socket returns a batched socket on loopback.
func socket(t testing.TB) *batchConn {
	t.Helper()
	n, err := NewNet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := n.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*batchConn)
}

func at(t testing.TB, c *batchConn) netip.AddrPort {
	t.Helper()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// numbered returns the packet of a number. The packets have several sizes, some in a row the same.
func numbered(i int) []byte {
	sizes := []int{1200, 1200, 1200, 1200, 40, 1200, 1200, 1300, 1, 1200}
	return binary.BigEndian.AppendUint32(bytes.Repeat([]byte{byte(i)}, sizes[i/3%len(sizes)]), uint32(i)) //nolint:gosec // small
}

func TestBatches(t *testing.T) {
	t.Run("packets stay packets, in order, whatever their sizes and addresses", func(t *testing.T) {
		const packets, round = 3000, 50 // a socket's buffer holds a round
		from := socket(t)
		to := []*batchConn{socket(t), socket(t)}
		var wg sync.WaitGroup
		arrived := make(chan struct{}, packets)
		for k, c := range to {
			wg.Go(func() {
				b := make([]byte, 2000)
				for i := range packets {
					if i%7 == 0 != (k == 0) {
						continue
					}
					n, whence, err := c.ReadFromAddrPort(b)
					if err != nil || whence != at(t, from) || !bytes.Equal(b[:n], numbered(i)) {
						t.Errorf("packet %d: %d bytes from %v (%v)", i, n, whence, err)
					}
					arrived <- struct{}{}
				}
			})
		}
		for i := range packets {
			k := 1
			if i%7 == 0 {
				k = 0
			}
			if _, err := from.WriteToAddrPort(numbered(i), at(t, to[k])); err != nil {
				t.Fatal(err)
			}
			if i%round == round-1 {
				for range round {
					<-arrived
				}
			}
		}
		wg.Wait()
	})

	t.Run("a kernel that takes no batches gets packets", func(t *testing.T) {
		from, to := socket(t), socket(t)
		x := &batch{}
		for range 3 {
			if !x.add(make([]byte, 20_000), at(t, to)) { // more than a device takes
				t.Fatal("it takes too little")
			}
		}
		x.size = 10 // packets that are no batch
		if err := from.write(x); err != nil || !from.single {
			t.Errorf("it says %v; one at a time: %v", err, from.single)
		}
		if n, _, err := to.ReadFrom(make([]byte, 100)); err != nil || n != 10 {
			t.Errorf("%d bytes arrive (%v)", n, err)
		}
		if _, err := from.WriteTo([]byte("next"), net.UDPAddrFromAddrPort(at(t, to))); err != nil {
			t.Error(err)
		}
	})

	t.Run("Close sends the last batch, and ends calls that wait", func(t *testing.T) {
		const packets = 50
		from, to := socket(t), socket(t)
		for range packets {
			if _, err := from.WriteToAddrPort(make([]byte, 1000), at(t, to)); err != nil {
				t.Fatal(err)
			}
		}
		if err := from.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := from.WriteToAddrPort([]byte("more"), at(t, to)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("afterwards it says %v", err)
		}
		b := make([]byte, 2000)
		for i := range packets {
			if n, _, err := to.ReadFromAddrPort(b); err != nil || n != 1000 {
				t.Fatalf("packet %d: %d bytes (%v)", i, n, err)
			}
		}
		ended := make(chan error)
		go func() {
			_, _, err := to.ReadFrom(b)
			ended <- err
		}()
		if err := to.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a Read says %v", err)
		}
	})

	t.Run("the next write returns what the kernel says of an address", func(t *testing.T) {
		c := socket(t)
		nowhere := netip.MustParseAddrPort("127.0.0.1:0") // EINVAL
		var err error
		for range 1000 {
			if _, err = c.WriteToAddrPort([]byte("x"), nowhere); err != nil {
				break
			}
		}
		if !errors.Is(err, syscall.EINVAL) {
			t.Errorf("it says %v", err)
		}
	})
}

// A packet in a batch, compared with one that has its own system call.
func BenchmarkPacket(b *testing.B) {
	for _, one := range []bool{true, false} {
		b.Run(map[bool]string{true: "one by one", false: "in batches"}[one], func(b *testing.B) {
			from, to := socket(b), socket(b)
			from.single = one
			message := make([]byte, 1200)
			b.SetBytes(1200)
			for b.Loop() {
				if _, err := from.WriteToAddrPort(message, at(b, to)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
