package server

import (
	"crypto/rand"
	"maps"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"p2pchat/signaling/server/longpoll"
)

const longestID = 64 // of the ids that clients give their requests

// requestInfo is what the server notes of one request. The middleware identify makes it, and infoOf
// finds it.
type requestInfo struct {
	began  time.Time
	method string // see methodOf
	route  string // not the path: a room's name is half of a code
	id     string
	client netip.Addr // see addresses

	waits    bool             // it may wait for news, and is counted by beginWait
	unopened bool             // it is counted among the reads of rooms without an offer
	parked   bool             // longpoll has the request: its handler returned without an answer
	resumed  *longpoll.Parked // what longpoll kept of the request if it was parked before; else nil

	// noted by record:
	status  int
	in, out int64 // bytes of bodies
}

// name returns the method and the route. It is "none" without a route, so that clients cannot
// add names to the metrics.
func (i *requestInfo) name() string {
	if i.route == "" || i.status == http.StatusMethodNotAllowed {
		return "none"
	}
	return i.method + " " + i.route
}

// methodOf returns the method of a request, or "_OTHER" for a method that the client made up, as
// OpenTelemetry's conventions have it.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "_OTHER"
}

// A requestContext is echo's context of a request, with its requestInfo.
type requestContext struct {
	echo.Context
	info requestInfo
}

// infoOf returns the requestInfo of a request that has passed identify.
func infoOf(c echo.Context) *requestInfo { return &c.(*requestContext).info }

// use sets the middleware, from the outside in.
func (s *Server) use() {
	s.echo.Use(
		s.identify,
		s.trace,
		s.record,
		s.recoverPanic(),
		s.setHeaders,
	)
	if len(s.config.Origins) > 0 {
		s.echo.Use(allowOrigins(s.config.Origins))
	}
	s.echo.Use(s.limitRate, s.guardPages, s.limitBody())
}

// identify gives each request its requestInfo and an id: X-Request-Id if isID accepts it, or a
// random one. A request that was parked has those that it had before.
func (s *Server) identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		own := &requestContext{Context: c}
		if before := longpoll.Resume(r); before != nil {
			own.info = *before.State.(*requestInfo)
			own.info.resumed = before
		} else {
			own.info = requestInfo{began: time.Now(), method: methodOf(r.Method), route: c.Path(), id: r.Header.Get(echo.HeaderXRequestID), client: clientOf(c)}
			if !isID(own.info.id) {
				own.info.id = rand.Text()
			}
		}
		c.Response().Header().Set(echo.HeaderXRequestID, own.info.id)
		return next(own)
	}
}

func isID(s string) bool {
	if len(s) == 0 || len(s) > longestID {
		return false
	}
	for _, b := range []byte(s) {
		if b <= ' ' || b > '~' || b == '"' || b == '\\' {
			return false
		}
	}
	return true
}

// recoverPanic turns a panic of a handler into an error, which record answers.
func (s *Server) recoverPanic() echo.MiddlewareFunc {
	return middleware.RecoverWithConfig(middleware.RecoverConfig{
		DisableErrorHandler: true,
		LogErrorFunc: func(c echo.Context, err error, stack []byte) error {
			info := infoOf(c)
			s.config.Log.Error("a handler panicked", "route", info.route, "request_id", info.id, "error", err, "stack", string(stack))
			return err
		},
	})
}

// everyResponse has the headers of every response; the page sets a Content-Security-Policy of its own.
var everyResponse = http.Header{
	"Cache-Control":           {"no-store"},
	"X-Content-Type-Options":  {"nosniff"},
	"X-Frame-Options":         {"DENY"},
	"Content-Security-Policy": {"default-src 'none'; frame-ancestors 'none'"},
	"Referrer-Policy":         {"no-referrer"},
}

// strictTransport makes browsers use https for a year (RFC 6797).
var strictTransport = []string{"max-age=31536000"}

// setHeaders sets the headers of every response, and the deadlines for a client to send its body
// and to take the response.
func (s *Server) setHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Response()
		maps.Copy(r.Header(), everyResponse)
		if c.Request().TLS != nil && !isLoopbackHost(c.Request().Host) { // other servers on localhost may not have TLS
			r.Header()["Strict-Transport-Security"] = strictTransport
		}
		// The ResponseWriters of some tests have no deadlines.
		control := http.NewResponseController(r.Writer)
		if c.Request().ContentLength != 0 {
			// The handler reads the body, or net/http discards it.
			_ = control.SetReadDeadline(time.Now().Add(s.config.SlowClient))
		}
		r.Before(func() {
			// Twice, because net/http first reads a body that the handler did not read.
			_ = control.SetWriteDeadline(time.Now().Add(2 * s.config.SlowClient))
		})
		return next(c)
	}
}
