// Package server serves a signaling.Store over HTTP: see openapi.yaml beside it.
//
//	request ─▶ limits, log, headers ─▶ handler ─▶ Store
//	                                      └─ error ─▶ signaling.ProblemOf ─▶ problem+json
//
// It is the only package that imports echo.
package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"p2pchat/signaling"
	"p2pchat/signaling/internal/refused"
	"p2pchat/signaling/tracing"
	"p2pchat/signaling/web"
)

//go:embed openapi.yaml
var openAPI []byte

// MostBody is the most bytes of a description that clients read.
const MostBody = 256 << 10

const (
	maxWait     = 60 * time.Second // for Prefer: wait=N
	idleClient  = 2 * time.Minute
	maxHeader   = 16 << 10
	retrySecond = "1" // for Retry-After: a full server may soon have room, and another may replace a stopping one
	guestBurst  = 10  // requests for ICE servers in one room: a few guests, who try a few times
	guestRate   = 0.2 // further requests a second
	guestMemory = 3 * time.Minute
	strongToken = 22 // characters of 128 random bits in base64
	// How long candidates wait for a description that their client sends at the same time.
	heldCandidates = 2 * time.Second
	hungUp         = 499 // in the log and metrics only: the client hung up
)

// Config tunes a Server.
type Config struct {
	MaxBody    int64 // bytes of a request's body; 64 KiB if zero, MostBody at most
	MaxWaiting int   // reads parked at once; 50,000 if zero
	// ClientWaiting bounds the reads that one client parks in rooms without an offer; no limit if zero.
	ClientWaiting int
	// Load counts the rooms that are open or waited in, for the length of new rooms' numbers.
	// Callers decide for themselves if it is nil.
	Load       func() int
	SlowClient time.Duration         // how long a client may take to send a head, to send a body, or to take a response; 10 s if zero
	ICEServers []signaling.ICEServer // what /ice-servers hands out
	// Relay makes credentials for a relay of this server's, to hand out with them; nil if
	// there is none. The same user counts as one. If guest is not nil, they must be good only
	// once Accepted says so of it; a guest without a token gets none.
	Relay func(user string, guest *signaling.Ticket) []signaling.ICEServer
	// Ready says what keeps the Store from answering, to /readyz. It always can if that is nil.
	Ready       func() error
	AccessKey   string      // what opening a room and asking for ICEServers takes; nothing if empty
	Rate        Rate        // limit of requests
	Connections Connections // limit of Serve's open connections
	// TrustedProxies may name the client that they ask for, in X-Forwarded-For.
	TrustedProxies []netip.Prefix
	// PublicURL is how others reach the server where that is not its own address, as behind a
	// proxy. Its pages may write.
	PublicURL    string
	Origins      []string        // of pages from elsewhere that may use this server: https://chat.example.org, or *
	Log          *slog.Logger    // slog.Default() if nil
	Metrics      net.Listener    // where Serve answers with metrics, for Prometheus; nowhere if nil
	Measures     []Measure       // of the store and the relay
	LogAddresses bool            // log clients' addresses whole; else their networks, of 24 bits (IPv6: 48)
	Tracer       *tracing.Tracer // of each request, and of what the store did for it; may be nil
}

// A Server answers requests out of a Store. It is an http.Handler.
type Server struct {
	store       signaling.Store
	config      Config
	echo        *echo.Echo
	limiter     *limiter
	wakes       *limiter // of reads that are woken for nothing
	connections census
	metrics     *metrics
	guests      *middleware.RateLimiterMemoryStore // of ICE servers, by room
	parked      atomic.Int64
	watcher     signaling.Watcher // the store if it is a Watcher, else nil
	accepts     Acceptor          // the store if it is an Acceptor, else nil
	asides      asides
	asideAfter  time.Duration // how long a read waits before it is parked
	refused     refused.Log
	squatters   squatters
	onLoopback  atomic.Bool     // set by Serve
	draining    context.Context // ends when the server drains
	drain       context.CancelFunc
}

