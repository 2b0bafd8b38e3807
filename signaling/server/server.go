// Package server serves a signaling.Store over HTTP, as openapi.yaml beside it says.
//
//	request
//	  ─▶ middleware.go    an id, a trace, the log and the metrics (instrument.go), headers
//	  ─▶ the policies     cors.go, ratelimit.go, accesskey.go
//	  ─▶ the endpoints    rooms.go, listen.go, mail.go, iceservers.go, health.go, page.go ─▶ Store
//	  ─▶ problems.go      errors ─▶ signaling.ProblemOf ─▶ problem+json
//
// Reads that wait are in wait.go; package longpoll parks them. Serve also limits connections
// (connlimit.go). This package is the only one that imports echo.
package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/cors"

	"p2pchat/signaling"
	"p2pchat/signaling/internal/refused"
	"p2pchat/signaling/server/longpoll"
	"p2pchat/signaling/tracing"
)

// MostBody is the most bytes of a description that clients read.
const MostBody = 256 << 10

// Config tunes a Server.
type Config struct {
	MaxBody       int64         // bytes of a request's body; 64 KiB if zero, MostBody at most
	MaxWaiting    int           // reads that wait at once; 50,000 if zero
	ClientWaiting int           // reads of one client that wait in rooms without an offer; zero lifts this limit, and that on all waiting reads of one client (a share of MaxWaiting)
	SlowClient    time.Duration // how long a client may take to send a head, to send a body, or to take a response; 10 s if zero

	Rate        Rate        // limit of requests
	Connections Connections // limit of Serve's open connections
	AccessKey   string      // what opening a room, putting mail and asking for ICEServers takes; nothing if empty
	Mail        MailConfig

	// TrustedProxies are believed when they name, in X-Forwarded-For, the client that they ask for.
	TrustedProxies []netip.Prefix
	// PublicURL is how clients reach the server if that is not its own address, as behind a proxy.
	// Its pages may write.
	PublicURL string
	// Nameless says that clients reach the server by its addresses alone: it refuses requests for names, which DNS rebinding has.
	Nameless bool
	Origins  []string // of pages of other sites that may use this server: https://chat.example.org, or *

	ICEServers []signaling.ICEServer // what /ice-servers hands out
	// Relay makes credentials for this server's own relay, to hand out with ICEServers; nil without
	// a relay. The same user counts as one. If guest is not nil, the credentials must be good only
	// once Accepted returns true for it; a guest without a token gets none.
	Relay func(user string, guest *signaling.Ticket) []signaling.ICEServer
	// Load counts the rooms that are open or waited in: the more, the longer the numbers of new
	// rooms. Callers choose the length if it is nil.
	Load func() int
	// Ready returns why the Store cannot answer, for /readyz, or nil. A nil Ready means that it can.
	Ready func() error

	Log          *slog.Logger    // slog.Default() if nil
	LogAddresses bool            // log clients' addresses whole; else their networks, of 24 bits (IPv6: 48)
	Metrics      net.Listener    // where Serve serves metrics, for Prometheus; nowhere if nil
	Measures     []Measure       // of the store and the relay
	Tracer       *tracing.Tracer // of each request, and of what the store did for it; may be nil
}

// A Server answers requests out of a Store. It is an http.Handler.
type Server struct {
	config   Config
	echo     *echo.Echo
	store    signaling.Store
	watcher  signaling.Watcher     // the store if it is a Watcher, else nil
	acceptor Acceptor              // the store if it is an Acceptor, else nil
	mail     signaling.MailWatcher // nil: see MailConfig

	cors        *cors.Cors // nil without Config.Origins
	rates       rateLimits
	connections connLimiter
	unopened    clientCounter // reads that wait in rooms without an offer
	waiters     clientCounter // reads that wait, as waiting counts them
	waiting     atomic.Int64  // reads

	parker    *longpoll.Parker
	parkAfter time.Duration // how long a read waits before it is parked

	metrics *metrics
	refused refused.Log

	onLoopback atomic.Bool     // set by Serve
	draining   context.Context // ends when the server drains
	drain      context.CancelFunc
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
	s := &Server{
		config: config, echo: echo.New(), store: store,
		rates: newRateLimits(config.Rate), parker: longpoll.New(), parkAfter: parkAfter,
	}
	s.connections = connLimiter{limit: config.Connections, exempt: s.isProxy}
	s.refused.Write = s.logRefusals
	s.metrics = newMetrics(s, config.Measures)
	s.store = instrumentedStore{store, s.metrics}
	s.rates.put = config.Mail.limiter()
	if s.rates.mail = config.Mail.limiter(); config.Mail.Boxes != nil {
		s.mail = instrumentedMail{config.Mail.Boxes, instrumentedStore{metrics: s.metrics}}
	}
	s.watcher, _ = store.(signaling.Watcher)
	s.acceptor, _ = store.(Acceptor)
	s.draining, s.drain = context.WithCancel(context.Background())
	s.echo.IPExtractor = addresses(config.TrustedProxies)
	s.echo.Use(s.handle)
	s.cors = originRules(config.Origins)
	s.routes()
	return s
}

// reads are the methods of a read. net/http leaves the body out for HEAD.
var reads = []string{http.MethodGet, http.MethodHead}

func (s *Server) routes() {
	for _, room := range []string{"", "/rooms/:room"} { // without a name: the lobby
		e := s.echo.Group(room)
		e.POST("/offer", s.postOffer, s.requireKey)
		e.PUT("/offer", s.putOffer, s.requireKey)
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
	s.echo.POST("/listen", s.postListen)
	s.echo.POST("/mail/:box", s.postBlock, s.requireKey)
	s.echo.Match(reads, "/mail/:box", s.getBlocks)
	s.echo.DELETE("/mail/:box", s.deleteBlocks)
	s.echo.Match(reads, "/ice-servers", s.getICEServers, s.requireKey)
	s.echo.Match(reads, "/rooms/:room/ice-servers", s.getGuestICEServers)
	s.echo.Match(reads, "/healthz", s.getHealth)
	s.echo.Match(reads, "/readyz", s.getReady)
	s.echo.Match(reads, "/openapi.yaml", s.getOpenAPI)
	for _, path := range []string{"/", "/assets/*"} {
		s.echo.Match(reads, path, page())
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }
