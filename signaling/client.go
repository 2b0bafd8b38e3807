package signaling

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Errors returned by the methods of [Client], besides those of [Store].
var (
	ErrUnreachable = errors.New("the server cannot be reached") // no reply, or only failures
	ErrForeign     = errors.New("that is not a p2pchat server") // a reply that no p2pchat server sends

	// ErrNoReply is ErrUnreachable where nothing answers at the server's address: its name does not resolve, no
	// connection can be made, or no reply comes in time. A program that answers otherwise, for example with a
	// certificate that cannot be trusted, is none.
	ErrNoReply = fmt.Errorf("%w", ErrUnreachable)
	// ErrGateway is ErrUnreachable where a reverse proxy answers 502, 503 or 504 in the server's place.
	ErrGateway = fmt.Errorf("%w: a proxy answers there, but the server behind it does not", ErrUnreachable)

	// of [Config].Via:
	ErrProxy        = errors.New("the proxy cannot be used") // it cannot be reached, or breaks off
	ErrProxyRefuses = errors.New("the proxy refuses this")   // and would refuse it again
)

// A Client is a [Store] that is kept by a server. It sends the requests of the server's REST API,
// which /openapi.yaml describes.
//
// A Client sends a request again after a transient failure (no connection, a broken reply, 429,
// 5xx), with exponential backoff and jitter, and never before the server's Retry-After: all
// requests of the API can be repeated safely. Until the server has replied for the first time, a
// Client retries for [Config].Patience only. Later it retries until the context ends, so that a
// server may restart while people wait.
type Client struct {
	base    string
	config  Config
	http    *http.Client
	reached atomic.Bool // the server has replied once, as a p2pchat server
	digits  atomic.Int32
	cuts    atomic.Int64 // see Interruptions
	outage  atomic.Bool  // reported to Config.OnOutage, and not over yet
	full    atomic.Bool  // it is one because the server is full: other requests are answered all the same
	clock   atomic.Bool  // compared for Config.OnClock
}

var _ Store = (*Client)(nil)

// Config tunes a [Client].
type Config struct {
	Patience time.Duration // how long to try a server that has never replied, or that is full; 5 s if zero
	Poll     time.Duration // how long one request waits on the server; 25 s if zero, 60 s at most
	Key      string        // the server's access key, which some servers ask callers for; none if empty
	// OnOutage is called with an error when requests begin to fail, and with nil when the server
	// replies again. It may be called from any goroutine. It may be nil.
	OnOutage func(error)
	// OnClock is called once, with how far this machine's clock is ahead of the server's, as the server says. It may be nil.
	OnClock func(ahead time.Duration)
	// Via, if not nil, is called once, with the function that connects this machine to an address, and returns the
	// one that is used instead: through a proxy, say. It gets the server's name and port. It replaces the proxies of
	// the environment that net/http uses. Where the proxy fails, its errors wrap [ErrProxy] or [ErrProxyRefuses].
	Via func(direct Dial) Dial
	// Control, if not nil, is called for each socket before it connects, those to name servers included: see [net.Dialer].
	Control func(network, address string, c syscall.RawConn) error
	Log     *slog.Logger // gets each phase of a request at debug level; nil: none
}

// A Dial connects to a TCP address, a name or an IP address and a port, as [net.Dialer.DialContext] does.
type Dial = func(ctx context.Context, network, address string) (net.Conn, error)

