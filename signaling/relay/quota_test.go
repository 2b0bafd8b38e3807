package relay

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestQuota(t *testing.T) {
	t.Run("of a user", func(t *testing.T) {
		r := serving(t, Config{Quota: Quota{User: 2}})
		allocate(t, client(t, r.Credentials("a", nil), "udp"))
		allocate(t, client(t, r.Credentials("a", nil), "tcp"))
		if _, err := client(t, r.Credentials("a", nil), "udp").Allocate(); err == nil {
			t.Error("there is a third allocation")
		}
		allocate(t, client(t, r.Credentials("b", nil), "udp"))
	})

	t.Run("of a user who asks for many at once", func(t *testing.T) {
		const most, asked = 3, 12
		r := serving(t, Config{Quota: Quota{User: most}})
		servers := r.Credentials("a", nil)
		var wg sync.WaitGroup
		var got atomic.Int32
		for range asked {
			c := client(t, servers, "udp")
			wg.Go(func() {
				if conn, err := c.Allocate(); err == nil {
					got.Add(1)
					t.Cleanup(func() { _ = conn.Close() }) // it may be closed
				}
			})
		}
		wg.Wait()
		if s := r.Stats(); got.Load() != most || s.Made != most || s.Refused[RefusedQuota] != asked-most {
			t.Errorf("%d got one; it has counted %+v", got.Load(), s)
		}
	})

	t.Run("of all users, and an allocation that has ended does not count", func(t *testing.T) {
		r := serving(t, Config{Quota: Quota{All: 1}})
		first := allocate(t, client(t, r.Credentials("a", nil), "udp"))
		if _, err := client(t, r.Credentials("b", nil), "udp").Allocate(); err == nil {
			t.Error("there is a second allocation")
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the allocation ends", func() bool { return r.Stats().Allocations == 0 })
		allocate(t, client(t, r.Credentials("b", nil), "udp"))
	})

	t.Run("of bandwidth drops packets over it", func(t *testing.T) {
		const limit, size, packets = 50_000, 1000, 500
		r := serving(t, Config{Quota: Quota{Bandwidth: limit}})
		a, b := allocate(t, client(t, r.Credentials("a", nil), "udp")), allocate(t, client(t, r.Credentials("b", nil), "udp"))
		if _, err := b.WriteTo([]byte("hello?"), a.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for range packets {
			if _, err := a.WriteTo(make([]byte, size), b.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		got := 0
		for {
			text, ok := receives(t, b, 300*time.Millisecond)
			if !ok {
				break
			}
			got += len(text)
		}
		if most := limit + int(time.Since(begun).Seconds()*limit); got == 0 || got > most {
			t.Errorf("%d bytes got through, at most %d should", got, most)
		}
	})
}