// New returns the server of store.
func New(store signaling.Store, config Config) *Server {
	if config.MaxBody == 0 {
		config.MaxBody = 64 << 10
	}
	config.MaxBody = min(config.MaxBody, MostBody)
	if config.MaxWaiting == 0 {
		config.MaxWaiting = 50_000
	}
	if config.SlowClient == 0 {
		config.SlowClient = 10 * time.Second
	}
	if config.Ready == nil {
		config.Ready = func() error { return nil }
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	s := &Server{config: config, echo: echo.New(), limiter: newLimiter(config.Rate)}
	s.wakes = newLimiter(Rate{Client: config.Rate.Client, Burst: config.Rate.Burst})
	s.connections = census{limit: config.Connections, proxies: config.TrustedProxies, from: map[netip.Addr]int{}}
	s.guests = middleware.NewRateLimiterMemoryStoreWithConfig(middleware.RateLimiterMemoryStoreConfig{
		Rate: guestRate, Burst: guestBurst, ExpiresIn: guestMemory,
	})
	s.refused.Write = s.tellRefused
	s.metrics = newMetrics(s, config.Measures)
	s.store = measured{store, s.metrics}
	s.watcher, _ = store.(signaling.Watcher)
	s.accepts, _ = store.(Acceptor)
	s.asides.all, s.asideAfter = map[uint64]*aside{}, asideAfter
	s.draining, s.drain = context.WithCancel(context.Background())
	s.echo.HTTPErrorHandler = s.fail
	s.echo.IPExtractor = addresses(config.TrustedProxies)
	s.echo.Use(
		s.receive,
		s.traced,
		s.account,
		middleware.RecoverWithConfig(middleware.RecoverConfig{LogErrorFunc: func(c echo.Context, err error, stack []byte) error {
			config.Log.Error("a handler panicked", "route", c.Path(), "request_id", idOf(c), "error", err, "stack", string(stack))
			return err
		}}),
		s.headers,
	)
	if len(config.Origins) > 0 {
		s.echo.Use(origins(config.Origins))
	}
	s.echo.Use(s.limit, s.guardPages, middleware.BodyLimit(fmt.Sprintf("%dB", config.MaxBody)))
	s.routes()
	return s
}

// reads are the methods of a read. net/http leaves the body out for HEAD.
var reads = []string{http.MethodGet, http.MethodHead}

func (s *Server) routes() {
	for _, room := range []string{"", "/rooms/:room"} { // without a name: the lobby
		e := s.echo.Group(room)
		e.POST("/offer", s.postOffer, s.keyed)
		e.PUT("/offer", s.putOffer, s.keyed)
		e.Match(reads, "/offer", s.getDescription(signaling.Caller))
		e.POST("/answer", s.postAnswer)
		e.Match(reads, "/answer", s.getDescription(signaling.Callee))
		for _, side := range []signaling.Side{signaling.Caller, signaling.Callee} {
			e.POST("/"+side.String()+"-candidate", s.postCandidates(side))
			e.POST("/"+side.String()+"-candidates", s.postCandidates(side))
			e.Match(reads, "/"+side.String()+"-candidates", s.getCandidates(side))
		}
	}
	s.echo.DELETE("/rooms/:room", s.deleteRoom)
	s.echo.Match(reads, "/ice-servers", s.getICEServers, s.keyed)
	s.echo.Match(reads, "/rooms/:room/ice-servers", s.getGuestICEServers)
	s.echo.Match(reads, "/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	s.echo.Match(reads, "/readyz", s.getReady)
	page := echo.WrapHandler(web.Handler())
	for _, path := range []string{"/", "/assets/*"} {
		s.echo.Match(reads, path, page)
	}
	s.echo.Match(reads, "/openapi.yaml", func(c echo.Context) error {
		return c.Blob(http.StatusOK, "application/yaml", openAPI)
	})
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// Drain answers every parked read with 503, and every read that would park from now on.
// /readyz answers 503 from now on.
func (s *Server) Drain() {
	s.drain()
	s.asides.end()
}

// Parked returns the number of waiting reads.
func (s *Server) Parked() int { return int(s.parked.Load()) }

// Serve answers requests on l until ctx ends. Then it drains, and gives running requests grace
// to end. It closes l. The error is nil if all requests ended within grace.
func (s *Server) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	h, back := s.over(s), newHandedBack(l.Addr())
	s.onLoopback.Store(isLoopback(l.Addr()))
	h.BaseContext = func(net.Listener) context.Context {
		return context.WithValue(context.Background(), handedBackKey{}, back)
	}
	h.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if r, ok := c.(*returned); ok {
			return context.WithValue(ctx, returnedKey{}, r)
		}
		return ctx
	}
	h.ConnState = s.changed
	defer s.refused.Close()
	served := make(chan error, 3)
	var serving sync.WaitGroup
	defer serving.Wait()
	if err := s.asides.open(); err != nil {
		s.config.Log.Debug("waiting reads keep their goroutines", "error", err)
	} else {
		serving.Go(func() { s.asides.hear(s.asides.hungUp) })
		defer func() {
			s.asides.end()
			s.asides.going.Wait()
			_ = s.asides.close()
		}()
	}
	defer func() { _ = h.Close() }() // if it is not yet
	serving.Go(func() { served <- h.Serve(counted{l, s}) })
	serving.Go(func() { served <- h.Serve(back) })
	if s.config.Metrics != nil {
		m := s.over(s.guardMetrics(isLoopback(s.config.Metrics.Addr())))
		defer func() { _ = m.Close() }()
		serving.Go(func() { served <- m.Serve(s.config.Metrics) })
	}
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.Drain()
	s.asides.going.Wait() // parked reads are requests again, and h waits for them
	graceful, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := h.Shutdown(graceful)
	if err != nil {
		err = fmt.Errorf("some requests did not end within %v: %w", grace, errors.Join(err, h.Close()))
	}
	return err
}

// over returns the HTTP server of handler.
func (s *Server) over(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: s.config.SlowClient,
		IdleTimeout:       idleClient,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.config.Log.Handler(), slog.LevelDebug),
	}
}

