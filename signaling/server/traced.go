package server

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// traced makes a span of each request if there is a Tracer. What it says is what the
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
		g := c.(*guest)
		method, path, found := strings.Cut(g.name(), " ")
		if !found {
			method = "_OTHER" // as OpenTelemetry's conventions have it
		}
		said := []slog.Attr{slog.String("http.request.method", method), slog.String("http.route", path), slog.Bool("p2pchat.waits", g.waits)}
		if g.aside { // when it is made again it has another span
			said = append(said, slog.Bool("p2pchat.set_aside", true))
		} else {
			said = append(said, slog.Int("http.response.status_code", g.status))
		}
		span.End(g.name(), g.status >= http.StatusInternalServerError, said...)
		return err
	}
}

// fromProxy tells whether a trusted proxy sent the request.
func (s *Server) fromProxy(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && slices.ContainsFunc(s.config.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(from.Addr().Unmap()) })
}
