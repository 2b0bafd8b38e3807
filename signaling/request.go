package signaling

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxReply     = 256 << 10 // bytes: by default a server's descriptions have at most 64 KiB, its lists 128 KiB and commas
	maxText      = 300       // bytes of a problem's text
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = time.Second // people wait for a server that has restarted
	maxDialTime  = 15 * time.Second
	replyTimeout = 15 * time.Second // on top of the time that a request asked the server to wait
)

type request struct {
	method string // GET if empty
	path   string // below the room's path if the request is for a room
	token  string
	header http.Header
	body   []byte
	wait   time.Duration // in whole seconds, for the header Prefer

	optional bool // 429 is not retried: the caller can do without a reply
}

type reply struct {
	header http.Header
	body   []byte
}

func (r reply) version() (Version, error) {
	v := Version(strings.Trim(strings.TrimPrefix(r.header.Get("ETag"), "W/"), `"`))
	if v == "" {
		return "", fmt.Errorf("%w: its reply has no ETag", ErrForeign)
	}
	return v, nil
}

// poll repeats a read for as long as isNothing reports that there is nothing to read, until wait
// is over.
func (c *Client) poll(ctx context.Context, r request, wait time.Duration, isNothing func(reply, error) bool) (reply, error) {
	started := time.Now()
	for {
		left := wait
		if wait < Forever {
			left = wait - time.Since(started)
		}
		r.wait = max(0, min(left, c.config.Poll)+time.Second-1).Truncate(time.Second)
		sent := time.Now()
		rep, err := c.do(ctx, r)
		if r.wait == 0 || wait < Forever && time.Since(started) >= wait || !isNothing(rep, err) {
			return rep, err
		}
		// A server that ignores Prefer must not be asked without a pause.
		if time.Since(sent) < r.wait/2 {
			if err := pause(ctx, time.Second); err != nil {
				return reply{}, err
			}
		}
	}
}

// inRoom sends r to t's room, with t's token.
func (c *Client) inRoom(ctx context.Context, t Ticket, r request) (reply, error) {
	if err := r.address(t); err != nil {
		return reply{}, err
	}
	return c.do(ctx, r)
}

// pollRoom is poll for a read in t's room, with t's token. It returns ErrClosed once a room is gone that an earlier request has found: the
// room may be closed between two requests.
func (c *Client) pollRoom(ctx context.Context, t Ticket, r request, wait time.Duration, isNothing func(reply, error) bool) (reply, error) {
	if err := r.address(t); err != nil {
		return reply{}, err
	}
	found := false
	gone := func(err error) bool { return found && (errors.Is(err, ErrNoRoom) || errors.Is(err, ErrNoOffer)) }
	rep, err := c.poll(ctx, r, wait, func(rep reply, err error) bool {
		nothing := isNothing(rep, err) && !gone(err)
		found = found || nothing && (err == nil || errors.Is(err, ErrUnchanged))
		return nothing
	})
	if gone(err) {
		return reply{}, ErrClosed
	}
	return rep, err
}

// address puts the path of r into t's room.
func (r *request) address(t Ticket) error {
	r.path, r.token = "/rooms/"+t.Room+r.path, t.Token
	return CheckRoom(t.Room)
}

// do sends r until the reply is not a transient error.
func (c *Client) do(ctx context.Context, r request) (reply, error) {
	started := time.Now()
	full := false // the server had no room for r
	defer func() { c.givenUp(full) }()
	for try := 0; ; try++ {
		rep, err := c.once(ctx, r)
		var transient *transientError
		if !errors.As(err, &transient) {
			c.answered(full)
			full = false // what another request meets from now on is no outage of this one
			return rep, err
		}
		if r.optional && errors.Is(err, ErrTooMany) {
			return reply{}, transient.err
		}
		if ctx.Err() != nil && c.reached.Load() {
			return reply{}, ctx.Err()
		}
		if ctx.Err() != nil {
			return reply{}, fmt.Errorf("%w (%w)", ctx.Err(), transient.err)
		}
		backoff := min(firstBackoff<<min(try, 10), maxBackoff)
		next := transient.after + backoff/2 + rand.N(backoff/2) //nolint:gosec // jitter is no secret
		if time.Since(started)+next > c.config.Patience && (!c.reached.Load() || errors.Is(err, ErrServerFull)) {
			return reply{}, transient.err
		}
		full = c.failed(transient.err) || full
		if err := pause(ctx, next); err != nil {
			return reply{}, fmt.Errorf("%w (%w)", err, transient.err)
		}
	}
}

