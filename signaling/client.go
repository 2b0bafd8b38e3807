package signaling

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// What a Client reports beyond the Store's own errors.
var (
	// ErrUnreachable: the server did not answer, or with nothing but failures.
	ErrUnreachable = errors.New("the server cannot be reached")
	// ErrForeign: something answered, but not as a p2pchat server does.
	ErrForeign = errors.New("that is not a p2pchat server")
)

// A Client is the Store behind the REST API of a server (signaling-api, /openapi.yaml).
//
// A request that fails in passing (no connection, a broken reply, 429, 5xx) is sent
// again, with exponential backoff and jitter and never before the server's
// Retry-After: every request of the API is harmless to repeat. Before the server has
// answered for the first time a Client goes on for Config.Patience only; after that,
// until the context ends, so that a server may be restarted while people wait.
type Client struct {
	base    string
	config  Config
	http    *http.Client
	met     atomic.Bool // the server has answered once, as one of ours
	digits  atomic.Int32
	trouble atomic.Bool // reported, and not over yet
}

var _ Store = (*Client)(nil)

// Config tunes a Client.
type Config struct {
	Patience time.Duration // how long to try a server that never answered, or one that is full; 5 s if zero
	Poll     time.Duration // how long one request waits on the server; 25 s if zero, 60 s at most
	Key      string        // the server's access key, for callers; none if empty
	// Trouble is told the error once requests begin to fail, and nil once the
	// server answers again. It may be called from any goroutine.
	Trouble func(error)
}

