package server

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling/internal/refused"
)

// addresses returns how to find a client's address: it is that of the connection, unless the
// connection is of a trusted proxy, which names the client in X-Forwarded-For.
func addresses(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		p = p.Masked()
		trust = append(trust, echo.TrustIPRange(&net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}

// clientOf returns the address of the client that sent the request, or the zero Addr if it has none, as in tests.
func (s *Server) clientOf(c echo.Context) netip.Addr {
	if len(s.config.TrustedProxies) == 0 {
		at, _ := netip.ParseAddrPort(c.Request().RemoteAddr)
		return at.Addr().Unmap()
	}
	a, _ := netip.ParseAddr(c.RealIP())
	return a.Unmap()
}

// isProxy reports whether an address is a trusted proxy's.
func (s *Server) isProxy(a netip.Addr) bool {
	return slices.ContainsFunc(s.config.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// fromProxy reports whether a trusted proxy sent the request.
func (s *Server) fromProxy(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && s.isProxy(from.Addr())
}

// loggedAddress returns an address as the log may have it.
func (s *Server) loggedAddress(a netip.Addr) string {
	if s.config.LogAddresses {
		return a.String()
	}
	return refused.Network(a)
}

// A clientCounter counts something of each client. Clients are named by ratelimit.Client.
type clientCounter struct {
	mu    sync.Mutex // guards what follows
	count map[netip.Addr]int
}

// enter counts n more of a client. It returns false if the client would have more than limit of them; a
// limit of 0 is none.
func (c *clientCounter) enter(client netip.Addr, n, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit > 0 && c.count[client]+n > limit {
		return false
	}
	if c.count == nil {
		c.count = map[netip.Addr]int{}
	}
	c.count[client] += n
	return true
}

// of returns how many of a client are counted.
func (c *clientCounter) of(client netip.Addr) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count[client]
}

// leave counts n less of a client.
func (c *clientCounter) leave(client netip.Addr, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count[client] -= n; c.count[client] <= 0 {
		delete(c.count, client)
	}
}