// failed begins an outage, and reports whether it is that of a full server.
func (c *Client) failed(err error) (full bool) {
	switch full = errors.Is(err, ErrServerFull); {
	case full:
		c.full.Store(true)
	case !errors.Is(err, ErrTooMany):
		c.cuts.Add(1)
	}
	if !c.outage.Swap(true) {
		c.config.OnOutage(err)
	}
	return full
}

// answered ends the outage. That of a full server is ended only by a request for which there was no room: full.
func (c *Client) answered(full bool) {
	if full {
		c.full.Store(false)
	}
	if !c.full.Load() && c.outage.Swap(false) {
		c.config.OnOutage(nil)
	}
}

// givenUp ends, without a report, the outage of a full server if no room was found: the request's error says more.
func (c *Client) givenUp(full bool) {
	if full && c.full.Swap(false) {
		c.outage.Store(false)
	}
}

// A transientError means that the same request may succeed later.
type transientError struct {
	err   error
	after time.Duration // the server's Retry-After
}

func (e *transientError) Error() string { return e.err.Error() }
func (e *transientError) Unwrap() error { return e.err }

// once sends r and returns the reply. It returns a *transientError if r may succeed later.
func (c *Client) once(ctx context.Context, r request) (reply, error) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	seconds := int((r.wait + replyTimeout) / time.Second)
	ctx, stop := withTickLimit(ctx, ticker.C, seconds, fmt.Errorf("%w in %d s", errSilent, seconds))
	defer stop()
	ctx, ended := c.traced(ctx, r)
	defer ended()
	req, err := r.build(ctx, c.base)
	if err != nil {
		return reply{}, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		err = Unanswered(ctx, c.timeoutCause(ctx, err))
		badCertificate := (*tls.CertificateVerificationError)(nil)
		if (errors.Is(err, ErrForeign) || errors.Is(err, ErrProxyRefuses) || errors.As(err, &badCertificate)) && !c.reached.Load() {
			return reply{}, err
		}
		return reply{}, &transientError{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxReply+1))
	if mismatch := CheckScheme(res, body); mismatch != nil {
		return reply{}, mismatch
	}
	if err != nil {
		return reply{}, &transientError{err: fmt.Errorf("%w: its reply broke off: %w", ErrUnreachable, plain(c.timeoutCause(ctx, err)))}
	}
	if len(body) > maxReply {
		kind := ErrForeign
		if c.reached.Load() { // a p2pchat server with other limits
			kind = ErrTooLarge
		}
		return reply{}, fmt.Errorf("%w: the server's reply is longer than %d KiB, the most that this program reads", kind, maxReply>>10)
	}
	err = explainKey(c.checkResponse(res, body), r.header.Get(KeyHeader) != "")
	c.compareClocks(res)
	return reply{res.Header, body}, err
}

// compareClocks calls Config.OnClock with the first reply of the server that has a date.
func (c *Client) compareClocks(res *http.Response) {
	date, err := http.ParseTime(res.Header.Get("Date"))
	if err == nil && c.reached.Load() && !c.clock.Swap(true) {
		c.config.OnClock(time.Since(date))
	}
}

