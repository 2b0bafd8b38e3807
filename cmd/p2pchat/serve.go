package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
	"p2pchat/signaling/tracing"
)

const (
	defaultListen = "127.0.0.1:3000"
	lastTraces    = 5 * time.Second // for the last spans, when the server stops
)

type serveOptions struct {
	listen     string
	store      storeOptions
	limits     memstore.Limits
	server     server.Config
	visitors   visitorOptions
	metrics    string
	publicURL  string
	tls        tlsOptions
	iceServers []string
	relay      relayOptions
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
--relay.`,
		Example: `  p2pchat serve                       on this machine only
  p2pchat serve --listen :3000        for every machine that can reach this one
  p2pchat serve --listen :3000 --relay --access-key-file key
  p2pchat serve --listen :443 --tls-auto chat.example.org`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.relay.check(c.Flags()); err != nil {
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
	f.IntVar(&o.limits.Client, "max-client-rooms", 200, "maximum of open rooms of one client; 0 means no limit")
	f.IntVar(&o.server.ClientWaiting, "max-client-waiting", 200, "maximum of requests of one client that wait in rooms without a caller; 0 means no limit")
	o.visitors.register(f)
	f.StringArrayVar(&o.iceServers, "ice-server", nil, "`URL` of a STUN or TURN server that callers are told to use: stun:host:port, turn:user:password@host:port (repeatable)")
	o.relay.register(f)
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
	if err := o.check(); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx) // so that goroutines beside the server end with it
	defer stop()
	certificate, err := o.tls.open(ctx, log)
	if err != nil {
		return err
	}
	rooms, err := o.store.open(ctx, o.limits, log)
	if err != nil {
		return err
	}
	defer rooms.stop()
	o.server.PublicURL, o.server.Load = o.publicURL, rooms.load
	o.server.Ready, o.server.Log, o.server.Measures = rooms.ready, log, rooms.measures
	if o.server.Tracer, err = tracing.New(release(), os.Getenv, log); err != nil {
		log.Warn("tracing is off: the OTEL_ variables ask for something unsupported", "error", err) // the server works without
	}
	flush := o.server.Tracer.Start()
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTraces)
		defer cancel()
		flush(last)
	}()
	if o.metrics != "" {
		if o.server.Metrics, err = net.Listen("tcp", o.metrics); err != nil {
			return fmt.Errorf("--metrics-listen: %w", err)
		}
		defer func() { _ = o.server.Metrics.Close() }() // it may not have been served
		fmt.Fprintf(std.err, "p2pchat: metrics at http://%s/metrics\n", o.server.Metrics.Addr())
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("the server cannot start: %w", err)
	}
	if certificate != nil {
		l = tls.NewListener(l, certificate.config("h2", "http/1.1"))
	}
	o.relay.logAddresses = o.server.LogAddresses
	carrier, err := o.relay.start(l.Addr(), o.server.AccessKey, o.host(certificate), certificate, log, std.err)
	if err != nil {
		_ = l.Close() // it has no clients yet
		return err
	}
	if certificate != nil && certificate.keep != nil {
		fmt.Fprintf(std.err, "p2pchat: certificates for %s come from %s; --tls-auto accepts its terms\n", certificate.name(), o.tls.auto.server)
		var keeping sync.WaitGroup
		keeping.Go(certificate.keep)
		defer func() {
			stop()
			keeping.Wait()
		}()
	}
	if carrier == nil {
		o.announce(std.err, l.Addr(), certificate)
		return server.New(rooms, o.server).Serve(ctx, l, o.grace)
	}
	return o.serveWithRelay(ctx, l, rooms, carrier, func() {
		o.announce(std.err, l.Addr(), certificate)
		fmt.Fprintf(std.err, "p2pchat: relaying at %s\n", carrier)
	})
}

// serveWithRelay runs the signaling server and the relay. Each ends with the other.
func (o serveOptions) serveWithRelay(ctx context.Context, l net.Listener, rooms *store, c *carrier, ready func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	o.server.Relay, o.server.Measures = c.Credentials, append(o.server.Measures, c.measures()...)
	signals := server.New(rooms, o.server)
	c.on.Accepted = signals.Accepted
	relayed := make(chan error, 1)
	go func() {
		defer stop()
		relayed <- c.run(ctx, ready)
	}()
	err := signals.Serve(ctx, l, o.grace)
	stop()
	return errors.Join(err, <-relayed)
}

// check reads the flags that need no connection and no listener.
func (o *serveOptions) check() (err error) {
	if o.server.ICEServers, err = iceServers(o.iceServers); err != nil {
		return err
	}
	if o.server.AccessKey, err = accessKey(o.keyFile); err != nil {
		return err
	}
	if err := o.visitors.configure(&o.server); err != nil {
		return err
	}
	if o.server.Rate.Client == 0 { // one client, such as a load test, may use all of the server
		o.limits.Client, o.server.ClientWaiting = 0, 0
	}
	if err := o.checkLimits(); err != nil {
		return err
	}
	if o.server.MaxBody > server.MostBody {
		return cannotRead("--max-body", strconv.FormatInt(o.server.MaxBody, 10), fmt.Sprintf("65536, and %d at most: clients read no more", server.MostBody))
	}
	o.limits.ListBytes = 2 * int(o.server.MaxBody) // one request must not fill a list
	for flag, address := range map[string]string{"--listen": o.listen, "--metrics-listen": o.metrics} {
		if _, err := net.ResolveTCPAddr("tcp", address); address != "" && err != nil {
			return badAddress(flag, address)
		}
	}
	if u, err := url.Parse(o.publicURL); err != nil || o.publicURL != "" && (u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https") {
		return cannotRead("--public-url", o.publicURL, "https://chat.example.org")
	}
	return nil
}

// checkLimits returns a usageError for a limit that is too small.
func (o *serveOptions) checkLimits() error {
	for _, l := range []struct {
		flag         string
		value, least int64
	}{
		{"max-rooms", int64(o.limits.Rooms), 1}, {"room-ttl", int64(o.limits.Idle), 1}, {"max-candidates", int64(o.limits.Candidates), 1},
		{"max-body", o.server.MaxBody, 1}, {"max-waiting", int64(o.server.MaxWaiting), 1}, {"shutdown-grace", int64(o.grace), 0},
		{"max-client-rooms", int64(o.limits.Client), 0}, {"max-client-waiting", int64(o.server.ClientWaiting), 0},
	} {
		if l.value < l.least {
			return &usageError{err: fmt.Errorf("--%s must be %s", l.flag, map[int64]string{0: "0 or more", 1: "greater than 0"}[l.least])}
		}
	}
	return nil
}

// host returns the name by which others reach this server, or "".
func (o serveOptions) host(c *certificate) string {
	if u, err := url.Parse(o.publicURL); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	if c != nil {
		return c.name()
	}
	return ""
}

// accessKey reads the server's access key from the file or the environment. A flag's value would be
// visible to other users of the machine. It returns "" if there is no key.
func accessKey(file string) (string, error) {
	if file == "" {
		return os.Getenv("P2PCHAT_ACCESS_KEY"), nil
	}
	b, err := os.ReadFile(file) //nolint:gosec // the person named it
	if err != nil {
		return "", &usageError{err: fmt.Errorf("--access-key-file: %w", err)}
	}
	key := strings.TrimSpace(string(b))
	switch {
	case key == "":
		return "", &usageError{err: fmt.Errorf("--access-key-file: %s is empty", file)}
	case strings.ContainsFunc(key, unicode.IsControl):
		return "", &usageError{err: fmt.Errorf("--access-key-file: %s has more than one line", file)}
	}
	return key, nil
}

// serveWithin runs the server of another command, call or demo, until ctx ends.
func serveWithin(ctx context.Context, l net.Listener, log *slog.Logger) error {
	return server.New(memstore.New(memstore.Limits{}), server.Config{Log: log}).Serve(ctx, l, time.Second)
}
