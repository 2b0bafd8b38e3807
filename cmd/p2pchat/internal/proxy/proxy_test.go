package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"p2pchat/cmd/p2pchat/internal/proxy/proxytest"
	"p2pchat/signaling"
)

const behind = proxytest.Name

// An echo server, and its address behind a proxy.
func echo(t *testing.T) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

func none(string) string { return "" }

// connect connects to a server behind the proxy.
func connect(ctx context.Context, t *testing.T, at, server string) (net.Conn, error) {
	t.Helper()
	r, err := Named(at, "--proxy", none)
	if err != nil {
		t.Fatal(err)
	}
	return r.Via("https", (&net.Dialer{}).DialContext)(ctx, "tcp", server)
}

func TestThrough(t *testing.T) {
	server := net.JoinHostPort(behind, echo(t))
	for _, at := range []string{
		"http://" + proxytest.HTTP{}.Start(t),
		proxytest.HTTP{}.Start(t),
		"http://ann:s%3Ae@" + proxytest.HTTP{User: "ann:s:e"}.Start(t),
		"socks5://" + proxytest.SOCKS{}.Start(t),
		"socks5h://" + proxytest.SOCKS{}.Start(t),
		"socks5h://ann:secret@" + proxytest.SOCKS{User: "ann:secret"}.Start(t),
	} {
		c, err := connect(t.Context(), t, at, server)
		if err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		if _, err := io.WriteString(c, "hello\n"); err != nil {
			t.Error(err)
		}
		if line, err := bufio.NewReader(c).ReadString('\n'); line != "hello\n" {
			t.Errorf("%s: it echoes %q, %v", at, line, err)
		}
		if _, ok := c.LocalAddr().(*net.TCPAddr); !ok { // pion asks for it
			t.Errorf("%s: its own address is a %T", at, c.LocalAddr())
		}
		_ = c.Close()
	}
}

func TestFailures(t *testing.T) {
	port := echo(t)
	server, closed := net.JoinHostPort(behind, port), "127.0.0.1:1"
	for _, c := range []struct {
		at, to, says string
		kind         error
	}{
		{"http://" + closed, server, "cannot be reached: connection refused", signaling.ErrProxy},
		{"socks5://" + closed, server, "cannot be reached: connection refused", signaling.ErrProxy},
		{"http://" + proxytest.HTTP{User: "ann:secret"}.Start(t), server, "asks for a name and a password (407)", signaling.ErrProxyRefuses},
		{"http://ann:wrong@" + proxytest.HTTP{User: "ann:secret"}.Start(t), server, "refuses that name and password (407)", signaling.ErrProxyRefuses},
		{"http://" + proxytest.HTTP{Status: http.StatusForbidden}.Start(t), server, "refuses a connection to " + server + " (403 Forbidden)", signaling.ErrProxyRefuses},
		{"http://" + proxytest.HTTP{}.Start(t), net.JoinHostPort(behind, "1"), "cannot reach it: 502 Bad Gateway", signaling.ErrUnreachable},
		{"socks5://" + proxytest.SOCKS{User: "ann:secret"}.Start(t), server, "asks for a name and a password", signaling.ErrProxyRefuses},
		{"socks5://ann:wrong@" + proxytest.SOCKS{User: "ann:secret"}.Start(t), server, "refuses that name and password", signaling.ErrProxyRefuses},
		{"socks5://" + proxytest.SOCKS{Refuse: true}.Start(t), server, "refuses a connection to " + server, signaling.ErrProxyRefuses},
		{"socks5://" + proxytest.SOCKS{}.Start(t), net.JoinHostPort(behind, "1"), "cannot reach it: connection refused", signaling.ErrUnreachable},
		{"socks5://" + proxytest.SOCKS{}.Start(t), "other.p2pchat.test:80", "cannot reach it: host unreachable", signaling.ErrUnreachable},
		{"http://127.0.0.1:" + port, server, "broke off", signaling.ErrProxy}, // it echoes
		{"socks5://127.0.0.1:" + port, server, "broke off", signaling.ErrProxy},
		{"https://" + proxytest.HTTP{}.Start(t), server, "is not trusted", signaling.ErrProxyRefuses},
	} {
		conn, err := connect(t.Context(), t, c.at, c.to)
		if err == nil {
			t.Errorf("%s: it connects", c.at)
			_ = conn.Close()
			continue
		}
		if !errors.Is(err, c.kind) || !errors.Is(err, signaling.ErrUnreachable) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: it says %q, want %q, and is %v: %v", c.at, err, c.says, c.kind, errors.Is(err, c.kind))
		}
		if strings.Contains(err.Error(), "wrong") {
			t.Errorf("the password is in %q", err)
		}
	}
}

