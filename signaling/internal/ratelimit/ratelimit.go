// Package ratelimit bounds how often clients may do something.
package ratelimit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const minSweep = 1 << 10 // keys

// Bounds are the memory of a Limiter, and with it how much all keys together may do, however many they are.
type Bounds struct {
	Keys   int // that have a bucket of their own
	Shared int // buckets that further keys share, by their hash; at least 1
}

// Client returns the address that limits count by: an IPv4 address, or the network of 64 bits of an
// IPv6 address, because one customer has all of it.
func Client(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); a.Is6() {
		network, _ := a.Prefix(64) // it has as many bits
		return network.Addr()
	}
	return a
}

// A Limiter has a bucket of tokens for each key, such as a client's address. A nil Limiter has no
// limit. Its methods may be called concurrently.
type Limiter[K comparable] struct {
	rate   rate.Limit
	burst  int
	bounds Bounds
	seed   maphash.Seed

	mu      sync.Mutex // guards what follows
	buckets map[K]*rate.Limiter
	shared  []*rate.Limiter // each is nil until it is needed
	sweepAt int             // number of keys at which to look for full buckets
	swept   time.Time       // when it last looked
}

// New returns a Limiter that allows each key burst events at once (at least 1), and perSecond events
// a second in the long run. It returns nil if perSecond is zero.
func New[K comparable](perSecond float64, burst int, bounds Bounds) *Limiter[K] {
	if perSecond == 0 {
		return nil
	}
	return &Limiter[K]{
		rate: rate.Limit(perSecond), burst: max(burst, 1), bounds: bounds, seed: maphash.MakeSeed(),
		buckets: map[K]*rate.Limiter{}, shared: make([]*rate.Limiter, max(bounds.Shared, 1)), sweepAt: min(minSweep, bounds.Keys),
	}
}

// Allow takes a token from the bucket of key, and reports whether there was one.
func (l *Limiter[K]) Allow(key K) bool { return l == nil || l.bucket(key).Allow() }

// AllowAt is Allow at a time that its caller has read just now: reading the clock takes as long as the rest.
func (l *Limiter[K]) AllowAt(now time.Time, key K) bool {
	return l == nil || l.bucket(key).AllowN(now, 1)
}

// AllowN takes n tokens from the bucket of key, and reports whether there were as many; if not, it takes none.
func (l *Limiter[K]) AllowN(key K, n int) bool {
	return l == nil || l.bucket(key).AllowN(time.Now(), n)
}

// Taken returns how many tokens the bucket of key lacks.
func (l *Limiter[K]) Taken(key K) int {
	if l == nil {
		return 0
	}
	return l.burst - int(l.bucket(key).Tokens())
}

func (l *Limiter[K]) bucket(key K) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.buckets[key]; known != nil {
		return known
	}
	if len(l.buckets) >= l.sweepAt {
		l.sweep()
	}
	if len(l.buckets) < l.bounds.Keys {
		b := rate.NewLimiter(l.rate, l.burst)
		l.buckets[key] = b
		return b
	}
	b := &l.shared[maphash.Comparable(l.seed, key)%uint64(len(l.shared))]
	if *b == nil {
		*b = rate.NewLimiter(l.rate, l.burst)
	}
	return *b
}

// sweep, under mu, forgets the buckets that are full: a new one would be the same. It looks once a
// second at most if all keys of the bounds are in use.
func (l *Limiter[K]) sweep() {
	if len(l.buckets) >= l.bounds.Keys && time.Since(l.swept) < time.Second {
		return
	}
	l.swept = time.Now()
	for key, b := range l.buckets {
		if b.Tokens() >= float64(l.burst) {
			delete(l.buckets, key)
		}
	}
	l.sweepAt = min(max(2*len(l.buckets), minSweep), l.bounds.Keys)
}
