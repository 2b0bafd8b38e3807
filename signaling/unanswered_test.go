package signaling_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"p2pchat/signaling"
)

// A server that sends before the request causes one of two errors, by chance: a malformed response,
// or this error of net/http, whose text is a bug.
func TestUnanswered(t *testing.T) {
	early := &url.Error{Op: http.MethodGet, URL: "http://127.0.0.1:22/readyz", Err: errors.New("readLoopPeekFailLocked: %!w(<nil>)")}
	err := signaling.Unanswered(t.Context(), early)
	if !errors.Is(err, signaling.ErrForeign) || err.Error() != "that is not a p2pchat server: it does not speak HTTP" {
		t.Error(err)
	}
}

// Only a server at whose address nothing answers gives ErrNoReply: a program then looks for the call elsewhere.
func TestNothingAnswers(t *testing.T) {
	t.Parallel()
	listen := func(serve http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(serve)
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
		t.Cleanup(s.Close)
		return s
	}
	badGateway := listen(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	badGateway.Start()
	untrusted := listen(http.NotFoundHandler())
	untrusted.StartTLS()
	foreign := listen(http.NotFoundHandler())
	foreign.Start()
	hangsUp := listen(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	hangsUp.Start()
	gone := listen(nil)
	gone.Start()
	gone.Close()
	silent, err := net.ListenTCP("tcp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	_, port, err := net.SplitHostPort(silent.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		server  string
		nothing bool
	}{
		"a refused connection":       {gone.URL, true},
		"silence":                    {"http://127.0.0.1:" + port, true},
		"silence in the handshake":   {"https://127.0.0.1:" + port, true},
		"a name that no one has":     {"http://p2pchat.invalid", true},
		"an untrusted certificate":   {untrusted.URL, false},
		"a proxy without its server": {badGateway.URL, false},
		"another program":            {foreign.URL, false},
		"one that hangs up":          {hangsUp.URL, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for way, limit := range map[string]time.Duration{"the client's patience": time.Hour, "the context": time.Second} {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				_, err := client(t, c.server, signaling.Config{Patience: 2 * time.Second}).Ping(ctx)
				if err == nil || errors.Is(err, signaling.ErrNoReply) != c.nothing {
					t.Errorf("after %s: %v", way, err)
				}
			}
		})
	}
}
