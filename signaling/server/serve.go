package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	idleClient = 2 * time.Minute // how long a connection may stay without a request
	maxHeader  = 16 << 10        // bytes of a request's head
)

// Serve answers requests on l until ctx ends. Then it drains, and gives running requests grace
// to end. It closes l. It returns nil if all requests ended within grace. It may be called once.
func (s *Server) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	s.onLoopback.Store(isLoopback(l.Addr()))
	h := s.httpServer(s)
	h.ConnState = s.connState
	served := make(chan error, 3)
	var serving sync.WaitGroup
	defer s.refused.Close()
	defer serving.Wait()
	defer s.parker.Close()
	defer func() { _ = h.Close() }() // unless Shutdown has
	if parked, err := s.parker.Attach(h, l.Addr()); err != nil {
		s.config.Log.Debug("waiting reads keep their goroutines", "error", err)
	} else {
		serving.Go(func() { served <- h.Serve(parked) })
	}
	serving.Go(func() { served <- h.Serve(limitedListener{l, s}) })
	if s.config.Metrics != nil {
		m := s.httpServer(s.guardMetrics(isLoopback(s.config.Metrics.Addr())))
		defer func() { _ = m.Close() }()
		serving.Go(func() { served <- m.Serve(s.config.Metrics) })
	}
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.Drain()
	s.parker.Close() // parked reads are requests again, for which Shutdown waits
	graceful, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := h.Shutdown(graceful)
	if err != nil {
		err = fmt.Errorf("some requests did not end within %v: %w", grace, errors.Join(err, h.Close()))
	}
	return err
}

// httpServer returns an http.Server of handler.
func (s *Server) httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: s.config.SlowClient,
		IdleTimeout:       idleClient,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.config.Log.Handler(), slog.LevelDebug),
	}
}
