package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever stands where a server should be, the program says so and exits with 5.
func TestBadServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		says  string
	}{
		"a web site": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<h1>Welcome</h1>")) // the client may be gone
		}, "that is not a p2pchat server"},
		"a web site without that page": {http.NotFound, "that is not a p2pchat server"},
		"a redirect without an end": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/", http.StatusFound)
		}, "it redirects"},
		"a server that only fails": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "oh no", http.StatusInternalServerError)
		}, "500 Internal Server Error"},
		"a server that hangs up in the middle": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"room":`)) // the client may be gone
		}, "its reply broke off"},
	} {
		for _, command := range []string{"call", "answer"} {
			t.Run(command+" at "+name, func(t *testing.T) {
				t.Parallel()
				s := httptest.NewServer(c.serve)
				t.Cleanup(s.Close)
				refused(t, command, s.URL, c.says)
			})
		}
	}
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		address, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		refused(t, "call", "http://"+address, "the server cannot be reached")
	})
}

func refused(t *testing.T, command, server, says string) {
	t.Helper()
	p := launch(t, command, "standup", "--server", server)
	p.finish(t)
	text := p.err.String()
	if code := p.cmd.ProcessState.ExitCode(); code != exitServer {
		t.Errorf("exit code %d, not %d: %s", code, exitServer, text)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if n := len(lines); n < 2 || !strings.HasPrefix(lines[n-2], "p2pchat: error: "+server) || !strings.Contains(lines[n-2], says) || !strings.HasPrefix(lines[n-1], "p2pchat: hint: ") {
		t.Errorf("not an error of two lines that says %q: %s", says, text)
	}
	if p.out.String() != "" {
		t.Errorf("stdout has %q", p.out)
	}
}
