package server

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/tracing"
	"p2pchat/signaling/tracing/tracetest"
)

// traced is a site whose spans a collector has once stop was called.
func traced(t *testing.T, config Config) (s *site, c *tracetest.Collector, stop func()) {
	c = tracetest.New(t)
	tracer, err := tracing.New("v1", func(name string) string {
		return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}[name]
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	end := tracer.Start()
	config.Tracer = tracer
	return open(t, memstore.Limits{}, config), c, func() { end(t.Context()) }
}

func TestTraces(t *testing.T) {
	s, c, stop := traced(t, Config{AccessKey: "the-key"})
	opened := s.post("/rooms/violet/offer", anOffer, signaling.KeyHeader+": the-key", "X-Request-Id: violet-request").is(201)
	s.get("/rooms/violet/offer", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	s.get("/rooms/violet/answer?violet=1", "User-Agent: violet-agent")
	s.send("VIOLET", "/rooms/violet/offer", "")
	s.get("/violet")
	long, err := http.NewRequestWithContext(t.Context(), "VIOLET", s.url+"/rooms/violet/offer", strings.NewReader(strings.Repeat("x", 70_000)))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(long)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	stop()

	type span struct{ name, status, children string }
	children := map[string]string{}
	byID := map[string]tracetest.Span{}
	for _, one := range c.Spans() {
		byID[string(one.GetSpanId())] = one
	}
	var roots []tracetest.Span
	for _, one := range c.Spans() {
		if one.GetParentSpanId() == nil {
			roots = append(roots, one)
			continue
		}
		above, ok := byID[string(one.GetParentSpanId())]
		if !ok || !bytes.Equal(above.GetTraceId(), one.GetTraceId()) {
			t.Errorf("%s is no request's", one.GetName())
		}
		children[string(one.GetParentSpanId())] += one.GetName() + " " + one.Attrs["p2pchat.problem"]
	}
	want := []span{
		{"POST /rooms/:room/offer", "201", "store.offer "},
		{"GET /rooms/:room/offer", "200", "store.read_description "},
		{"GET /rooms/:room/answer", "404", "store.read_description urn:p2pchat:no-answer"},
		{"none", "405", ""},
		{"none", "404", ""},
		{"_OTHER /rooms/:room/offer", "413", ""},
	}
	if len(roots) != len(want) {
		t.Fatalf("%d requests have spans", len(roots))
	}
	for i, r := range roots {
		if got := (span{r.GetName(), r.Attrs["http.response.status_code"], children[string(r.GetSpanId())]}); got != want[i] || r.GetStatus() != nil {
			t.Errorf("%v, want %v", got, want[i])
		}
		if bytes.HasPrefix(r.GetTraceId(), []byte{0x0a, 0xf7, 0x65}) {
			t.Error("a stranger chooses the trace")
		}
	}
	for _, secret := range []string{"violet", "VIOLET", opened.token(), "the-key", "v=0", "127.0.0.1", "Mozilla"} {
		if bytes.Contains(c.Raw(), []byte(secret)) {
			t.Errorf("the collector is told %q", secret)
		}
	}
}

func TestTracesOfAProxy(t *testing.T) {
	s, c, stop := traced(t, Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	s.get("/healthz", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").is(200)
	stop()
	if spans := c.Spans(); len(spans) != 1 || !bytes.HasPrefix(spans[0].GetTraceId(), []byte{0x0a, 0xf7, 0x65}) || !bytes.HasPrefix(spans[0].GetParentSpanId(), []byte{0xb7, 0xad}) {
		t.Errorf("the spans are %v", spans)
	}
}
