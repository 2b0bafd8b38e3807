package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"p2pchat/cmd/p2pchat/internal/certs"
	"p2pchat/signaling/server"
	"p2pchat/signaling/tracing"
)

// flushTime bounds how long a server that stops waits for its last spans to be sent.
const flushTime = 5 * time.Second

// A service is what serve runs. build opens its parts, run serves, and close releases the parts.
type service struct {
	options     *serveOptions
	config      server.Config
	notes       io.Writer
	listener    net.Listener
	rooms       *store
	certificate *certs.Certificate // nil without TLS
	relay       *relayService      // nil without --relay
	parts       []func()           // of close
}

// build opens what the flags ask for. The service that it returns with an error has the parts opened so far.
func (o *serveOptions) build(ctx context.Context, log *slog.Logger, notes io.Writer) (s *service, err error) {
	s = &service{options: o, config: o.server, notes: notes}
	if s.certificate, err = o.tls.open(log); err != nil {
		return s, err
	}
	if s.rooms, err = o.store.open(ctx, o.limits, log, notes); err != nil {
		return s, err
	}
	s.parts = append(s.parts, s.rooms.stop)
	s.config.PublicURL, s.config.Load = o.publicURL, s.rooms.load
	s.config.Ready, s.config.Log, s.config.Measures = s.rooms.ready, log, s.rooms.measures
	var mailMeasures []server.Measure
	if s.config.Mail, mailMeasures, err = o.mail.build(ctx, s.rooms); err != nil {
		return s, err
	}
	s.config.Measures = append(s.config.Measures, mailMeasures...)
	s.trace(ctx, log)
	if err := s.listen(); err != nil {
		return s, err
	}
	if o.relay.on {
		if s.relay, err = o.relay.build(s, log); err != nil {
			return s, err
		}
		s.config.Relay, s.config.Measures = s.relay.Credentials, append(s.config.Measures, s.relay.measures()...)
	}
	return s, nil
}

// trace starts the tracer that the OTEL_ variables ask for. The server works without one.
func (s *service) trace(ctx context.Context, log *slog.Logger) {
	var err error
	if s.config.Tracer, err = tracing.New(release(), os.Getenv, log); err != nil {
		log.Warn("tracing is off: the OTEL_ variables ask for something unsupported", "error", err)
	}
	flush := s.config.Tracer.Start()
	s.parts = append(s.parts, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
		defer cancel()
		flush(last)
	})
}

// listen opens the listeners of the metrics and of the server.
func (s *service) listen() (err error) {
	if s.options.metrics != "" {
		if s.config.Metrics, err = net.Listen("tcp", s.options.metrics); err != nil {
			return fmt.Errorf("--metrics-listen: %w", err)
		}
		s.parts = append(s.parts, func() { _ = s.config.Metrics.Close() }) // the server may have closed it
		fmt.Fprintf(s.notes, "p2pchat: metrics at http://%s/metrics\n", s.config.Metrics.Addr())
	}
	if s.listener, err = net.Listen("tcp", s.options.listen); err != nil {
		err = fmt.Errorf("the server cannot start: %w", err)
		if m := s.config.Metrics; m != nil && errors.Is(err, syscall.EADDRINUSE) && samePort(s.options.listen, m.Addr()) {
			err = hintedError{err, "the metrics are there already: give them a port of their own, as in --metrics-listen " + examples["metrics-listen"]}
		}
		return err
	}
	s.parts = append(s.parts, func() { _ = s.listener.Close() }) // the server may have closed it
	if s.certificate != nil {
		s.listener = tls.NewListener(s.listener, s.certificate.Config("h2", "http/1.1"))
	}
	return nil
}

// samePort reports whether an address to listen on has the port of a listener.
func samePort(address string, of net.Addr) bool {
	a, err := net.ResolveTCPAddr("tcp", address)
	b, ok := of.(*net.TCPAddr)
	return err == nil && ok && a.Port == b.Port
}

// host returns the name by which others reach this server, or "".
func (s *service) host() string {
	if u, err := url.Parse(s.options.publicURL); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	if s.certificate != nil {
		return s.certificate.Name()
	}
	return ""
}

// run serves until ctx ends. The signaling server and the relay end with each other.
func (s *service) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var others sync.WaitGroup
	if s.certificate != nil {
		others.Go(func() { s.certificate.Renew(ctx) })
	}
	rooms := server.New(s.rooms, s.config)
	var relayErr error
	if s.relay != nil {
		s.relay.on.Accepted, s.relay.on.Ready = rooms.Accepted, s.announce
		others.Go(func() {
			defer stop()
			relayErr = s.relay.Serve(ctx, s.relay.on)
		})
	} else {
		s.announce()
	}
	err := rooms.Serve(ctx, s.listener, s.options.grace)
	stop()
	others.Wait()
	return errors.Join(err, relayErr)
}

// close releases the parts, the last one first.
func (s *service) close() {
	for _, release := range slices.Backward(s.parts) {
		release()
	}
}
