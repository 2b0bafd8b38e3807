package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// errRetry means that the same request may succeed later.
var errRetry = errors.New("the collector cannot take spans now")

// send sends a batch, and retries while the collector cannot take it and settings.patience is not
// over. Then it drops the batch, and logs that. It returns false if ctx is canceled before.
func (t *Tracer) send(ctx context.Context, batch []*Span) (done bool) {
	if len(batch) == 0 {
		return true
	}
	body := encode(t.settings.resource, batch)
	if t.settings.gzip {
		body = compress(body)
	}
	limited, cancel := context.WithTimeout(ctx, t.settings.patience)
	defer cancel()
	err := t.post(limited, body)
	for pause := time.Second; errors.Is(err, errRetry) && wait(limited, pause); pause *= 2 {
		err = t.post(limited, body)
	}
	switch {
	case err == nil:
		if dropped := t.dropped.Swap(0); dropped > 0 {
			t.log.Warn("the collector of traces takes spans again", "lost", dropped)
		}
		t.failing = false
	case errors.Is(ctx.Err(), context.Canceled):
		return false
	default:
		t.dropped.Add(int64(len(batch)))
		if !t.failing {
			t.log.Warn("spans are lost until the collector of traces takes them", "error", err)
		}
		t.failing = true
	}
	return true
}

// wait waits for pause. It returns false if ctx ends before.
func wait(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// post sends one request. It returns errRetry if the request may succeed later.
func (t *Tracer) post(ctx context.Context, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.settings.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = t.settings.headers.Clone()
	r.Header.Set("Content-Type", "application/x-protobuf")
	if t.settings.gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	res, err := t.client.Do(r)
	if err != nil {
		return fmt.Errorf("%w: %w", errRetry, err)
	}
	_, _ = io.CopyN(io.Discard, res.Body, 1<<16) // so that the connection can be used again
	_ = res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("%w: it answered %q", errRetry, res.Status)
	}
	return fmt.Errorf("the collector answered %q", res.Status)
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(body) // a Buffer returns no error
	_ = z.Close()
	return b.Bytes()
}

// encode returns an ExportTraceServiceRequest of opentelemetry-proto. The numbers here and below are
// those of its fields.
func encode(resource []slog.Attr, spans []*Span) []byte {
	scope := message(nil, 1, text(nil, 1, "p2pchat"))
	for _, s := range spans {
		scope = message(scope, 2, s.encode())
	}
	return message(nil, 1, message(message(nil, 1, attributes(nil, 1, resource)), 2, scope))
}

// encode returns a Span of opentelemetry-proto.
func (s *Span) encode() []byte {
	const internal, server, failure = 1, 2, 2
	b := message(message(nil, 1, s.trace[:]), 2, s.id[:])
	if s.parent != [8]byte{} {
		b = message(b, 4, s.parent[:])
	}
	b = text(b, 5, s.name)
	if s.server {
		b = number(b, 6, server)
	} else {
		b = number(b, 6, internal)
	}
	b = protowire.AppendFixed64(protowire.AppendTag(b, 7, protowire.Fixed64Type), uint64(s.started.UnixNano()))
	b = protowire.AppendFixed64(protowire.AppendTag(b, 8, protowire.Fixed64Type), uint64(s.ended.UnixNano()))
	b = attributes(b, 9, s.attributes)
	if s.failed {
		b = message(b, 15, number(nil, 3, failure))
	}
	return b
}

// attributes appends KeyValues.
func attributes(b []byte, field protowire.Number, list []slog.Attr) []byte {
	for _, a := range list {
		var value []byte // an AnyValue
		switch a.Value.Kind() {
		case slog.KindBool:
			value = number(nil, 2, protowire.EncodeBool(a.Value.Bool()))
		case slog.KindInt64:
			value = number(nil, 3, uint64(a.Value.Int64())) //nolint:gosec // as the format has it
		case slog.KindFloat64:
			value = protowire.AppendFixed64(protowire.AppendTag(nil, 4, protowire.Fixed64Type), math.Float64bits(a.Value.Float64()))
		default:
			value = text(nil, 1, a.Value.String())
		}
		b = message(b, field, message(text(nil, 1, a.Key), 2, value))
	}
	return b
}

func message(b []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), m)
}

func text(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func number(b []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}
