package signaling

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// PhaseKey and TookKey are the attributes of a phase of a call in the log, at debug level: its name, and how long it took.
const (
	PhaseKey = "phase"
	TookKey  = "took"
)

// LogPhase logs a phase of a call that ends now.
func LogPhase(log *slog.Logger, phase string, took time.Duration) {
	log.Debug("phase of a call", PhaseKey, phase, TookKey, took)
}

// traced returns a context in which connecting to the server is logged, and a function that logs the request when it has ended.
func (c *Client) traced(ctx context.Context, r request) (_ context.Context, end func()) {
	if !c.config.Log.Enabled(ctx, slog.LevelDebug) {
		return ctx, func() {}
	}
	began := time.Now()
	t := &trace{log: c.config.Log, began: map[string]time.Time{}}
	return httptrace.WithClientTrace(ctx, t.hooks()), func() {
		LogPhase(c.config.Log, "HTTP "+cmp.Or(r.method, http.MethodGet)+" "+r.noun(), time.Since(began))
	}
}

// noun names what a request is for, without the names of rooms and mailboxes, which are for the two alone.
func (r request) noun() string {
	address, _, _ := strings.Cut(r.path, "?")
	noun := path.Base(address)
	if !slices.Contains([]string{"offer", "answer", "offer-candidates", "answer-candidates", "ice-servers", "healthz"}, noun) {
		noun, _, _ = strings.Cut(strings.TrimPrefix(address, "/"), "/") // rooms, mail or listen
	}
	if r.wait > 0 {
		noun += ", which waits"
	}
	return noun
}

// A trace logs how long connecting takes. net/http and the dialer may try several addresses at once: each attempt that ends is
// logged from the newest beginning.
type trace struct {
	log *slog.Logger

	mu    sync.Mutex // guards what follows
	began map[string]time.Time
}

func (t *trace) begin(phase string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began[phase] = time.Now()
}

func (t *trace) end(phase string) {
	t.mu.Lock()
	began := t.began[phase]
	t.mu.Unlock()
	LogPhase(t.log, phase, time.Since(began))
}

func (t *trace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { t.begin("DNS") },
		DNSDone:           func(httptrace.DNSDoneInfo) { t.end("DNS") },
		ConnectStart:      func(string, string) { t.begin("TCP") },
		ConnectDone:       func(string, string, error) { t.end("TCP") },
		TLSHandshakeStart: func() { t.begin("TLS") },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { t.end("TLS") },
	}
}
