// Package tracetest has an OpenTelemetry collector for tests. It decodes OTLP with OpenTelemetry's
// own definitions.
package tracetest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A Collector receives traces on loopback.
type Collector struct {
	URL string

	mu       sync.Mutex // guards what follows
	statuses []int      // of the next responses
	requests []*http.Request
	raw      bytes.Buffer
	received []*trace.ResourceSpans
}

// New runs a collector until the test ends. Its first responses have these statuses, and it ignores
// the spans of a request unless the status is 200.
func New(t testing.TB, statuses ...int) *Collector {
	c := &Collector{statuses: statuses}
	h := httptest.NewServer(c)
	t.Cleanup(h.Close)
	c.URL = h.URL
	return c
}

// ServeHTTP implements [http.Handler].
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	raw, err := io.ReadAll(body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r)
	if len(c.statuses) > 0 {
		status := c.statuses[0]
		c.statuses = c.statuses[1:]
		if status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
	}
	var export collector.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(raw, &export) != nil || len(export.ProtoReflect().GetUnknown()) > 0 {
		http.Error(w, "that is not an ExportTraceServiceRequest", http.StatusBadRequest)
		return
	}
	c.raw.Write(raw)
	c.received = append(c.received, export.GetResourceSpans()...)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// Requests returns all requests.
func (c *Collector) Requests() []*http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

// Raw returns the bytes of all exports.
func (c *Collector) Raw() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw.Bytes()
}

// Resource returns the attributes of the last resource.
func (c *Collector) Resource() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.received) == 0 {
		return nil
	}
	return attributes(c.received[len(c.received)-1].GetResource().GetAttributes())
}

// A Span is a span that the collector received.
type Span struct {
	*trace.Span
	Attrs map[string]string
}

// Spans returns the spans in the order in which the collector received them.
func (c *Collector) Spans() (list []Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.received {
		for _, scope := range r.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				list = append(list, Span{s, attributes(s.GetAttributes())})
			}
		}
	}
	return list
}

func attributes(list []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range list {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			m[a.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			m[a.GetKey()] = strconv.FormatInt(v.IntValue, 10)
		case *common.AnyValue_BoolValue:
			m[a.GetKey()] = strconv.FormatBool(v.BoolValue)
		case *common.AnyValue_DoubleValue:
			m[a.GetKey()] = fmt.Sprint(v.DoubleValue)
		}
	}
	return m
}
