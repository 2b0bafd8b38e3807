package server

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// traced makes a span of each request, where somebody wants that. What it says is what the
// metrics' labels say: nothing that a client has chosen.
func (s *Server) traced(next echo.HandlerFunc) echo.HandlerFunc {
	if s.config.Tracer == nil {
		return next
	}
	return func(c echo.Context) error {
		r, span := s.config.Tracer.Request(c.Request(), s.fromProxy(c.Request()))
		c.SetRequest(r)
		err := next(c)
		if span == nil {
			return err
		}
		status := c.Response().Status
		route := routeOf(c, status)
		method, path, found := strings.Cut(route, " ")
		if !found {
			method = "_OTHER" // as OpenTelemetry's conventions have it
		}
		span.End(route, status >= http.StatusInternalServerError, slog.String("http.request.method", method), slog.String("http.route", path),
			slog.Int("http.response.status_code", status), slog.Bool("p2pchat.waits", c.Get(waitsKey) != nil))
		return err
	}
}

// fromProxy tells whether a trusted proxy sent the request.
func (s *Server) fromProxy(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && slices.ContainsFunc(s.config.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(from.Addr().Unmap()) })
}
