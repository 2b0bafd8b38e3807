package tracing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"p2pchat/signaling/tracing/tracetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func variables(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

// traceOne has a tracer record one request and one operation. stop sends them.
func traceOne(t *testing.T, env map[string]string, log *slog.Logger) (stop func(context.Context)) {
	t.Helper()
	tracer, err := New("v1", variables(env), log)
	if err != nil {
		t.Fatal(err)
	}
	stop = tracer.Start()
	r, s := tracer.Request(httptest.NewRequest(http.MethodGet, "/", nil), false)
	Operation(r.Context()).End("inner", true, slog.Float64("half", 0.5), slog.Bool("true", true))
	s.End("outer", false, slog.Int("number", -3), slog.String("text", "ü"))
	return stop
}

func TestOffUnlessAsked(t *testing.T) {
	for _, env := range []map[string]string{
		{}, {"OTEL_SERVICE_NAME": "x"},
		{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"},
		{"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"},
	} {
		tracer, err := New("v1", variables(env), slog.New(slog.DiscardHandler))
		if tracer != nil || err != nil {
			t.Errorf("%v: %v, %v", env, tracer, err)
		}
		tracer.Start()(t.Context())
	}
	if s := Operation(t.Context()); s != nil {
		t.Error("there is a span without a request")
	}
}

func TestExport(t *testing.T) {
	c := tracetest.New(t)
	for name, env := range map[string]map[string]string{
		"plain": {"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL + "/base"},
		"full": {
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere.invalid", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": c.URL + "/mine", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
			"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20secret, x=1", "OTEL_SERVICE_NAME": "chat", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,service.name=no",
		},
	} {
		before := len(c.Spans())
		traceOne(t, env, slog.New(slog.DiscardHandler))(t.Context())
		requests := c.Requests()
		r, resource := requests[len(requests)-1], c.Resource()
		spans := c.Spans()[before:]
		if len(spans) != 2 || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Fatalf("%s: %d spans, %v", name, len(spans), r.Header)
		}
		inner, outer := spans[0], spans[1]
		want := fmt.Sprint(map[string]string{"half": "0.5", "true": "true"}, map[string]string{"number": "-3", "text": "ü"})
		if got := fmt.Sprint(inner.Attrs, outer.Attrs); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if inner.GetName() != "inner" || outer.GetName() != "outer" || inner.GetKind() != 1 || outer.GetKind() != 2 || inner.GetStatus().GetCode() != 2 || outer.GetStatus() != nil {
			t.Errorf("%s: %v, %v", name, inner, outer)
		}
		if len(outer.GetTraceId()) != 16 || !bytes.Equal(inner.GetTraceId(), outer.GetTraceId()) || !bytes.Equal(inner.GetParentSpanId(), outer.GetSpanId()) || outer.GetParentSpanId() != nil || len(inner.GetSpanId()) != 8 {
			t.Errorf("%s: they do not belong together: %v, %v", name, inner, outer)
		}
		if outer.GetStartTimeUnixNano() > inner.GetStartTimeUnixNano() || outer.GetEndTimeUnixNano() < inner.GetEndTimeUnixNano() {
			t.Errorf("%s: the one is not within the other: %v, %v", name, inner, outer)
		}
		switch name {
		case "plain":
			if r.URL.Path != "/base/v1/traces" || resource["service.name"] != "p2pchat" || resource["service.version"] != "v1" {
				t.Errorf("%s: %s, %v", name, r.URL, resource)
			}
		case "full":
			if r.URL.Path != "/mine" || r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("X") != "1" || resource["service.name"] != "chat" || resource["deployment.environment.name"] != "test" {
				t.Errorf("%s: %s, %v, %v", name, r.URL, r.Header, resource)
			}
		}
	}
}

func TestCollectorThatFails(t *testing.T) {
	t.Run("gets the batch again", func(t *testing.T) {
		c := tracetest.New(t, 503)
		stop := traceOne(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2"}, slog.New(slog.DiscardHandler))
		stop(t.Context()) // ends the wait for the retry
		if n := len(c.Spans()); n != 2 {
			t.Errorf("the collector has %d spans", n)
		}
	})
	for name, env := range map[string]map[string]string{
		"refuses":      {"OTEL_EXPORTER_OTLP_ENDPOINT": tracetest.New(t, 400).URL},
		"is not there": {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_EXPORT_TIMEOUT": "1"},
	} {
		t.Run(name+": the log has it", func(t *testing.T) {
			var log bytes.Buffer
			traceOne(t, env, slog.New(slog.NewTextHandler(&log, nil)))(t.Context())
			if !strings.Contains(log.String(), "spans are lost") {
				t.Errorf("the log says %q", &log)
			}
		})
	}
	t.Run("does not delay requests", func(t *testing.T) {
		tracer, err := New("v1", variables(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_MAX_QUEUE_SIZE": "3"}), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			_, s := tracer.Request(httptest.NewRequest(http.MethodGet, "/", nil), false)
			s.End("x", false)
		}
		if len(tracer.queue) != 3 || tracer.dropped.Load() != 7 {
			t.Errorf("%d wait, %d are lost", len(tracer.queue), tracer.dropped.Load())
		}
	})
	t.Run("gets retries for a limited time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if wait(ctx, time.Hour) || !errors.Is(ctx.Err(), context.DeadlineExceeded) || wait(ctx, 0) && wait(ctx, time.Second) {
				t.Error("wait does not end with its context")
			}
		})
	})
}

