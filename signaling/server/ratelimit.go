package server

import (
	"math"
	"net/netip"
	"strconv"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
	"p2pchat/signaling/internal/ratelimit"
)

const (
	guestBurst = 10  // requests of one client for the ICE servers of one room: some guests share an address, and each tries a few times
	guestRate  = 0.2 // further requests a second
)

// A Rate limits requests. A waiting read counts as one request; /healthz and /readyz do not count.
type Rate struct {
	Client float64 // requests a second of one client: an IPv4 address, or an IPv6 network of 64 bits; no limit if zero
	Burst  int     // requests of one client at once
	All    float64 // requests a second of all clients together, and at once; no limit if zero
}

// rateLimits are the server's rate limits.
type rateLimits struct {
	client *ratelimit.Limiter[netip.Addr] // requests, by ratelimit.Client
	all    *ratelimit.Limiter[struct{}]   // requests
	wakes  *ratelimit.Limiter[netip.Addr] // parked reads that are resumed for nothing, by ratelimit.Client
	guests *ratelimit.Limiter[guestKey]   // requests for a room's ICE servers
	mail   *ratelimit.Limiter[netip.Addr] // bytes that blocks count for, by ratelimit.Client
	put    *ratelimit.Limiter[netip.Addr] // bytes that blocks have, by ratelimit.Client; it refuses none
}

type guestKey struct {
	room   string
	client netip.Addr // ratelimit.Client
}

// clientBounds bound what the clients beyond the first 65,536 may do together: as much as one of those.
var clientBounds = ratelimit.Bounds{Keys: 1 << 16, Shared: 1}

func newRateLimits(r Rate) rateLimits {
	return rateLimits{
		client: ratelimit.New[netip.Addr](r.Client, r.Burst, clientBounds),
		all:    ratelimit.New[struct{}](r.All, int(math.Ceil(r.All)), ratelimit.Bounds{Keys: 1}),
		wakes:  ratelimit.New[netip.Addr](r.Client, r.Burst, clientBounds),
		guests: ratelimit.New[guestKey](guestRate, guestBurst, ratelimit.Bounds{Keys: 1 << 16, Shared: 1 << 10}),
	}
}

var (
	errAll    = signaling.Explain(signaling.ErrTooMany, "All clients together send more requests than this server takes. Try again in a moment.")
	errGuests = signaling.Explain(signaling.ErrTooMany, "Your network address asked for the ICE servers of this room too often. Try again in a few seconds.")
)

// limitRate refuses requests over the rate.
func (s *Server) limitRate(c echo.Context) error {
	info, now := infoOf(c), c.(*requestContext).came
	if info.route == "/healthz" || info.route == "/readyz" || info.resumed != nil {
		return nil
	}
	if !s.rates.client.AllowAt(now, ratelimit.Client(info.client)) {
		return s.tooMany(c, limitClient, s.config.Rate.Client, signaling.ErrTooMany)
	}
	if !s.rates.all.AllowAt(now, struct{}{}) {
		return s.tooMany(c, limitAll, s.config.Rate.All, errAll)
	}
	return nil
}

// tooMany refuses a request that met a limit of perSecond requests.
func (s *Server) tooMany(c echo.Context, limit string, perSecond float64, err error) error {
	s.refuse(limit, infoOf(c).client)
	c.Response().Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(1/perSecond))))
	return err
}