// NewClient returns the Store behind the server at base, for example
// "https://chat.example.org". It sends nothing yet. The error is ErrInvalid.
func NewClient(base string, config Config) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(base, "/"))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || strings.ContainsAny(base, "?#") {
		return nil, invalid("%q is not the address of a server, like https://chat.example.org or http://localhost:3000", base)
	}
	if config.Patience == 0 {
		config.Patience = 5 * time.Second
	}
	if config.Poll == 0 {
		config.Poll = 25 * time.Second
	}
	if config.Trouble == nil {
		config.Trouble = func(error) {}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 8 // a meeting reads two documents and writes a third at once
	// A dial to an address that does not even refuse must not outlast Patience.
	transport.DialContext = dialer(min(config.Patience, longDial))
	return &Client{base: u.String(), config: config, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// CloseIdle closes the connections that are kept for the next request.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

// Offer implements Store.
func (c *Client) Offer(ctx context.Context, t Ticket, d Description) (Version, error) {
	return c.describe(ctx, http.MethodPost, t, Caller, "", d)
}

// Reoffer implements Store.
func (c *Client) Reoffer(ctx context.Context, t Ticket, d Description) (Version, error) {
	return c.describe(ctx, http.MethodPut, t, Caller, "", d)
}

// Answer implements Store.
func (c *Client) Answer(ctx context.Context, t Ticket, to Version, d Description) (Version, error) {
	return c.describe(ctx, http.MethodPost, t, Callee, to, d)
}

func (c *Client) describe(ctx context.Context, method string, t Ticket, by Side, to Version, d Description) (Version, error) {
	header := c.key()
	if to != "" {
		header.Set("If-Match", quote(to))
	}
	r, err := c.in(ctx, t, request{method: method, path: "/" + by.String(), header: header, body: d})
	if err != nil {
		return "", err
	}
	return r.version()
}

// Description implements Store.
func (c *Client) Description(ctx context.Context, t Ticket, of Side, known Version, wait time.Duration) (Description, Version, error) {
	header := http.Header{}
	if known != "" {
		header.Set("If-None-Match", quote(known))
	}
	// A proxy may drop If-None-Match, and a server may ignore it.
	again := func(r reply, err error) bool {
		v, _ := r.version()
		return err == nil && v != "" && v == known
	}
	r, err := c.read(ctx, t, request{path: "/" + of.String(), header: header}, wait, func(r reply, err error) bool {
		return errors.Is(err, ErrNoOffer) || errors.Is(err, ErrNoAnswer) || errors.Is(err, ErrNoRoom) || errors.Is(err, ErrUnchanged) || again(r, err)
	})
	if again(r, err) {
		err = ErrUnchanged
	}
	if err != nil {
		return nil, "", err
	}
	if err := Description(r.body).Check(of); err != nil {
		return nil, "", foreign(err)
	}
	v, err := r.version()
	return r.body, v, err
}

// AddCandidates implements Store.
func (c *Client) AddCandidates(ctx context.Context, t Ticket, at int, list ...Candidate) (int, error) {
	for _, one := range list { // joined, two could pass for one
		if err := one.Check(); err != nil {
			return 0, err
		}
	}
	path := "/" + t.Side.String() + "-candidates"
	if at >= 0 {
		path += "?at=" + strconv.Itoa(at)
	}
	r, err := c.in(ctx, t, request{method: http.MethodPost, path: path, body: JoinCandidates(list)})
	if err != nil {
		return 0, err
	}
	var count struct{ Count *int }
	if json.Unmarshal(r.body, &count) != nil || count.Count == nil {
		return 0, fmt.Errorf("%w: it did not count the candidates", ErrForeign)
	}
	return *count.Count, nil
}

// Candidates implements Store.
func (c *Client) Candidates(ctx context.Context, t Ticket, of Side, after int, wait time.Duration) ([]Candidate, error) {
	if after < 0 {
		return nil, invalid("candidates are counted from 0")
	}
	path := "/" + of.String() + "-candidates?after=" + strconv.Itoa(after)
	r, err := c.read(ctx, t, request{path: path}, wait, func(r reply, err error) bool {
		return errors.Is(err, ErrNoRoom) || err == nil && isEmptyList(r.body)
	})
	if err != nil || isEmptyList(r.body) {
		return nil, err
	}
	list, err := ParseCandidates(r.body)
	if err != nil {
		return nil, foreign(err)
	}
	return list, nil
}

// Close implements Store.
func (c *Client) Close(ctx context.Context, t Ticket) error {
	_, err := c.in(ctx, t, request{method: http.MethodDelete})
	return err
}

// A Pong is how a server answered.
type Pong struct {
	RTT   time.Duration // the shortest of three, over a connection that stands
	Clock time.Duration // how much the server's clock is ahead, to a second
}

// Ping asks whether the server is there. The error is ErrUnreachable, ErrForeign or the
// context's.
func (c *Client) Ping(ctx context.Context) (Pong, error) {
	var p Pong
	for i := range 4 {
		begun := time.Now()
		r, err := c.in(ctx, Ticket{Room: rand.Text()}, request{path: "/offer"}) // a room that does not exist
		if err != nil && !errors.Is(err, ErrNoOffer) {
			return p, err
		}
		took := time.Since(begun)
		if i == 0 { // with the connection's own
			continue
		}
		if p.RTT == 0 || took < p.RTT {
			p.RTT = took
		}
		if date, err := http.ParseTime(r.header.Get("Date")); err == nil {
			p.Clock = date.Add(time.Second / 2).Sub(begun.Add(took / 2)).Round(time.Second)
		}
	}
	return p, nil
}

// key is the header with the access key.
func (c *Client) key() http.Header {
	header := http.Header{}
	if c.config.Key != "" {
		header.Set(KeyHeader, c.config.Key)
	}
	return header
}

// ICEServers asks which STUN and TURN servers the server hands out: to a caller, if t is the
// zero Ticket, or to a guest, with the token that it answers or has answered with, once
// the room exists. Until then it waits, up to wait, and returns ErrNoRoom. A server that
// refuses is not asked again: the error is ErrTooMany, for one, and a call works without.
func (c *Client) ICEServers(ctx context.Context, t Ticket, wait time.Duration) ([]ICEServer, error) {
	var r reply
	var err error
	if t.Room == "" {
		r, err = c.do(ctx, request{path: "/ice-servers", header: c.key(), optional: true})
		if n, bad := strconv.Atoi(r.header.Get(DigitsHeader)); err == nil && bad == nil {
			c.digits.Store(int32(max(FewDigits, min(n, ManyDigits))))
		}
	} else {
		r, err = c.read(ctx, t, request{path: "/ice-servers", optional: true}, wait, func(_ reply, err error) bool {
			return errors.Is(err, ErrNoRoom)
		})
	}
	if err != nil {
		return nil, err
	}
	var list struct {
		ICEServers []ICEServer `json:"iceServers"`
	}
	if json.Unmarshal(r.body, &list) != nil || list.ICEServers == nil {
		return nil, fmt.Errorf("%w: it did not list its ICE servers", ErrForeign)
	}
	return list.ICEServers, nil
}

// RoomDigits is how many digits the number of a new room should have, as far as the server
// has said so with its ICE servers.
func (c *Client) RoomDigits() int { return max(FewDigits, int(c.digits.Load())) }
