package server

import (
	"math"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"p2pchat/signaling"
)

// mostClients bounds the memory of a limiter: clients beyond it share one bucket.
const mostClients = 1 << 16

// A Rate limits requests. A waiting read counts as one request; /healthz and /readyz do not count.
type Rate struct {
	Client float64 // requests a second of one client: an IPv4 address, or an IPv6 network of 64 bits; no limit if zero
	Burst  int     // of one client at once
	All    float64 // requests a second of all clients together, and at once; no limit if zero
}

// A limiter has a bucket of tokens for each client and one for all.
type limiter struct {
	rate   Rate
	all    *rate.Limiter
	others *rate.Limiter // of clients beyond mostClients

	mu      sync.Mutex // guards what follows
	clients map[netip.Addr]*rate.Limiter
	sweepAt int       // number of clients at which to look for full buckets
	swept   time.Time // when it last looked
}

func newLimiter(r Rate) *limiter {
	l := &limiter{rate: r, clients: map[netip.Addr]*rate.Limiter{}, sweepAt: 1024}
	l.others = l.bucket()
	if r.All > 0 {
		l.all = rate.NewLimiter(rate.Limit(r.All), int(math.Ceil(r.All)))
	}
	return l
}

func (l *limiter) bucket() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(l.rate.Client), max(l.rate.Burst, 1))
}

// allows takes a token for a request from an address. If there is none, it returns the limit,
// and after how many seconds there will be a token.
func (l *limiter) allows(from netip.Addr) (ok bool, limit string, after int) {
	if l.rate.Client > 0 && !l.of(from).Allow() {
		return false, limitClient, seconds(l.rate.Client)
	}
	if l.all != nil && !l.all.Allow() {
		return false, limitAll, seconds(l.rate.All)
	}
	return true, "", 0
}

func seconds(perSecond float64) int { return int(math.Ceil(1 / perSecond)) }

// client returns the address that limits count by: an IPv4 address, or the network of 64 bits
// of an IPv6 address, because one customer has all of it.
func client(from netip.Addr) netip.Addr {
	if from = from.Unmap(); from.Is6() {
		network, _ := from.WithZone("").Prefix(64) // it has as many bits
		from = network.Addr()
	}
	return from
}

// of returns the bucket of a client.
func (l *limiter) of(from netip.Addr) *rate.Limiter {
	from = client(from)
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.clients[from]; known != nil {
		return known
	}
	full := len(l.clients) >= mostClients
	if len(l.clients) >= l.sweepAt && (!full || time.Since(l.swept) >= time.Second) {
		l.swept = time.Now()
		for a, b := range l.clients {
			if b.Tokens() >= float64(b.Burst()) { // a new bucket would be the same
				delete(l.clients, a)
			}
		}
		l.sweepAt = min(max(2*len(l.clients), 1024), mostClients)
	}
	if len(l.clients) >= mostClients {
		return l.others
	}
	b := l.bucket()
	l.clients[from] = b
	return b
}

// errAll is for a client that may be one of many.
var errAll = signaling.Explain(signaling.ErrTooMany, "All clients together send more requests than this server takes. Try again in a moment.")

// limit answers 429 to requests over the rate.
func (s *Server) limit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		g := c.(*guest)
		if path := c.Path(); path == "/healthz" || path == "/readyz" || g.before != nil {
			return next(c)
		}
		if ok, limit, after := s.limiter.allows(g.client); !ok {
			s.refuse(limit, g.client)
			c.Response().Header().Set("Retry-After", strconv.Itoa(after))
			if limit == limitAll {
				return errAll
			}
			return signaling.ErrTooMany
		}
		return next(c)
	}
}
