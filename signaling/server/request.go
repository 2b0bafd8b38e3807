package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
	"p2pchat/signaling/internal/ratelimit"
)

const (
	trustedLength = 4 << 10 // bytes of a body that have memory before they arrive
	maxPooledBody = 8 << 10 // bytes of memory that is kept for the body of another request
)

// ticket returns the room of a request, and the request's token.
func ticket(c echo.Context, side signaling.Side) (signaling.Ticket, error) {
	t := signaling.Ticket{Room: signaling.Lobby, Side: side, Token: bearer(c.Request().Header.Get("Authorization"))}
	if slices.Contains(c.ParamNames(), "room") {
		t.Room = c.Param("room")
		if c.Request().URL.RawPath != "" { // then echo has matched the path as it was sent
			t.Room, _ = url.PathUnescape(t.Room) // the name is empty, so invalid, if it cannot be decoded
		}
	}
	return t, signaling.CheckRoom(t.Room)
}

// from returns Ticket.From of a request: the client's network, or nothing for a guest with the
// access key, whose answers are not bounded.
func (s *Server) from(c echo.Context, side signaling.Side) string {
	if side == signaling.Callee && s.config.AccessKey != "" && s.hasKey(c) {
		return ""
	}
	if a := infoOf(c).client; a.IsValid() {
		return string(ratelimit.Client(a).AsSlice())
	}
	return ""
}

// limitBody refuses requests that announce a body of more than MaxBody bytes. readBody finds those that do not.
func (s *Server) limitBody(c echo.Context) error {
	if c.Request().ContentLength > s.config.MaxBody {
		return signaling.ErrTooLarge
	}
	return nil
}

// readBody reads the body, up to the deadline that setHeaders has set. The bytes are valid until the request ends.
func (s *Server) readBody(c echo.Context) ([]byte, error) {
	r, body := c.Request(), &c.(*requestContext).body
	body.Grow(int(min(max(r.ContentLength, 0), trustedLength)) + bytes.MinRead)
	_, err := body.ReadFrom(io.LimitReader(r.Body, s.config.MaxBody+1))
	switch {
	case int64(body.Len()) > s.config.MaxBody:
		return nil, signaling.ErrTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("%w: the body did not arrive within %v", signaling.ErrInvalid, s.config.SlowClient)
	case err != nil:
		return nil, fmt.Errorf("%w: the body broke off: %w", signaling.ErrInvalid, err)
	}
	// From here on the connection is read only to notice that the client hangs up.
	_ = http.NewResponseController(c.Response().Writer).SetReadDeadline(time.Time{})
	return body.Bytes(), nil
}

// index returns the whole number of the query's parameter name, or missing without it.
func index(c echo.Context, name string, missing int) (int, error) {
	value, alone := strings.CutPrefix(c.Request().URL.RawQuery, name+"=")
	if !alone || strings.ContainsAny(value, "&;%+") {
		value = c.QueryParam(name)
	}
	if value == "" {
		return missing, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: the query's %q must be a whole number from 0 up", signaling.ErrInvalid, name)
	}
	return n, nil
}

// preferredWait returns the preference wait=N (RFC 7240, section 4.3), capped at maxWait. It ignores
// a preference that makes no sense, as section 2 asks.
func preferredWait(prefer []string) (wait time.Duration, asked bool) {
	if len(prefer) == 0 {
		return 0, false
	}
	if value, found := strings.CutPrefix(prefer[0], "wait="); found && len(prefer) == 1 { // as most clients write it
		if n, err := strconv.ParseUint(value, 10, 16); err == nil {
			return min(time.Duration(n)*time.Second, maxWait), true
		}
	}
	return waitIn(prefer)
}

// waitIn is preferredWait for any list of preferences.
func waitIn(prefer []string) (wait time.Duration, asked bool) {
	for preference := range elements(prefer) {
		preference, _, _ = strings.Cut(preference, ";")
		name, value, _ := strings.Cut(preference, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, false // only the first one counts
		}
		return min(time.Duration(n)*time.Second, maxWait), true // if out of range, n is the highest that fits
	}
	return 0, false
}

// tags returns a list of entity tags (RFC 9110, section 8.8.3), weak or strong.
func tags(values []string) []signaling.Version {
	if len(values) == 0 {
		return nil
	}
	var list []signaling.Version
	for t := range elements(values) {
		t = strings.Trim(strings.TrimPrefix(strings.TrimSpace(t), "W/"), `"`)
		if t != "" {
			list = append(list, signaling.Version(t))
		}
	}
	return list
}

// elements splits a list (RFC 9110, section 5.6.1) at the commas outside of quotes.
func elements(values []string) iter.Seq[string] {
	quoted := false
	return strings.FieldsFuncSeq(strings.Join(values, ","), func(r rune) bool {
		quoted = quoted != (r == '"')
		return r == ',' && !quoted
	})
}

// tag returns an entity tag.
func tag(v signaling.Version) string { return `"` + string(v) + `"` }

// bearer returns the token of an Authorization header (RFC 6750, section 2.1), or nothing.
func bearer(authorization string) string {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
