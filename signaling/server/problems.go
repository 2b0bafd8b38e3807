package server

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
)

const (
	retryAfter = "1" // seconds: a full server may soon have room, and another may replace a stopping one
	hungUp     = 499 // the status, in the log and metrics only, of a request whose client hung up
)

// An occurrence is a problem with the id by which the log has its request.
type occurrence struct {
	signaling.Problem
	RequestID string `json:"request_id"`
}

// fail writes err as a problem.
func (s *Server) fail(err error, c echo.Context) {
	switch {
	case c.Response().Committed:
		return
	case errors.Is(err, context.Canceled):
		c.Response().Status = hungUp
		return
	}
	info := infoOf(c)
	if limit := limitOf(err); limit != "" {
		s.refuse(limit, info.client)
	}
	p, known := problemOf(err)
	if !known {
		s.config.Log.Error("a request failed", "route", info.route, "request_id", info.id, "error", err)
	}
	if p.Status == http.StatusNotModified {
		err = c.NoContent(p.Status)
	} else {
		setAdvice(c.Response().Header(), p.Status, err)
		c.Response().Header().Set(echo.HeaderContentType, "application/problem+json")
		c.Response().WriteHeader(p.Status)
		err = c.Echo().JSONSerializer.Serialize(c, occurrence{p, info.id}, "")
	}
	if err != nil {
		s.config.Log.Debug("the client did not read its response", "error", err)
	}
}

// setAdvice sets the headers that tell a client what to do about err.
func setAdvice(h http.Header, status int, err error) {
	switch status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		if later := (*signaling.RetryError)(nil); errors.As(err, &later) {
			h.Set("Retry-After", strconv.Itoa(int(math.Ceil(later.After.Seconds()))))
		}
		if h.Get("Retry-After") == "" {
			h.Set("Retry-After", retryAfter)
		}
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="p2pchat"`)
	}
}

// problemOf returns the problem for err. If known is false, the client is not told what failed.
func problemOf(err error) (p signaling.Problem, known bool) {
	p, known = signaling.ProblemOf(err)
	if refusal := (*echo.HTTPError)(nil); !known && errors.As(err, &refusal) {
		p, known = httpProblem(refusal.Code)
	}
	if !known {
		p = signaling.Problem{Type: "about:blank", Title: "Internal error", Status: http.StatusInternalServerError, Detail: "The server failed to handle the request. Its log has the reason."}
	}
	return p, known
}

// httpProblem returns the problem of a refusal by the router.
func httpProblem(status int) (p signaling.Problem, known bool) {
	switch status {
	case http.StatusNotFound:
		return signaling.Problem{Type: "urn:p2pchat:not-found", Title: "Not found", Status: status, Detail: "No such address: /openapi.yaml lists the addresses of this server."}, true
	case http.StatusMethodNotAllowed:
		return signaling.Problem{Type: "urn:p2pchat:method-not-allowed", Title: "Method not allowed", Status: status, Detail: "This address does not support this method: /openapi.yaml lists the methods."}, true
	}
	return signaling.Problem{}, false
}