// A proxy that accepts, and says nothing, is given up with the context.
func TestASilentProxy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, scheme := range []string{"http://", "https://", "socks5://"} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1)) // it has begun to ask
			cancel()
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}()
		if _, err := connect(ctx, t, scheme+l.Addr().String(), "chat.p2pchat.test:443"); !errors.Is(err, signaling.ErrProxy) || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("%s: it says %v", scheme, err)
		}
		cancel()
	}
}

func TestWhichProxy(t *testing.T) {
	for _, c := range []struct{ variables, server, want string }{
		{"", "https://chat.example.org", ""},
		{"HTTPS_PROXY=http://p:3128", "https://chat.example.org", "http://p:3128 (HTTPS_PROXY)"},
		{"https_proxy=p:3128", "https://chat.example.org", "http://p:3128 (HTTPS_PROXY)"},
		{"HTTPS_PROXY=http://ann:secret@p", "https://chat.example.org", "http://p:80 (HTTPS_PROXY)"},
		{"HTTPS_PROXY=http://p:3128", "http://chat.example.org", ""},
		{"ALL_PROXY=socks5h://p", "https://chat.example.org", "socks5h://p:1080 (ALL_PROXY)"},
		{"ALL_PROXY=socks5h://p", "http://chat.example.org", "socks5h://p:1080 (ALL_PROXY)"},
		{"all_proxy=socks://p:1080", "https://chat.example.org", "socks://p:1080 (ALL_PROXY)"},
		{"ALL_PROXY=socks5://q HTTPS_PROXY=http://p:3128", "https://chat.example.org", "http://p:3128 (HTTPS_PROXY)"},
		{"ALL_PROXY=socks5://p NO_PROXY=example.org", "https://chat.example.org", ""},
		{"ALL_PROXY=socks5://p", "http://localhost:3000", ""},
		{"ALL_PROXY=socks5://p", "http://127.0.0.1:3000", ""},
		{"ALL_PROXY=gopher://ann:secret@p", "https://chat.example.org", "ALL_PROXY: gopher:// is no kind of proxy that this program can use"},
		{"--proxy=socks5://ann:secret@p", "http://127.0.0.1:3000", "socks5://p:1080 (--proxy)"},
		{"--proxy=socks5://p NO_PROXY=example.org", "https://chat.example.org", ""},
		{"--proxy=socks5://p NO_PROXY=localhost,127.0.0.1", "http://127.0.0.1:3000", ""},
		{"--proxy=socks5://p NO_PROXY=example.org,LocalHost", "http://localhost:3000", ""},
		{"--proxy=socks5://p NO_PROXY=127.0.0.0/8", "http://127.1.2.3:3000", ""},
		{"--proxy=socks5://p NO_PROXY=::1", "http://[::1]:3000", ""},
		{"--proxy=socks5://p NO_PROXY=*", "http://localhost", ""},
		{"--proxy=socks5://p NO_PROXY=localhost:3000", "http://localhost:3000", ""},
		{"--proxy=socks5://p NO_PROXY=localhost:3000", "http://localhost:4000", "socks5://p:1080 (--proxy)"},
		{"--proxy=socks5://p NO_PROXY=10.0.0.0/8,", "http://127.0.0.1:3000", "socks5://p:1080 (--proxy)"},
		{"--proxy=socks5://p ALL_PROXY=http://q", "https://chat.example.org", "socks5://p:1080 (--proxy)"},
		{"--proxy=none ALL_PROXY=http://q", "https://chat.example.org", ""},
		{"--proxy=gopher://ann:secret@p", "", "gopher:// is no kind of proxy that this program can use"},
		{"--proxy=http://", "", "that is not the URL of a proxy"},
		{"--proxy=http://ann:secret%zz@p", "", "that is not the URL of a proxy"},
	} {
		values := map[string]string{}
		for v := range strings.FieldsSeq(c.variables) {
			name, value, _ := strings.Cut(v, "=")
			values[name] = value
		}
		getenv := func(name string) string { return values[name] }
		r, err := Environment(getenv), error(nil)
		if given := values["--proxy"]; given != "" {
			r, err = Named(given, "--proxy", getenv)
		}
		var got string
		if err == nil {
			to, _ := url.Parse(c.server)
			got, _, err = r.Find(to)
		}
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s, to %s: %q, want %q", c.variables, c.server, got, c.want)
		}
	}
}
