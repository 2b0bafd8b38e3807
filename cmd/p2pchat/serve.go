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
		Long: `Run the signaling server, where two machines find each other.

With --relay it is also a STUN and TURN server, for machines that cannot reach each
other; other machines may use it only with an access key, which hosts need and their
guests do not, or with --relay-open.`,
		Example: `  p2pchat serve                       on this machine only
  p2pchat serve --listen :3000        for everybody who can reach it
  p2pchat serve --listen :3000 --relay --access-key-file key
  p2pchat serve --listen :443 --tls-auto chat.example.org`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return serve(c.Context(), o, std) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.listen, "listen", defaultListen, "address to listen on; port 0 takes a free one")
	f.StringVar(&o.publicURL, "public-url", "", "how others reach this server, if it is not by its address: https://chat.example.org")
	o.tls.register(f)
	o.store.register(f)
	f.IntVar(&o.limits.Rooms, "max-rooms", 10_000, "rooms at once")
	f.DurationVar(&o.limits.Idle, "room-ttl", 10*time.Minute, "how long a room lives that nobody uses")
	f.IntVar(&o.limits.Candidates, "max-candidates", 100, "candidates a side")
	f.Int64Var(&o.server.MaxBody, "max-body", 64<<10, "bytes of a request's body")
	f.IntVar(&o.server.MaxWaiting, "max-waiting", 50_000, "requests that wait at once")
	f.IntVar(&o.limits.Client, "max-client-rooms", 200, "rooms that one client holds at once; 0 is no limit")
	f.IntVar(&o.server.ClientWaiting, "max-client-waiting", 200, "requests of one client that wait in rooms that nobody has opened; 0 is no limit")
	o.visitors.register(f)
	f.StringArrayVar(&o.iceServers, "ice-server", nil, "STUN or TURN server to hand out: stun:host:port, turn:user:password@host:port (repeatable)")
	o.relay.register(f)
	f.StringVar(&o.keyFile, "access-key-file", "", "file with the key that opening a room takes (or P2PCHAT_ACCESS_KEY)")
	f.StringVar(&o.metrics, "metrics-listen", "", "address for Prometheus, which answers at /metrics; not one that strangers reach")
	f.DurationVar(&o.grace, "shutdown-grace", 10*time.Second, "how long running requests may take when the server stops")
	o.log.register(f)
	return c
}

func serve(ctx context.Context, o serveOptions, std stdio) error {
	log, err := o.log.logger(std.err)
	if err != nil {
		return err
	}
	if o.server.ICEServers, err = iceServers(o.iceServers); err != nil {
		return err
	}
	if o.server.AccessKey, err = accessKey(o.keyFile); err != nil {
		return err
	}
	if err := o.visitors.configure(&o.server); err != nil {
		return err
	}
	if o.server.Rate.Client == 0 { // one client, such as a load test, may do all that the server can
		o.limits.Client, o.server.ClientWaiting = 0, 0
	}
	if o.limits.Client < 0 || o.server.ClientWaiting < 0 || o.limits.Rooms < 1 || o.limits.Candidates < 1 || o.limits.Idle <= 0 || o.server.MaxBody < 1 || o.server.MaxWaiting < 1 || o.grace < 0 {
		return &usageError{err: errors.New("a limit must be more than 0")}
	}
	if _, err := net.ResolveTCPAddr("tcp", o.listen); err != nil {
		return cannotRead("--listen", o.listen, "127.0.0.1:3000, or :3000 for every address of this machine")
	}
	ctx, stop := context.WithCancel(ctx) // what runs beside the server ends with it
	defer stop()
	certificate, err := o.tls.open(ctx, log)
	if err != nil {
		return err
	}
	if u, err := url.Parse(o.publicURL); err != nil || o.publicURL != "" && (u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https") {
		return cannotRead("--public-url", o.publicURL, "https://chat.example.org")
	}
	o.limits.ListBytes = 2 * int(o.server.MaxBody) // one request must not fill a list
	rooms, err := o.store.open(ctx, o.limits, log)
	if err != nil {
		return err
	}
	defer rooms.stop()
	o.server.PublicURL, o.server.Load = o.publicURL, rooms.load
	o.server.Ready, o.server.Log, o.server.Measures = rooms.ready, log, rooms.measures
	if o.server.Tracer, err = tracing.New(release(), os.Getenv, log); err != nil {
		log.Warn("no traces: what OpenTelemetry's variables ask for cannot be done", "error", err) // but rooms can
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
		defer func() { _ = o.server.Metrics.Close() }() // if nobody has served on it
		fmt.Fprintf(std.err, "p2pchat: metrics at http://%s/metrics\n", o.server.Metrics.Addr())
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("the server cannot start: %w", err)
	}
	scheme := "http"
	if certificate != nil {
		scheme = "https"
		l = tls.NewListener(l, certificate.config("h2", "http/1.1"))
	}
	carrier, err := o.relay.start(l.Addr(), o.server.AccessKey, o.host(certificate), certificate, log)
	if err != nil {
		_ = l.Close() // nobody has used it
		return err
	}
	if certificate != nil && certificate.keep != nil {
		fmt.Fprintf(std.err, "p2pchat: certificates for %s come from %s, whose terms are accepted with --tls-auto\n", certificate.name(), o.tls.auto.server)
		var keeping sync.WaitGroup
		keeping.Go(certificate.keep)
		defer func() {
			stop()
			keeping.Wait()
		}()
	}
	if carrier == nil {
		fmt.Fprintf(std.err, "p2pchat: listening on %s://%s\n", scheme, l.Addr())
		return server.New(rooms, o.server).Serve(ctx, l, o.grace)
	}
	// Each ends with the other.
	o.server.Relay, o.server.Measures = carrier.Credentials, append(o.server.Measures, carrier.measures()...)
	signals := server.New(rooms, o.server)
	carrier.on.Accepted = signals.Accepted
	relayed := make(chan error, 1)
	go func() {
		defer stop()
		relayed <- carrier.run(ctx, func() {
			fmt.Fprintf(std.err, "p2pchat: listening on %s://%s\n", scheme, l.Addr())
			fmt.Fprintf(std.err, "p2pchat: relaying at %s\n", carrier)
		})
	}()
	err = signals.Serve(ctx, l, o.grace)
	stop()
	return errors.Join(err, <-relayed)
}

// host is the name by which others reach this server, as far as it is known.
func (o serveOptions) host(c *certificate) string {
	if u, err := url.Parse(o.publicURL); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	if c != nil {
		return c.name()
	}
	return ""
}

// accessKey is the server's access key, from the file or the environment; never from a
// flag, which others on the machine could see. It is empty if there is none.
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

// serveWithin is the server that another command runs while it needs one.
func serveWithin(ctx context.Context, l net.Listener, log *slog.Logger) error {
	return server.New(memstore.New(memstore.Limits{}), server.Config{Log: log}).Serve(ctx, l, time.Second)
}
