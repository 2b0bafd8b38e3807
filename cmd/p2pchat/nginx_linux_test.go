package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startNginx runs nginx with docs/nginx.conf in front of a server, and returns nginx's address. No more than addresses and paths are changed, and what else
// a test changes.
func startNginx(t *testing.T, dir, server string, changes ...[2]string) (address string) {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		skipWithout(t, "nginx")
	}
	text, err := os.ReadFile("../../docs/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	if address, err = freeAddress(); err != nil {
		t.Fatal(err)
	}
	if err := certify(dir+"/own", "127.0.0.1", "localhost"); err != nil {
		t.Fatal(err)
	}
	conf := string(text)
	for _, change := range append(changes, [][2]string{
		{"pid /run/nginx.pid", "pid " + dir + "/pid"},
		{"error_log /var/log/nginx/error.log emerg", "error_log " + dir + "/errors warn"},
		{"listen 443 ", "listen " + address + " "},
		{"listen [::]:443 ssl http2;", ""},
		{"server 127.0.0.1:3000;", "server " + server + ";"},
		{"/etc/ssl/chat.pem", dir + "/own.pem"},
		{"/etc/ssl/chat.key", dir + "/own.key"},
	}...) {
		if !strings.Contains(conf, change[0]) {
			t.Fatalf("docs/nginx.conf has no %q", change[0])
		}
		conf = strings.ReplaceAll(conf, change[0], change[1])
	}
	if err := os.WriteFile(dir+"/nginx.conf", []byte(conf), 0o600); err != nil { //nolint:gosec // the test's own folder
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-e", dir+"/errors", "-c", dir+"/nginx.conf", "-g", "daemon off;") //nolint:gosec // Debian's nginx
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	p := launchCommand(t, cmd, dir, os.Environ())
	t.Cleanup(func() { // before it is killed, which would leave its workers
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		p.finish(t)
	})
	for deadline := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return address
		}
		if time.Now().After(deadline) {
			errs, _ := os.ReadFile(dir + "/errors") //nolint:gosec // of this test
			t.Fatalf("nginx does not start: %s%s", p.err, errs)
		}
	}
}

// With docs/nginx.conf, the IPv6 addresses of one network are one client, as they are for the server.
func TestNginxCountsClients(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("NOT RUN: nginx with docs/nginx.conf needs root")
	}
	held := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { // each request waits for its end
		held <- r.Header.Get("X-Forwarded-For")
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	nginx := startNginx(t, t.TempDir(), server.Listener.Addr().String(),
		[2]string{"limit_conn clients 1000;", "limit_conn clients 2;"},
		[2]string{"server_tokens off;", "server_tokens off; set_real_ip_from 127.0.0.1; real_ip_header X-Test-Client;"})
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test's own certificate
	}}
	t.Cleanup(client.CloseIdleConnections)
	ask := func(ctx context.Context, from string) (status int, err error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+nginx+"/", nil)
		if err != nil {
			return 0, err
		}
		r.Header.Set("X-Test-Client", from)
		res, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		return res.StatusCode, res.Body.Close()
	}
	for name, of := range map[string]struct{ first, second, third, another string }{
		"IPv4":                     {"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"},
		"IPv6":                     {"2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:2::1"},
		"IPv6 with bytes of lines": {"2001:db8:a0a:a0a::1", "2001:db8:a0a:a0a::a", "2001:db8:a0a:a0a:a0a:a0a:a0a:a0a", "2001:db8:a0a:a0b::1"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			ended := make(chan struct{}, 3)
			hold := func(from string) {
				go func() {
					if status, err := ask(ctx, from); !errors.Is(err, context.Canceled) {
						t.Errorf("a request from %s is answered: %d, %v", from, status, err)
						held <- ""
					}
					ended <- struct{}{}
				}()
				<-held
			}
			hold(of.first)
			hold(of.second)
			soon, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if status, err := ask(soon, of.third); status != http.StatusTooManyRequests {
				t.Errorf("a third one, from %s, is answered: %d, %v", of.third, status, err)
			}
			hold(of.another)
			end()
			for range cap(ended) {
				<-ended
			}
		})
	}
}