// onEvery has the headers of every response; the page sets a Content-Security-Policy of its own.
var onEvery = http.Header{
	"Cache-Control":           {"no-store"},
	"X-Content-Type-Options":  {"nosniff"},
	"X-Frame-Options":         {"DENY"},
	"Content-Security-Policy": {"default-src 'none'; frame-ancestors 'none'"},
	"Referrer-Policy":         {"no-referrer"},
}

// strictTransport makes browsers use https for a year (RFC 6797).
var strictTransport = []string{"max-age=31536000"}

// headers sets the headers of every response, and the deadlines for a client to send its body
// and to take the response.
func (s *Server) headers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Response()
		maps.Copy(r.Header(), onEvery)
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

// keyed refuses requests without the access key if the server has one.
func (s *Server) keyed(next echo.HandlerFunc) echo.HandlerFunc {
	if s.config.AccessKey == "" {
		return next
	}
	return func(c echo.Context) error {
		if !s.hasKey(c) {
			if c.Request().Header.Get(signaling.KeyHeader) != "" {
				s.refuse(limitKey, clientOf(c))
			}
			return signaling.ErrNoKey
		}
		return next(c)
	}
}

// hasKey reports whether a request brings the access key.
func (s *Server) hasKey(c echo.Context) bool {
	want := sha256.Sum256([]byte(s.config.AccessKey))
	got := sha256.Sum256([]byte(c.Request().Header.Get(signaling.KeyHeader)))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
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
	if limit := limitOf(err); limit != "" {
		s.refuse(limit, clientOf(c))
	}
	p, known := signaling.ProblemOf(err)
	if refusal := (*echo.HTTPError)(nil); !known && errors.As(err, &refusal) {
		p, known = httpProblem(refusal.Code)
	}
	if !known {
		s.config.Log.Error("a request failed", "route", c.Path(), "request_id", idOf(c), "error", err)
		p = signaling.Problem{Type: "about:blank", Title: "Internal error", Status: http.StatusInternalServerError, Detail: "The server failed to handle the request. Its log has the reason."}
	}
	h := c.Response().Header()
	switch p.Status {
	case http.StatusNotModified:
		err = c.NoContent(p.Status)
		if err != nil {
			s.config.Log.Debug("the client did not read its response", "error", err)
		}
		return
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		if later := (*signaling.RetryError)(nil); errors.As(err, &later) {
			h.Set("Retry-After", strconv.Itoa(int(math.Ceil(later.After.Seconds()))))
		}
		if h.Get("Retry-After") == "" {
			h.Set("Retry-After", retrySecond)
		}
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="p2pchat"`)
	}
	h.Set(echo.HeaderContentType, "application/problem+json")
	c.Response().WriteHeader(p.Status)
	if err := c.Echo().JSONSerializer.Serialize(c, occurrence{p, idOf(c)}, ""); err != nil {
		s.config.Log.Debug("the client did not read its response", "error", err)
	}
}

// An occurrence is a problem with the id by which the log has its request.
type occurrence struct {
	signaling.Problem
	RequestID string `json:"request_id"`
}

// httpProblem returns the problem of a refusal by the router or the body limit.
func httpProblem(status int) (signaling.Problem, bool) {
	switch status {
	case http.StatusNotFound:
		return signaling.Problem{Type: "urn:p2pchat:not-found", Title: "Not found", Status: status, Detail: "No such address: /openapi.yaml lists the addresses of this server."}, true
	case http.StatusMethodNotAllowed:
		return signaling.Problem{Type: "urn:p2pchat:method-not-allowed", Title: "Method not allowed", Status: status, Detail: "This address does not support this method: /openapi.yaml lists the methods."}, true
	case http.StatusRequestEntityTooLarge:
		return signaling.ProblemOf(signaling.ErrTooLarge)
	}
	return signaling.Problem{}, false
}
