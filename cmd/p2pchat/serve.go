package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
)

const defaultListen = "127.0.0.1:3000"

// serveOptions are the flags of serve. validate completes server and limits.
type serveOptions struct {
	listen     string
	store      storeOptions
	limits     memstore.Limits
	server     server.Config
	clients    clientOptions
	metrics    string
	publicURL  string
	tls        tlsOptions
	iceServers []string
	relay      relayOptions
	mail       mailOptions
	keyFile    string
	grace      time.Duration
	log        logOptions
}

func serveCommand(std stdio) *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the signaling server, where two machines find each other",
		Long: `Run the signaling server, where two machines find each other, and the page with which
people call from a browser.

With --relay it is also a STUN and TURN server, for machines that cannot reach each
other. Other machines may use the relay only with an access key (callers need it, and
their guests only the code) or with --relay-open. The flags that begin with --relay- need
--relay.

With --mail it keeps sealed blocks, which it cannot open, for programs that leave messages
to a person who is away. The flags that begin with --mail- need --mail.`,
		Example: `  p2pchat serve                       on this machine only
  p2pchat serve --listen :3000        for every machine that can reach this one
  p2pchat serve --listen :3000 --relay --access-key-file key
  p2pchat serve --listen :443 --tls-auto chat.example.org`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkUnused(c.Flags(), map[string]bool{"relay": o.relay.on, "mail": o.mail.on, "store": o.store.where != storeInMemory}); err != nil {
				return err
			}
			return serve(c.Context(), o, std)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.listen, "listen", defaultListen, "`ADDRESS` to listen on; port 0 takes a free port")
	f.StringVar(&o.publicURL, "public-url", "", "`URL` at which others reach this server, if it differs from its address: https://chat.example.org")
	o.tls.register(f)
	o.store.register(f)
	f.IntVar(&o.limits.Rooms, "max-rooms", 10_000, "maximum of open rooms")
	f.DurationVar(&o.limits.Idle, "room-ttl", 10*time.Minute, "time after which an unused room closes")
	f.IntVar(&o.limits.Candidates, "max-candidates", 100, "maximum of ICE candidates of one side of a room")
	f.Int64Var(&o.server.MaxBody, "max-body", 64<<10, "maximum of bytes in a request body")
	f.IntVar(&o.server.MaxWaiting, "max-waiting", 50_000, "maximum of waiting requests")
	f.IntVar(&o.limits.Client, "max-client-rooms", 200, "maximum of open rooms of one client, fewer as others use up --max-rooms; 0 means no limit")
	f.IntVar(&o.server.ClientWaiting, "max-client-waiting", 200, "maximum of requests of one client that wait in rooms without a caller; 0 also lifts the limit on all its waiting requests, a share of --max-waiting")
	o.clients.register(f)
	f.StringArrayVar(&o.iceServers, "ice-server", nil, "`URL` of a STUN or TURN server that callers are told to use: stun:host:port, turn:user:password@host:port (repeatable)")
	o.relay.register(f)
	o.mail.register(f)
	f.StringVar(&o.keyFile, "access-key-file", "", "`FILE` with a key that callers need to open a room (or P2PCHAT_ACCESS_KEY)")
	f.StringVar(&o.metrics, "metrics-listen", "", "`ADDRESS` that serves /metrics to Prometheus; keep it private")
	f.DurationVar(&o.grace, "shutdown-grace", 10*time.Second, "time for running requests to end when the server stops")
	o.log.register(f)
	return c
}

func serve(ctx context.Context, o serveOptions, std stdio) error {
	log, err := o.log.logger(std.err)
	if err != nil {
		return err
	}
	if err := o.validate(); err != nil {
		return err
	}
	o.warnOfKey(log)
	o.warnOfKeyFiles(log)
	s, err := o.build(ctx, log, std.err)
	defer s.close()
	if err != nil {
		return err
	}
	return s.run(ctx)
}

