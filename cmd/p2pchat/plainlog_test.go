package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What libraries log (pion, net/http, package log) is not for people: at the default level, each
// line on stderr is a sentence of the program, whatever others send to it.
func TestNoRawLogLineReachesAPerson(t *testing.T) {
	t.Parallel()
	name := t.TempDir() + "/own"
	if err := certify(name, "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	server := launch(t, "serve", "--listen", "127.0.0.1:0", "--tls-cert", name+".pem", "--tls-key", name+".key", "--relay", "--relay-listen", "127.0.0.1:0")
	address := server.notes(t, `listening on https://(\S+)`)[1]
	relay := server.notes(t, `relaying at (\S+),`)[1]
	strange(t, "tcp", address, "GET / HTTP/1.1\r\n\r\n")
	strange(t, "tcp", address, "\x16\x03\x01\xff\xff garbage")
	strange(t, "tcp", relay, "\x00\x03\xff\xff!\x12\xa4\x42")
	strange(t, "udp", relay, "\x00\x03\x00\x08!\x12\xa4\x42123456789012\x00\x19\x00\x04\x11\x00\x00")
	strange(t, "tcp", address, "")                                                             // nothing of a handshake
	if c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}); err == nil { //nolint:gosec // the test's own
		write(c, "NONSENSE\r\n\r\n")
		_ = c.Close()
	}

	// A server that talks before it is asked; ICE servers that are not there; a callee that is killed.
	meeting := serving(t)
	args := []string{"standup-amber-falcon", "--server", meeting, "--ice-server", "stun:127.0.0.1:9", "--ice-server", "turn:u:p@127.0.0.1:9?transport=tcp", "--ice-server", "stun:chat.invalid:3478"}
	caller := launch(t, append([]string{"call"}, args...)...)
	caller.notes(t, "Waiting for the other side")
	callee := launch(t, append([]string{"answer"}, args...)...)
	caller.notes(t, "Connected with")
	if err := callee.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	caller.notes(t, "Disconnected")
	ssh := launch(t, "call", "standup", "--server", "http://"+answersEach(t, func(c net.Conn) { write(c, "SSH-2.0-OpenSSH_9.6\r\n") }))
	ssh.finish(t)
	// A server that refuses its list of ICE servers: the program goes on without, and says so in a sentence.
	quiet := launch(t, "call", "standup", "--server", withoutICE(t))
	quiet.notes(t, `^p2pchat: warning: going on without the server's STUN and TURN servers: `)
	for name, p := range map[string]*process{"serve": server, "call": caller, "answer": callee, "a call at ssh": ssh, "a call without ICE servers": quiet} {
		_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended
		p.finish(t)
		for line := range strings.Lines(p.err.String()) {
			if !strings.HasPrefix(line, "p2pchat: ") || regexp.MustCompile(`level=|pion|time=|\d{4}/\d\d/\d\d`).MatchString(line) {
				t.Errorf("%s: a line of a log: %s", name, line)
			}
		}
	}
}

// withoutICE is the address of a server behind a proxy that refuses the list of ICE servers.
func withoutICE(t *testing.T) string {
	t.Helper()
	behind, err := url.Parse(serving(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/ice-servers") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"type":"urn:p2pchat:forbidden","title":"Forbidden","status":403,"detail":"no ICE servers here"}`)) // the client may be gone
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// strange sends text to a port, and hangs up once the server has.
func strange(t *testing.T, network, address, text string) {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	write(c, text)
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // the server may have hung up
		_ = c.SetReadDeadline(time.Now().Add(patience))
		_, _ = c.Read(make([]byte, 1000))
	}
}
