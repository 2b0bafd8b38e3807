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

// A visit is one request, as it is counted and logged.
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

// A guest is the context of a request: echo's, and what we know of it.
type guest struct {
	echo.Context
	visit
	aside  bool   // it goes on elsewhere
	before *aside // what it was when it was set aside
}

// name is the method and the route. Whoever asks for what is not there does not choose it.
func (v *visit) name() string {
	if v.route == "" || v.status == http.StatusMethodNotAllowed {
		return "none"
	}
	return v.method + " " + v.route
}

// methodOf is the method of a request; one that the client has made up has another's name.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "_OTHER" // as OpenTelemetry's conventions have it
}

// receive gives each request an id: the client's own, if it looks like one.
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

// account counts each request that is answered, and logs it.
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

// served counts and logs a request that has ended.
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