// build returns the HTTP request for r to the server at base.
func (r request) build(ctx context.Context, base string) (*http.Request, error) {
	if r.method == "" {
		r.method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.wait > 0 {
		req.Header.Set("Prefer", fmt.Sprintf("wait=%d", r.wait/time.Second))
	}
	return req, nil
}

// explainKey returns err, or what it means to a person if the server refused the access key. The
// server's own detail is for programs: it names the header.
func explainKey(err error, sentKey bool) error {
	p := Problem{}
	if !errors.Is(err, ErrNoKey) || !errors.As(err, &p) {
		return err
	}
	p.Detail = "To open a room on this server, you need its access key. To answer a call, you need none."
	if sentKey {
		p.Detail = "That access key is wrong."
	}
	return p
}

// checkResponse maps an HTTP response to an error.
func (c *Client) checkResponse(res *http.Response, body []byte) error {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch code := res.StatusCode; {
	case code == http.StatusNotModified:
		c.reached.Store(true)
		return ErrUnchanged
	case code == http.StatusNoContent, code/100 == 2 && kind == "application/json":
		c.reached.Store(true)
		return nil
	case code/100 == 2:
		return fmt.Errorf("%w: it sent %q where JSON was expected", ErrForeign, cut(kind))
	case code == http.StatusProxyAuthRequired:
		return fmt.Errorf("%w: it asks for a name and a password (407)", ErrProxyRefuses)
	case code/100 == 3:
		return fmt.Errorf("%w: it redirects%s", ErrForeign, otherHost(res))
	}
	err := parseProblem(kind, body)
	known := err != nil
	if known {
		c.reached.Store(true)
	} else {
		err = Unexplained(res)
	}
	transient := c.isTransient(res.StatusCode, err)
	if transient && !known && !errors.Is(err, ErrUnreachable) {
		err = fmt.Errorf("%w: it answered %q", ErrUnreachable, cut(res.Status))
	}
	if transient {
		return &transientError{err: err, after: retryAfter(res.Header.Get("Retry-After"))}
	}
	return err
}

// parseProblem returns the Problem in a response of a p2pchat server, or nil.
func parseProblem(kind string, body []byte) error {
	var p Problem
	if kind != "application/problem+json" || json.Unmarshal(body, &p) != nil || !strings.HasPrefix(p.Type, urn) {
		return nil //nolint:nilerr // the response is no Problem
	}
	p.Title, p.Detail = cut(p.Title), cut(p.Detail)
	return p
}

// isTransient reports whether the request of a response with that status may succeed soon.
func (c *Client) isTransient(status int, err error) bool {
	switch {
	case errors.Is(err, ErrGuesses), errors.Is(err, ErrTooManyRooms), errors.Is(err, ErrClientMail), errors.Is(err, ErrMailFull): // they last for minutes
		return false
	case status == http.StatusNotImplemented && !c.reached.Load(): // a server of files
		return false
	}
	return status == http.StatusTooManyRequests || status >= 500
}

// cut shortens text that a server sent to maxText, at the end of a character.
func cut(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxText)], "") }

// otherHost names the host that a response redirects to. The rest of the address has the room, so
// it is left out.
func otherHost(res *http.Response) string {
	to, err := res.Location()
	if err != nil || to.Host == res.Request.URL.Host && to.Scheme == res.Request.URL.Scheme {
		return ""
	}
	return fmt.Sprintf(" to %s://%s", to.Scheme, to.Host)
}

// retryAfter parses Retry-After (RFC 9110, section 10.2.3): seconds or a date. It returns a minute
// at most.
func retryAfter(value string) time.Duration {
	after := time.Duration(0)
	if seconds, err := strconv.Atoi(value); err == nil {
		after = time.Duration(min(seconds, 60)) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		after = time.Until(date)
	}
	return max(0, min(after, time.Minute))
}

// pause waits for d. It returns the context's error if ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func quote(v Version) string { return `"` + string(v) + `"` }

// isEmptyList reports whether body is an empty JSON array, however it is spelled. null is none.
func isEmptyList(body []byte) bool {
	var list []json.RawMessage
	return json.Unmarshal(body, &list) == nil && list != nil && len(list) == 0
}

// timeoutCause returns err or, if err is a timeout, an error that says how long the client waited.
func (c *Client) timeoutCause(ctx context.Context, err error) error {
	var timeout net.Error
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errSilent):
		return cause
	case errors.Is(err, context.DeadlineExceeded) && cause != nil && !errors.Is(cause, context.DeadlineExceeded):
		return cause
	case errors.As(err, &timeout) && timeout.Timeout() && ctx.Err() == nil: // the dialer's
		return fmt.Errorf("%w in %d s", errSilent, int(min(c.config.Patience, maxDialTime).Seconds()))
	}
	return err
}

// foreign turns an ErrInvalid about a reply into an ErrForeign: the server's reply was not valid,
// not the request.
func foreign(err error) error { return fmt.Errorf("%w: %s", ErrForeign, reason(err)) }