func TestTraceparent(t *testing.T) {
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for _, c := range []struct {
		sampler, header string
		trusted         bool
		recorded, known bool
	}{
		{"", "00-" + trace + "-" + span + "-01", true, true, true},
		{"", "00-" + trace + "-" + span + "-00", true, false, true},
		{"", "00-" + trace + "-" + span + "-00", false, true, false},
		{"", "01-" + trace + "-" + span + "-01-more", true, true, true},
		{"", "00-" + trace + "-" + span + "-01-more", true, true, false},
		{"", "ff-" + trace + "-" + span + "-01", true, true, false},
		{"", "00-" + strings.Repeat("0", 32) + "-" + span + "-01", true, true, false},
		{"", "00-" + trace + "-" + strings.Repeat("0", 16) + "-01", true, true, false},
		{"", "00-" + strings.ToUpper(trace) + "-" + span + "-01", true, true, false},
		{"", "00-" + trace[:31] + "x-" + span + "-01", true, true, false},
		{"", "nonsense", true, true, false},
		{"always_off", "00-" + trace + "-" + span + "-01", true, false, true},
		{"parentbased_always_off", "00-" + trace + "-" + span + "-01", true, true, true},
		{"parentbased_always_off", "", true, false, false},
	} {
		tracer, err := New("v1", variables(map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": c.sampler}), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Traceparent", c.header)
		_, s := tracer.Request(r, c.trusted)
		if (s != nil) != c.recorded {
			t.Errorf("%+v: it is recorded: %v", c, s != nil)
		}
		if s != nil && (fmt.Sprintf("%x", s.trace) == trace) != c.known {
			t.Errorf("%+v: the trace is %x", c, s.trace)
		}
	}
	s, err := parseSampler("traceidratio", "0.25")
	sampled := 0
	for range 10_000 {
		var id [16]byte
		if random(id[:]); s.samples(id, false, false) {
			sampled++
		}
	}
	if err != nil || sampled < 2_000 || sampled > 3_000 {
		t.Errorf("a quarter of 10,000 is %d (%v)", sampled, err)
	}
}

func TestInvalidVariables(t *testing.T) {
	for variable, value := range map[string]string{
		"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "localhost:4318",
		"OTEL_EXPORTER_OTLP_HEADERS": "secret", "OTEL_EXPORTER_OTLP_COMPRESSION": "zstd", "OTEL_EXPORTER_OTLP_TIMEOUT": "-1",
		"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere", "OTEL_TRACES_SAMPLER": "some",
		"OTEL_BSP_MAX_QUEUE_SIZE": "many", "OTEL_BSP_SCHEDULE_DELAY": "0",
	} {
		env := map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}
		maps.Copy(env, map[string]string{variable: value})
		_, err := New("v1", variables(env), nil)
		if err == nil || !strings.HasPrefix(err.Error(), variable+": ") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s=%s: %v", variable, value, err)
		}
	}
	_, err := New("v1", variables(map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}), nil)
	if err == nil || !strings.HasPrefix(err.Error(), "OTEL_TRACES_SAMPLER_ARG: ") {
		t.Error(err)
	}
}
