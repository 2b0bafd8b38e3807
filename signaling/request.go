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
	maxReply   = 256 << 10 // bytes: a description of a server with the default limits has at most 64 KiB, a list of candidates 128 KiB and its commas
	maxText    = 300       // bytes of a problem's text
	firstPause = 100 * time.Millisecond
	longPause  = time.Second // or people wait for a server that is back
	longDial   = 15 * time.Second
	silence    = 15 * time.Second // beyond what a request asked the server to wait
)

type request struct {
	method string // GET if empty
	path   string // under the room's, where there is one
	token  string
	header http.Header
	body   []byte
	wait   time.Duration // in whole seconds, for Prefer

	optional bool // 429 is an answer: what it asks for can be done without
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

// read repeats a read until wait is over, for as long as nothing is there.
func (c *Client) read(ctx context.Context, t Ticket, r request, wait time.Duration, nothing func(reply, error) bool) (reply, error) {
	asked := time.Now()
	for {
		left := wait
		if wait < Forever {
			left = wait - time.Since(asked)
		}
		r.wait = max(0, min(left, c.config.Poll)+time.Second-1).Truncate(time.Second)
		sent := time.Now()
		rep, err := c.in(ctx, t, r)
		if r.wait == 0 || wait < Forever && time.Since(asked) >= wait || !nothing(rep, err) {
			return rep, err
		}
		// A server that does not wait must not be asked without a pause.
		if time.Since(sent) < r.wait/2 {
			if err := pause(ctx, time.Second); err != nil {
				return reply{}, err
			}
		}
	}
}

// in sends r to the room that t is for, with its token.
func (c *Client) in(ctx context.Context, t Ticket, r request) (reply, error) {
	if err := CheckRoom(t.Room); err != nil {
		return reply{}, err
	}
	r.path, r.token = "/rooms/"+t.Room+r.path, t.Token
	return c.do(ctx, r)
}

// do sends r until it is answered for good.
func (c *Client) do(ctx context.Context, r request) (reply, error) {
	started := time.Now()
	for try := 0; ; try++ {
		rep, err := c.once(ctx, r)
		var again *passing
		if !errors.As(err, &again) {
			if c.trouble.Swap(false) {
				c.config.Trouble(nil)
			}
			return rep, err
		}
		if r.optional && errors.Is(err, ErrTooMany) {
			return reply{}, again.err
		}
		if ctx.Err() != nil && c.met.Load() {
			return reply{}, ctx.Err()
		}
		if ctx.Err() != nil {
			return reply{}, fmt.Errorf("%w (%w)", ctx.Err(), again.err)
		}
		backoff := min(firstPause<<min(try, 10), longPause)
		next := again.after + backoff/2 + rand.N(backoff/2) //nolint:gosec // jitter is no secret
		if time.Since(started)+next > c.config.Patience && (!c.met.Load() || errors.Is(err, ErrServerFull)) {
			return reply{}, again.err
		}
		if !c.trouble.Swap(true) {
			c.config.Trouble(again.err)
		}
		if err := pause(ctx, next); err != nil {
			return reply{}, fmt.Errorf("%w (%w)", err, again.err)
		}
	}
}

// A passing failure is worth another try, after some time.
type passing struct {
	err   error
	after time.Duration
}

func (p *passing) Error() string { return p.err.Error() }
func (p *passing) Unwrap() error { return p.err }

func (c *Client) once(ctx context.Context, r request) (reply, error) {
	limit := r.wait + silence
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	seconds := int(limit / time.Second)
	ctx, stop := endsAfter(ctx, ticker.C, seconds, fmt.Errorf("%w in %d s", errSilent, seconds))
	defer stop()
	if r.method == "" {
		r.method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return reply{}, err
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
	res, err := c.http.Do(req)
	if err != nil {
		err = Unanswered(ctx, c.late(ctx, err))
		refused := (*tls.CertificateVerificationError)(nil)
		if (errors.Is(err, ErrForeign) || errors.As(err, &refused)) && !c.met.Load() {
			return reply{}, err // it will be no better in a moment
		}
		return reply{}, &passing{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxReply+1))
	if mismatch := CheckScheme(res, body); mismatch != nil {
		return reply{}, mismatch
	}
	if err != nil {
		return reply{}, &passing{err: fmt.Errorf("%w: its reply broke off: %w", ErrUnreachable, plain(c.late(ctx, err)))}
	}
	rep := reply{header: res.Header, body: body}
	if len(body) > maxReply {
		kind := ErrForeign
		if c.met.Load() { // a server of ours, with other limits
			kind = ErrTooLarge
		}
		return reply{}, fmt.Errorf("%w: the server's reply is longer than %d KiB, the most that this program reads", kind, maxReply>>10)
	}
	return rep, forCaller(c.judge(res, body), r.header.Get(KeyHeader) != "")
}

// forCaller returns err or, if the server refused the access key, what that means to a person. The
// server's own detail is for programs: it names the header.
func forCaller(err error, sentKey bool) error {
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

// judge makes of a reply what it means.
func (c *Client) judge(res *http.Response, body []byte) error {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch code := res.StatusCode; {
	case code == http.StatusNotModified:
		c.met.Store(true)
		return ErrUnchanged
	case code == http.StatusNoContent, code/100 == 2 && kind == "application/json":
		c.met.Store(true)
		return nil
	case code/100 == 2:
		return fmt.Errorf("%w: it sent %q where JSON was expected", ErrForeign, cut(kind))
	case code/100 == 3:
		return fmt.Errorf("%w: it redirects%s", ErrForeign, elsewhere(res))
	}
	var p Problem
	known := kind == "application/problem+json" && json.Unmarshal(body, &p) == nil && strings.HasPrefix(p.Type, urn)
	p.Title, p.Detail = cut(p.Title), cut(p.Detail)
	var err error = p
	if known {
		c.met.Store(true)
	} else {
		err = fmt.Errorf("it answered %q", cut(res.Status))
	}
	lasting := errors.Is(err, ErrGuesses) || errors.Is(err, ErrTooManyRooms) // for minutes
	unable := res.StatusCode == http.StatusNotImplemented && !c.met.Load()   // a server of files
	transient := res.StatusCode == http.StatusTooManyRequests && !lasting || res.StatusCode >= 500 && !unable
	switch {
	case transient && !known:
		err = fmt.Errorf("%w: %w", ErrUnreachable, err)
	case !known:
		err = fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if transient {
		return &passing{err: err, after: retryAfter(res.Header.Get("Retry-After"))}
	}
	return err
}

// cut shortens what a stranger wrote, at the end of a character.
func cut(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxText)], "") }

// elsewhere names the host that a reply redirects to: the rest of the address holds the room.
func elsewhere(res *http.Response) string {
	to, err := res.Location()
	if err != nil || to.Host == res.Request.URL.Host && to.Scheme == res.Request.URL.Scheme {
		return ""
	}
	return fmt.Sprintf(" to %s://%s", to.Scheme, to.Host)
}

// retryAfter reads RFC 9110, section 10.2.3: seconds, or a date. A minute at most.
func retryAfter(value string) time.Duration {
	after := time.Duration(0)
	if seconds, err := strconv.Atoi(value); err == nil {
		after = time.Duration(min(seconds, 60)) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		after = time.Until(date)
	}
	return max(0, min(after, time.Minute))
}

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

func isEmptyList(body []byte) bool {
	return strings.Join(strings.Fields(string(body[:min(len(body), 16)])), "") == "[]"
}

// late returns err or, if that is a time-out, how long the client waited.
func (c *Client) late(ctx context.Context, err error) error {
	var timeout net.Error
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errSilent):
		return cause
	case errors.Is(err, context.DeadlineExceeded) && cause != nil && !errors.Is(cause, context.DeadlineExceeded):
		return cause
	case errors.As(err, &timeout) && timeout.Timeout() && ctx.Err() == nil: // of the dialer
		return fmt.Errorf("no answer in %d s", int(min(c.config.Patience, longDial).Seconds()))
	}
	return err
}

// foreign says what is wrong with a reply; it is the server that was not valid, not the request.
func foreign(err error) error { return fmt.Errorf("%w: %s", ErrForeign, reason(err)) }
