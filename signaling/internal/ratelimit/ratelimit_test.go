package ratelimit

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestClient(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8:0:1::1": "2001:db8:0:1::", "2001:db8:0:1:ffff::2": "2001:db8:0:1::", "fe80::1%eth0": "fe80::",
	} {
		if got := Client(netip.MustParseAddr(address)); got.String() != want {
			t.Errorf("%s counts as %s, want %s", address, got, want)
		}
	}
	if got := Client(netip.Addr{}); got.IsValid() {
		t.Errorf("no address counts as %s", got)
	}
}

func TestLimiter(t *testing.T) {
	bounds := Bounds{Keys: 1 << 16, Shared: 1 << 10}
	sentence := func(name string, test func(*testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
	allowed := func(l *Limiter[int], n, key int) (count int) {
		for range n {
			if l.Allow(key) {
				count++
			}
		}
		return count
	}
	sentence("a key has its burst, then its rate", func(t *testing.T) {
		l := New[int](10, 5, bounds)
		if n := allowed(l, 100, 1); n != 5 {
			t.Errorf("%d at once", n)
		}
		time.Sleep(time.Second / 5)
		if n := allowed(l, 100, 1); n != 2 {
			t.Errorf("%d in a fifth of a second", n)
		}
		time.Sleep(time.Hour)
		if n := allowed(l, 100, 1); n != 5 {
			t.Errorf("%d after an hour", n)
		}
		if n := allowed(l, 100, 2); n != 5 {
			t.Errorf("another key has %d", n)
		}
	})
	sentence("a burst is at least one, and a nil Limiter has no limit", func(t *testing.T) {
		if n := allowed(New[int](1, 0, bounds), 3, 1); n != 1 {
			t.Errorf("%d at once", n)
		}
		if n := allowed(New[int](0, 1, bounds), 1000, 1); n != 1000 {
			t.Errorf("without a limit, %d", n)
		}
	})
	sentence("many keys do not fill the memory, and those that rest are forgotten", func(t *testing.T) {
		l := New[int](1, 1, bounds)
		for key := range 2 * bounds.Keys {
			l.Allow(key)
		}
		if n := len(l.buckets); n != bounds.Keys {
			t.Errorf("%d are remembered", n)
		}
		time.Sleep(2 * time.Second)
		l.Allow(-1)
		if n := len(l.buckets); n != 1 {
			t.Errorf("%d are remembered after a rest", n)
		}
	})
	sentence("keys beyond those share buckets, but not all of them one", func(t *testing.T) {
		l := New[int](1e-3, 1, bounds)
		for key := range bounds.Keys {
			l.Allow(key)
		}
		n := 0
		for key := range 30 * bounds.Shared {
			if l.Allow(bounds.Keys + key) {
				n++
			}
		}
		if n != bounds.Shared {
			t.Errorf("%d further keys were allowed, want %d", n, bounds.Shared)
		}
	})
}

func TestBounds(t *testing.T) {
	for _, bounds := range []Bounds{{Keys: 0, Shared: 1 << 10}, {Keys: 1 << 10, Shared: 1}, {Keys: 1}} {
		synctest.Test(t, func(t *testing.T) {
			l, n := New[int](1e-3, 3, bounds), 0
			for key := range 1 << 18 {
				if l.Allow(key) {
					n++
				}
			}
			// Each key of its own has one event here; all others have the bursts of the shared buckets.
			if most := bounds.Keys + 3*max(bounds.Shared, 1); n != most {
				t.Errorf("%+v: %d events of many keys were allowed, want %d", bounds, n, most)
			}
		})
	}
}

func BenchmarkAllow(b *testing.B) {
	l := New[netip.Addr](1e9, 1<<30, Bounds{Keys: 1 << 16})
	var clients []netip.Addr
	for i := range 1000 {
		clients = append(clients, netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i/250, i%250)))
	}
	for i := 0; b.Loop(); i++ {
		l.Allow(clients[i%len(clients)])
	}
}
