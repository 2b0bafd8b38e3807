package server

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"
)

// A visit is what metrics and the log need of one request.
type visit struct {
	began   time.Time
	method  string
	route   string // not the path: a room's name is half of a code
	id      string
	client  netip.Addr
	status  int
	in, out int64 // bytes of bodies
	waits   bool
	squats  bool // it is counted among the squatters
}

// A guest is echo's context of a request, with what the server keeps of the request.
type guest struct {
	echo.Context
	visit
	aside  bool   // it was parked
	before *aside // the parked read that it was; nil if it was none
}

// name returns the method and the route. It is "none" without a route, so that clients cannot
// add names to the metrics.
func (v *visit) name() string {
	if v.route == "" || v.status == http.StatusMethodNotAllowed {
		return "none"
	}
	return v.method + " " + v.route
}

// methodOf returns the method of a request, or "_OTHER" for a method that the client made up.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "_OTHER" // as OpenTelemetry's conventions have it
}

// receive gives each request an id: X-Request-Id if isID accepts it, or a random one.
func (s *Server) receive(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		g := &guest{Context: c, before: taken(r)}
		if g.visit = (visit{began: time.Now(), method: methodOf(r.Method), id: r.Header.Get(echo.HeaderXRequestID), client: clientOf(c)}); g.before != nil {
			g.began, g.waits, g.squats = g.before.began, true, g.before.squats
		}
		if !isID(g.id) {
			g.id = rand.Text()
		}
		c.Response().Header().Set(echo.HeaderXRequestID, g.id)
		return next(g)
	}
}

// account counts and logs each answered request.
func (s *Server) account(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		g := c.(*guest)
		err := next(g)
		g.route = c.Path()
		if g.aside {
			return nil
		}
		if g.before != nil {
			s.unpark(&g.visit)
		}
		if err != nil {
			s.fail(err, c)
		}
		g.status, g.in, g.out = c.Response().Status, c.Request().ContentLength, c.Response().Size
		s.served(&g.visit)
		return nil
	}
}

// served counts and logs a request that ended.
func (s *Server) served(v *visit) {
	took := time.Since(v.began)
	s.metrics.request(v, took)
	level := slog.LevelInfo
	if v.status >= 500 && v.status != http.StatusServiceUnavailable {
		level = slog.LevelError
	}
	if log := s.config.Log; log.Enabled(context.Background(), level) {
		log.LogAttrs(context.Background(), level, "request",
			slog.String("method", v.method), slog.String("route", v.route), slog.Int("status", v.status),
			slog.Duration("latency", took), slog.Int64("bytes", v.out), slog.String("client", s.inLog(v.client)), slog.String("request_id", v.id))
	}
}
