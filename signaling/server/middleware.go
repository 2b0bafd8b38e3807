package server

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

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

	cost     int64            // how many requests it counts as: see listenCost
	waits    bool             // it may wait for news, and is counted by beginWait
	unopened bool             // it is counted among the reads of rooms without an offer
	found    bool             // a read of it has found the room, see noticeClose
	closed   bool             // and a later one has not
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
	info   requestInfo
	came   time.Time // unlike info.began, of a request that was parked it is when it was resumed
	writer deadlineWriter
	body   bytes.Buffer // see readBody
}

// contexts has requestContexts of requests that have ended.
var contexts = sync.Pool{New: func() any { return new(requestContext) }}

// release ends the life of a requestContext. It keeps the memory of usual bodies for later requests.
func (own *requestContext) release() {
	body := own.body
	if body.Reset(); body.Cap() > maxPooledBody {
		body = bytes.Buffer{}
	}
	*own = requestContext{body: body}
	contexts.Put(own)
}

// infoOf returns the requestInfo of a request that has passed identify.
func infoOf(c echo.Context) *requestInfo { return &c.(*requestContext).info }

// handle is the only middleware, because echo makes a closure of each for every request. It notes what a request is, and what
// became of it.
func (s *Server) handle(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		own := s.identify(c)
		span := s.trace(own)
		s.setHeaders(own)
		s.record(own, s.recoverPanic(own, next))
		endTrace(span, &own.info)
		own.release()
		return nil
	}
}

// answer passes a request to its handler, or returns the error of the first policy that refuses it.
func (s *Server) answer(own *requestContext, handler echo.HandlerFunc) error {
	if s.cors != nil && allowOrigin(s.cors, own) {
		return nil
	}
	err := s.limitRate(own)
	if err == nil {
		err = s.guardPages(own)
	}
	if err == nil {
		err = s.limitBody(own)
	}
	if err != nil {
		return err
	}
	return handler(own)
}

// identify gives a request its requestInfo and an id: X-Request-Id if isID accepts it, or a random one. A
// request that was parked has those that it had before.
func (s *Server) identify(c echo.Context) *requestContext {
	r := c.Request()
	own := contexts.Get().(*requestContext)
	own.Context, own.came = c, time.Now()
	if before := longpoll.Resume(r); before != nil {
		own.info = *before.State.(*requestInfo)
		own.info.resumed = before
	} else {
		own.info = requestInfo{began: own.came, method: methodOf(r.Method), route: c.Path(), id: r.Header.Get(echo.HeaderXRequestID), client: s.clientOf(c), cost: 1}
		if !isID(own.info.id) {
			own.info.id = newID()
		}
	}
	return own
}

// newID returns a random id of 128 bits. It is no secret, so it need not come from the system.
func newID() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var id [26]byte
	for half := range 2 {
		bits := rand.Uint64() //nolint:gosec // it is no secret
		for i := range 13 {
			id[13*half+i] = alphabet[bits%32]
			bits /= 32
		}
	}
	return string(id[:])
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

// recoverPanic answers a request, and turns a panic into an error.
func (s *Server) recoverPanic(own *requestContext, handler echo.HandlerFunc) (err error) {
	defer func() {
		switch why := recover(); why {
		case nil:
		case http.ErrAbortHandler:
			panic(why)
		default:
			if err, _ = why.(error); err == nil {
				err = fmt.Errorf("%v", why)
			}
			s.config.Log.Error("a handler panicked", "route", own.info.route, "request_id", own.info.id, "error", err, "stack", string(debug.Stack()))
		}
	}()
	return s.answer(own, handler)
}
