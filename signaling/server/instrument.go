package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/tracing"
)

// record counts and logs a request that its handler has answered, or could not because of err.
func (s *Server) record(own *requestContext, err error) {
	info := &own.info
	if info.parked {
		return
	}
	if info.waits {
		s.endWait(info)
	}
	if err != nil {
		s.fail(err, own)
	}
	info.status, info.in, info.out = own.Response().Status, own.Request().ContentLength, own.Response().Size
	s.recordEnd(info)
}

// recordEnd counts and logs a request that has ended.
func (s *Server) recordEnd(info *requestInfo) {
	took := time.Since(info.began)
	s.metrics.request(info, took)
	level := slog.LevelInfo
	if info.status >= 500 && info.status != http.StatusServiceUnavailable {
		level = slog.LevelError
	}
	if log := s.config.Log; log.Enabled(context.Background(), level) {
		log.LogAttrs(context.Background(), level, "request",
			slog.String("method", info.method), slog.String("route", info.route), slog.Int("status", info.status),
			slog.Duration("latency", took), slog.Int64("bytes", info.out), slog.String("client", s.loggedAddress(info.client)), slog.String("request_id", info.id))
	}
}

// trace begins the span of a request. It returns nil if there is no Tracer, or if the request is not recorded.
func (s *Server) trace(own *requestContext) *tracing.Span {
	if s.config.Tracer == nil {
		return nil
	}
	r, span := s.config.Tracer.Request(own.Request(), s.fromProxy(own.Request()))
	own.SetRequest(r)
	return span
}

// endTrace ends the span of a request. Its attributes are the values of the metrics' labels, none of which a
// client has chosen.
func endTrace(span *tracing.Span, info *requestInfo) {
	if span == nil {
		return
	}
	method, route, found := strings.Cut(info.name(), " ")
	if !found {
		method = "_OTHER" // as OpenTelemetry's conventions have it
	}
	attributes := []slog.Attr{slog.String("http.request.method", method), slog.String("http.route", route), slog.Bool("p2pchat.waits", info.waits)}
	if info.parked { // once it is resumed it has another span
		attributes = append(attributes, slog.Bool("p2pchat.set_aside", true))
	} else {
		attributes = append(attributes, slog.Int("http.response.status_code", info.status))
	}
	span.End(info.name(), info.status >= http.StatusInternalServerError, attributes...)
}

// An instrumentedStore counts and traces the operations of another Store.
type instrumentedStore struct {
	below   signaling.Store
	metrics *metrics
}

// storeOperations are the values of the label operation.
var storeOperations = []string{"offer", "reoffer", "answer", "read_description", "read_offers", "add_candidates", "read_candidates", "close"}

// An operation is one call of a method of the Store.
type operation struct {
	name    string
	started time.Time
	span    *tracing.Span
}

func begin(ctx context.Context, name string) operation {
	return operation{name, time.Now(), tracing.Operation(ctx)}
}

// end counts an operation and, if it succeeded, the event of the call.
func (s instrumentedStore) end(o operation, event string, wait time.Duration, err error) {
	if wait <= 0 {
		s.metrics.store[o.name].Update(time.Since(o.started).Seconds())
	}
	var problem signaling.Problem
	failed := false
	if err != nil {
		var known bool
		problem, known = signaling.ProblemOf(err)
		failed = errors.Is(err, signaling.ErrUnavailable) || !known && !errors.Is(err, context.Canceled)
	}
	switch {
	case failed:
		s.metrics.failures[o.name].Inc()
	case err == nil && event != "":
		s.metrics.calls[event].Inc()
	}
	if o.span != nil {
		o.span.End("store."+o.name, failed, slog.String("p2pchat.problem", problem.Type))
	}
}

func (s instrumentedStore) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	o := begin(ctx, "offer")
	v, err := s.below.Offer(ctx, t, d)
	s.end(o, callOpened, 0, err)
	return v, err
}

func (s instrumentedStore) Reoffer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	o := begin(ctx, "reoffer")
	v, err := s.below.Reoffer(ctx, t, d)
	s.end(o, callTurnedDown, 0, err)
	return v, err
}

func (s instrumentedStore) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	o := begin(ctx, "answer")
	v, err := s.below.Answer(ctx, t, to, d)
	s.end(o, callAnswered, 0, err)
	return v, err
}

func (s instrumentedStore) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	o := begin(ctx, "read_description")
	d, v, err := s.below.Description(ctx, t, of, known, wait)
	s.end(o, "", wait, err)
	return d, v, err
}

func (s instrumentedStore) Offers(ctx context.Context, wanted []signaling.WantedOffer, wait time.Duration) ([]signaling.Offered, error) {
	o := begin(ctx, "read_offers")
	list, err := s.below.Offers(ctx, wanted, wait)
	s.end(o, "", wait, err)
	return list, err
}

func (s instrumentedStore) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	o := begin(ctx, "add_candidates")
	n, err := s.below.AddCandidates(ctx, t, at, c...)
	s.end(o, "", 0, err)
	return n, err
}

func (s instrumentedStore) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	o := begin(ctx, "read_candidates")
	list, err := s.below.Candidates(ctx, t, of, after, wait)
	s.end(o, "", wait, err)
	return list, err
}

func (s instrumentedStore) Close(ctx context.Context, t signaling.Ticket) error {
	o := begin(ctx, "close")
	err := s.below.Close(ctx, t)
	s.end(o, callClosed, 0, err)
	return err
}
