package main

import (
	"testing"

	"p2pchat/signaling/tracing/tracetest"
)

// A server whose environment asks for traces sends them, the last ones when it stops; one
// that cannot send them as asked says so, and serves.
func TestServeTraces(t *testing.T) {
	t.Parallel()
	for variable, value := range map[string]string{"OTEL_SERVICE_NAME": "chat", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"} {
		c := tracetest.New(t)
		server := launchWith(t, t.TempDir(), []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, variable + "=" + value}, "serve", "--listen", "127.0.0.1:0")
		if err := ready(t.Context(), server.notes(t, `listening on (\S+)`)[1]); err != nil {
			t.Error(err)
		}
		if err := server.cmd.Process.Signal(signals["TERM"]); err != nil {
			t.Fatal(err)
		}
		server.finish(t)
		switch spans := c.Spans(); {
		case value == "grpc":
			server.notes(t, "tracing is off: .*http/protobuf")
			if len(spans) > 0 {
				t.Errorf("%d spans", len(spans))
			}
		case len(spans) != 1 || spans[0].GetName() != "GET /readyz" || c.Resource()["service.name"] != "chat":
			t.Errorf("the spans are %v, those of %v", spans, c.Resource())
		}
	}
}
