package main

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// If the address is not that of a p2pchat server, the program says what is there, and exits with 5.
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
		"a server of files": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				http.Error(w, "Unsupported method", http.StatusNotImplemented)
				return
			}
			http.NotFound(w, r)
		}, "that is not a p2pchat server"},
		"a redirect without an end": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/", http.StatusFound)
		}, "it redirects"},
		"a server that only fails": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "oh no", http.StatusInternalServerError)
		}, "500 Internal Server Error"},
		"a proxy whose server has stopped": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<h1>502 Bad Gateway</h1>", http.StatusBadGateway)
		}, `the server cannot be reached: a proxy answers there, but the server behind it does not: it answered "502 Bad Gateway"`},
		"a server that hangs up in the middle": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"room":`)) // the client may be gone
		}, "its reply broke off"},
	} {
		for _, command := range []string{"call", "answer", "ready"} {
			if command == "ready" && !strings.HasPrefix(name, "a proxy") {
				continue
			}
			t.Run(command+" at "+name, func(t *testing.T) {
				t.Parallel()
				s := httptest.NewServer(c.serve)
				t.Cleanup(s.Close)
				refused(t, command, s.URL, c.says)
			})
		}
	}
	t.Run("there is no server", func(t *testing.T) {
		t.Parallel()
		address, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		refused(t, "call", "http://"+address, "the server cannot be reached: connection refused")
	})
}

// Every command tells what kind of server listens at a wrong port.
func TestOtherPorts(t *testing.T) {
	t.Parallel()
	secure, plain := foreignServers(t)
	_, securePort, _ := strings.Cut(secure.URL, "://")
	_, plainPort, _ := strings.Cut(plain.URL, "://")
	ssh := answersEach(t, func(c net.Conn) { write(c, "SSH-2.0-OpenSSH_9.6\r\n") })
	hangsUp := answersEach(t, func(net.Conn) {})
	silent := answersEach(t, nil)
	alert := answersEach(t, func(c net.Conn) { // to what it has read
		_, _ = c.Read(make([]byte, 4096))
		write(c, "\x15\x03\x03\x00\x02\x02\x32") // decode_error
		_ = c.(*net.TCPConn).CloseWrite()
	})
	for name, c := range map[string]struct{ server, says string }{
		"https behind http":             {"http://" + securePort, "that is not a p2pchat server over http: its address begins with https://"},
		"https of another make":         {"http://" + alert, "that is not a p2pchat server over http: its address begins with https://"},
		"http behind https":             {"https://" + plainPort, "that is not a p2pchat server over https: its address begins with http://"},
		"another protocol":              {"http://" + ssh, "that is not a p2pchat server: it does not speak HTTP"},
		"another protocol behind https": {"https://" + ssh, "that is not a p2pchat server: it does not speak TLS, which https needs"},
		"one that hangs up":             {"http://" + hangsUp, "the server cannot be reached: it hung up without an answer"},
		"silence":                       {"http://" + silent, "the server cannot be reached: no answer in "},
		"silence behind https":          {"https://" + silent, "the server cannot be reached: no answer in "},
	} {
		for _, command := range []string{"call", "answer", "ready", "bench signaling"} {
			t.Run(command+" at "+name, func(t *testing.T) {
				if command != "call" {
					inFull(t)
				}
				t.Parallel()
				refused(t, command, c.server, c.says)
			})
		}
	}
}

// answersEach listens on an address, and reads from each connection and then lets answer write to it;
// nil never answers.
func answersEach(t *testing.T, answer func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	t.Cleanup(wg.Wait)
	t.Cleanup(func() {
		close(done)
		_ = l.Close()
	})
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				if answer == nil {
					<-done
					return
				}
				answer(c)
				_, _ = c.Read(make([]byte, 4096)) // so that closing does not reset the connection
			})
		}
	})
	return l.Addr().String()
}

func write(c net.Conn, text string) {
	_, _ = io.WriteString(c, text) // the client may be gone
}

// An address that is wrong in one part is answered with the right one.
func TestServerHints(t *testing.T) {
	t.Parallel()
	secure, plain := foreignServers(t)
	_, securePort, _ := strings.Cut(secure.URL, "://")
	for server, want := range map[string]string{
		"http://" + securePort:                         "did you mean --server " + secure.URL + "?",
		strings.Replace(plain.URL, "http", "https", 1): "did you mean --server " + plain.URL + "?",
		plain.URL + "/path/":                           "the path /path may be wrong; did you mean --server " + plain.URL + "?",
	} {
		for _, command := range []string{"call", "ready", "doctor"} {
			t.Run(command+" at "+server, func(t *testing.T) {
				t.Parallel()
				args := []string{command, "--server", server}
				if command == "call" {
					args = append(args, "standup")
				}
				p := launch(t, args...)
				p.finish(t)
				if text := p.err.String(); !strings.HasSuffix(text, "p2pchat: hint: "+want+"\n") {
					t.Errorf("it says %s", text)
				}
				if out := p.out.String(); command == "doctor" && !strings.HasSuffix(out, "\nCalls do not work: that is not a p2pchat server.\n") {
					t.Errorf("the verdict is %s", out)
				}
			})
		}
	}
}

func refused(t *testing.T, command, server, says string) {
	t.Helper()
	args := strings.Fields(command)
	if command == "call" || command == "answer" {
		args = append(args, "standup")
	}
	p := launch(t, append(args, "--server", server)...)
	p.finish(t)
	text := p.err.String()
	if code := p.cmd.ProcessState.ExitCode(); code != exitServer {
		t.Errorf("exit code %d, not %d: %s", code, exitServer, text)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if n := len(lines); n < 2 || !strings.HasPrefix(lines[n-2], "p2pchat: error: "+server) || !strings.Contains(lines[n-2], says) || !strings.HasPrefix(lines[n-1], "p2pchat: hint: ") {
		t.Errorf("not an error of two lines that says %q: %s", says, text)
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "p2pchat: ") {
			t.Errorf("a line of a library: %q", line)
		}
		if foreign := strings.HasPrefix(says, "that is not"); foreign && (strings.Contains(line, "warning") || strings.Contains(line, "trying again")) {
			t.Errorf("a line that tells nothing: %q", line)
		}
	}
	if p.out.String() != "" {
		t.Errorf("stdout has %q", p.out)
	}
}

// foreignServers returns web servers over https and http that are not p2pchat's.
func foreignServers(t *testing.T) (secure, plain *httptest.Server) {
	t.Helper()
	secure = httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain = httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	return secure, plain
}