// NewClient returns the Store that is kept by the server at base, for example
// "https://chat.example.org". It sends nothing yet. It returns ErrInvalid if base is not the
// address of a server.
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
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.OnOutage == nil {
		config.OnOutage = func(error) {}
	}
	if config.OnClock == nil {
		config.OnClock = func(time.Duration) {}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 8 // a meeting reads two documents and writes a third at once
	// Connecting to an address that drops packets must not outlast Patience.
	transport.DialContext = dialer(min(config.Patience, maxDialTime), config)
	if config.Via != nil {
		transport.Proxy = nil
	}
	return &Client{base: u.String(), config: config, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// CloseIdle closes the connections that are not in use. The Client may be used afterwards.
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
	r, err := c.inRoom(ctx, t, request{method: method, path: "/" + by.String(), header: header, body: d})
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
	isKnown := func(r reply, err error) bool {
		v, _ := r.version()
		return err == nil && v != "" && v == known
	}
	r, err := c.pollRoom(ctx, t, request{path: "/" + of.String(), header: header}, wait, func(r reply, err error) bool {
		return errors.Is(err, ErrNoOffer) || errors.Is(err, ErrNoAnswer) || errors.Is(err, ErrNoRoom) || errors.Is(err, ErrUnchanged) || isKnown(r, err)
	})
	if isKnown(r, err) {
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
	for _, one := range list { // JoinCandidates would make one valid candidate of two broken ones
		if err := one.Check(); err != nil {
			return 0, err
		}
	}
	path := "/" + t.Side.String() + "-candidates"
	if at >= 0 {
		path += "?at=" + strconv.Itoa(at)
	}
	r, err := c.inRoom(ctx, t, request{method: http.MethodPost, path: path, body: JoinCandidates(list)})
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
	r, err := c.pollRoom(ctx, t, request{path: path}, wait, func(r reply, err error) bool {
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
	_, err := c.inRoom(ctx, t, request{method: http.MethodDelete})
	return err
}

// A Pong is the result of [Client.Ping].
type Pong struct {
	RTT   time.Duration // the shortest of three, over an open connection
	Clock time.Duration // how much the server's clock is ahead, to a second
}

// Ping measures the round-trip time to the server. It returns ErrUnreachable, ErrForeign or the
// context's error if the server does not reply.
func (c *Client) Ping(ctx context.Context) (Pong, error) {
	var p Pong
	for i := range 4 {
		started := time.Now()
		r, err := c.inRoom(ctx, Ticket{Room: rand.Text()}, request{path: "/offer"}) // a room that does not exist
		if err != nil && !errors.Is(err, ErrNoOffer) {
			return p, err
		}
		took := time.Since(started)
		if i == 0 { // includes connecting
			continue
		}
		if p.RTT == 0 || took < p.RTT {
			p.RTT = took
		}
		if date, err := http.ParseTime(r.header.Get("Date")); err == nil {
			p.Clock = date.Add(time.Second / 2).Sub(started.Add(took / 2)).Round(time.Second)
		}
	}
	return p, nil
}

// key returns a header with the access key, if there is one.
func (c *Client) key() http.Header {
	header := http.Header{}
	if c.config.Key != "" {
		header.Set(KeyHeader, c.config.Key)
	}
	return header
}

// ICEServers returns the STUN and TURN servers that the server offers. A caller passes the zero
// [Ticket]. A callee passes the ticket that it answers with: then ICEServers waits for the room,
// up to wait, and returns ErrNoRoom if the room does not exist by then. A server that refuses is
// not asked again: ICEServers returns ErrTooMany, for example, and a call works without the list.
func (c *Client) ICEServers(ctx context.Context, t Ticket, wait time.Duration) ([]ICEServer, error) {
	var r reply
	var err error
	if t.Room == "" {
		r, err = c.do(ctx, request{path: "/ice-servers", header: c.key(), optional: true})
		if n, bad := strconv.Atoi(r.header.Get(RoomDigitsHeader)); err == nil && bad == nil {
			c.digits.Store(int32(max(MinRoomDigits, min(n, MaxRoomDigits))))
		}
	} else {
		r, err = c.pollRoom(ctx, t, request{path: "/ice-servers", optional: true}, wait, func(_ reply, err error) bool {
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

// Interruptions returns how many requests have failed so far because the server, or its store of rooms, was away. It may have been
// restarted, and have lost all rooms: what it says of a room from then on tells nothing of the other side.
func (c *Client) Interruptions() int64 { return c.cuts.Load() }

// RoomDigits returns how many digits the number of a new room should have. The server proposes it
// in its reply to [Client.ICEServers]; before that, it is MinRoomDigits.
func (c *Client) RoomDigits() int { return max(MinRoomDigits, int(c.digits.Load())) }