// checkUnused returns a usageError for a flag, or its variable, that has no effect because the flag that its name
// begins with is off. The settings may have it for other runs.
func checkUnused(f *pflag.FlagSet, on map[string]bool) (err error) {
	f.VisitAll(func(flag *pflag.Flag) {
		part, _, isPart := strings.Cut(flag.Name, "-")
		if isOn, known := on[part]; err == nil && isPart && known && !isOn && flag.Changed && flag.Annotations[fromFile] == nil {
			if part == "store" { // which has a value, and memory needs none of these
				part += " nats://HOST"
			}
			err = &usageError{err: fmt.Errorf("--%s has no effect without --%s", flag.Name, part), hint: fmt.Sprintf("add --%s, or leave --%s out", part, flag.Name)}
		}
	})
	return err
}

// validate checks the flags that need no connection and no listener, and reads their values into server,
// limits and relay.
func (o *serveOptions) validate() (err error) {
	if o.server.ICEServers, err = iceServers(o.iceServers); err != nil {
		return err
	}
	if o.server.AccessKey, err = accessKey(o.keyFile); err != nil {
		return err
	}
	for _, part := range []func() error{
		func() error { return o.clients.configure(&o.server) }, o.validateLimits, o.validateAddresses, o.tls.validate, o.relay.validate, o.mail.validate,
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// validateLimits returns a usageError for a limit that is too small or too large.
func (o *serveOptions) validateLimits() error {
	if o.server.Rate.Client == 0 { // one client, such as a load test, may use all of the server
		o.limits.Client, o.server.ClientWaiting = 0, 0
	}
	for _, l := range []struct {
		flag  string
		value int64
	}{
		{"max-rooms", int64(o.limits.Rooms)}, {"room-ttl", int64(o.limits.Idle)}, {"max-candidates", int64(o.limits.Candidates)},
		{"max-body", o.server.MaxBody}, {"max-waiting", int64(o.server.MaxWaiting)}, {"shutdown-grace", int64(o.grace)},
		{"max-client-rooms", int64(o.limits.Client)}, {"max-client-waiting", int64(o.server.ClientWaiting)},
	} {
		if err := checkLimit(l.flag, l.value); err != nil {
			return err
		}
	}
	o.limits.ListBytes = 2 * int(o.server.MaxBody) // one request must not fill a list
	return nil
}

// validateAddresses returns a usageError for an address or a URL that cannot be one.
func (o *serveOptions) validateAddresses() error {
	return cmp.Or(checkAddress("--listen", o.listen), checkAddress("--metrics-listen", o.metrics), checkPublicURL(o.publicURL))
}

// checkAddress checks the value of a flag for an address to listen on. It may be empty.
func checkAddress(flag, value string) error {
	if _, err := net.ResolveTCPAddr("tcp", value); value != "" && err != nil {
		return badAddress(flag, value)
	}
	return nil
}

// checkPublicURL checks the value of --public-url. It may be empty.
func checkPublicURL(text string) error {
	if u, err := url.Parse(text); err != nil || text != "" && (u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https") {
		return cannotRead("--public-url", text, "https://chat.example.org")
	}
	return nil
}

// What the server in a caller's program bears. Neighbours reach it for as long as the call lasts, and it shares the machine with the
// call. A client is one IPv4 address, or one IPv6 network: two contacts who both call open two rooms each, wait in six, and ask some 30 times
// until they meet.
var (
	boundsWithin  = memstore.Limits{Rooms: 64, Client: 32, ListBytes: 64 << 10, Idle: 2 * time.Minute}
	clientsWithin = server.Config{
		MaxBody: 32 << 10, MaxWaiting: 512, ClientWaiting: 64,
		Rate: server.Rate{Client: 10, Burst: 200}, Connections: server.Connections{Client: 64, All: 256},
	}
)

// serveWithin runs a server in the program of another command, call or demo, until ctx ends. onLAN says that l is also for the
// local network, where the server has no name.
func serveWithin(ctx context.Context, l net.Listener, onLAN bool, log *slog.Logger) error {
	config := clientsWithin
	config.Log, config.Nameless = log, onLAN
	return server.New(memstore.New(boundsWithin), config).Serve(ctx, l, time.Second)
}
