// Package tracetest is a collector of traces, for tests: it takes what OTLP says, as
// OpenTelemetry's own definitions have it.
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

// A Collector takes traces on loopback.
type Collector struct {
	URL     string
	answers []int // to the first requests; then 200

	mu       sync.Mutex
	requests []*http.Request
	raw      bytes.Buffer
	taken    []*trace.ResourceSpans
}

// New runs a collector until the test ends. It answers its first requests with these
// statuses, and takes nothing of them unless that is 200.
func New(t testing.TB, answers ...int) *Collector {
	c := &Collector{answers: answers}
	h := httptest.NewServer(c)
	t.Cleanup(h.Close)
	c.URL = h.URL
	return c
}

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
	if len(c.answers) > 0 {
		answer := c.answers[0]
		c.answers = c.answers[1:]
		if answer != http.StatusOK {
			w.WriteHeader(answer)
			return
		}
	}
	var said collector.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(raw, &said) != nil || len(said.ProtoReflect().GetUnknown()) > 0 {
		http.Error(w, "that is no ExportTraceServiceRequest", http.StatusBadRequest)
		return
	}
	c.raw.Write(raw)
	c.taken = append(c.taken, said.GetResourceSpans()...)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// Requests are those that came.
func (c *Collector) Requests() []*http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

// Said is all that was taken, as it came.
func (c *Collector) Said() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw.Bytes()
}

// Resource is what the last resource says of itself.
func (c *Collector) Resource() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.taken) == 0 {
		return nil
	}
	return attributes(c.taken[len(c.taken)-1].GetResource().GetAttributes())
}

// A Span is one that was taken.
type Span struct {
	*trace.Span
	Says map[string]string
}

// Spans are those that were taken, in the order in which they came.
func (c *Collector) Spans() (list []Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.taken {
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
