// Package proxy connects through the proxy that a person or the environment names: SOCKS5 (RFC 1928, RFC 1929) or
// HTTP CONNECT (RFC 9110, section 9.3.6). The proxy looks up the names of the servers behind it: this machine asks no
// name server for them.
package proxy

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"

	"p2pchat/signaling"
)

// None is the name of no proxy, whatever the environment says.
const None = "none"

// maxReply bounds a proxy's reply to CONNECT, in bytes.
const maxReply = 16 << 10

// schemes are those of proxies, with the default port of each (RFC 1928; curl's for HTTP proxies).
var schemes = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080", "socks": "1080"}

// A Rule says which proxy, if any, leads to a server. The zero Rule uses none.
type Rule struct {
	choose func(*url.URL) (*url.URL, error) // nil: none
	origin func(scheme string) string       // who named it
}

// Named returns the Rule for a proxy that a person names, as a URL or None; origin says where. All connections use the
// proxy, but for those to hosts of NO_PROXY. The error is about the URL, without its password.
func Named(raw, origin string, getenv func(string) string) (Rule, error) {
	if raw == None {
		return Rule{}, nil
	}
	at, err := parse(raw)
	if err != nil {
		return Rule{}, err
	}
	noProxy := variable(getenv, "NO_PROXY")
	direct := (&httpproxy.Config{HTTPSProxy: at.String(), NoProxy: noProxy}).ProxyFunc()
	return Rule{
		choose: func(to *url.URL) (*url.URL, error) {
			if isLoopback(to.Hostname()) && !leavesOut(noProxy, to) { // httpproxy leaves these out, but this proxy was named for all
				return at, nil
			}
			return direct(&url.URL{Scheme: "https", Host: to.Host})
		},
		origin: func(string) string { return origin },
	}, nil
}

// Environment returns the Rule of the variables HTTPS_PROXY, ALL_PROXY and NO_PROXY, in capitals or not, as curl and
// net/http have them: connections of this machine to itself use none. HTTP_PROXY is left to net/http: such a proxy is
// asked for documents, not for connections.
func Environment(getenv func(string) string) Rule {
	all := variable(getenv, "ALL_PROXY")
	config := &httpproxy.Config{HTTPProxy: all, HTTPSProxy: cmp.Or(variable(getenv, "HTTPS_PROXY"), all), NoProxy: variable(getenv, "NO_PROXY")}
	if config.HTTPSProxy == "" {
		return Rule{}
	}
	choose := config.ProxyFunc()
	return Rule{
		choose: func(to *url.URL) (*url.URL, error) {
			at, err := choose(to)
			if at == nil || err != nil {
				return nil, err
			}
			return parse(at.String())
		},
		origin: func(scheme string) string {
			if scheme == "https" && variable(getenv, "HTTPS_PROXY") != "" {
				return "HTTPS_PROXY"
			}
			return "ALL_PROXY"
		},
	}
}

// variable returns the value of an environment variable whose name may be in small letters, too.
func variable(getenv func(string) string, name string) string {
	return cmp.Or(getenv(strings.ToLower(name)), getenv(name))
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// leavesOut reports whether a value of NO_PROXY leaves out a host that isLoopback. httpproxy does so whatever the value is.
func leavesOut(noProxy string, to *url.URL) bool {
	host := to.Hostname()
	ip, _ := netip.ParseAddr(host) // a name is in no network
	for entry := range strings.SplitSeq(noProxy, ",") {
		entry = strings.ToLower(strings.TrimSpace(entry))
		network, err := netip.ParsePrefix(entry)
		if entry == "*" || entry == host || entry == to.Host || err == nil && network.Contains(ip) {
			return true
		}
	}
	return false
}

// parse checks the URL of a proxy. Its errors have no password.
func parse(raw string) (*url.URL, error) {
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	at, err := url.Parse(raw)
	if err != nil || at.Hostname() == "" {
		return nil, errors.New("that is not the URL of a proxy")
	}
	port, known := schemes[at.Scheme]
	if !known {
		return nil, fmt.Errorf("%s:// is no kind of proxy that this program can use", at.Scheme)
	}
	at.Host = net.JoinHostPort(at.Hostname(), cmp.Or(at.Port(), port))
	return at, nil
}

// Find returns the proxy on the way to a server, as people may see it: its URL without a password, and who named it; and
// whether this machine may look up names, which socks5h forbids. The name is "" if there is no proxy. The URL of a TURN
// server has the scheme https.
func (r Rule) Find(server *url.URL) (name string, lookups bool, err error) {
	t, err := r.tunnel(server)
	if err != nil || t == nil {
		return "", true, err
	}
	return t.name, t.at.Scheme != "socks5h", nil
}

// tunnel returns the tunnel to a server, or nil if no proxy leads there.
func (r Rule) tunnel(server *url.URL) (*tunnel, error) {
	if r.choose == nil {
		return nil, nil
	}
	at, err := r.choose(server)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.origin(server.Scheme), err)
	}
	if at == nil {
		return nil, nil
	}
	shown := url.URL{Scheme: at.Scheme, Host: at.Host}
	return &tunnel{at: at, name: fmt.Sprintf("%s (%s)", shown.String(), r.origin(server.Scheme))}, nil
}

// Via returns a signaling.Dial that connects to servers with the URL scheme http or https through the proxy, where the
// Rule has one. Its errors wrap signaling.ErrProxy or signaling.ErrProxyRefuses if the proxy fails, not the server.
func (r Rule) Via(scheme string, direct signaling.Dial) signaling.Dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		t, err := r.tunnel(&url.URL{Scheme: scheme, Host: address})
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: %w", signaling.ErrProxyRefuses, err)
		case t == nil:
			return direct(ctx, network, address)
		}
		return t.dial(ctx, direct, address)
	}
}

// A tunnel leads through one proxy.
type tunnel struct {
	at   *url.URL
	name string // for people
}

func (t *tunnel) dial(ctx context.Context, direct signaling.Dial, address string) (net.Conn, error) {
	conn, err := direct(ctx, "tcp", t.at.Host)
	if err != nil {
		return nil, failure{fmt.Sprintf("the proxy %s cannot be reached: %v", t.name, innermost(err)), signaling.ErrProxy}
	}
	// The context ends what waits for the proxy.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	through, err := t.through(ctx, conn, address)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		return through, nil
	}
	_ = conn.Close()
	if f := (failure{}); errors.As(err, &f) {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, failure{fmt.Sprintf("the proxy %s does not answer", t.name), signaling.ErrProxy}
	}
	return nil, failure{fmt.Sprintf("the proxy %s broke off: %v", t.name, innermost(err)), signaling.ErrProxy}
}

// through asks the proxy at the other end of conn for a connection to an address.
func (t *tunnel) through(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	switch t.at.Scheme {
	case "http":
		return conn, t.connect(conn, address)
	case "https":
		secure := tls.Client(conn, &tls.Config{ServerName: t.at.Hostname(), MinVersion: tls.VersionTLS12})
		if err := secure.HandshakeContext(ctx); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			return nil, failure{fmt.Sprintf("the proxy %s is not trusted: %v", t.name, err), signaling.ErrProxyRefuses}
		}
		return secure, t.connect(secure, address)
	default:
		return t.socks(ctx, conn, address)
	}
}

// connect sends a CONNECT request, and reads the reply.
func (t *tunnel) connect(conn net.Conn, address string) error {
	header := http.Header{}
	if u := t.at.User; u != nil {
		password, _ := u.Password()
		header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: header}
	if err := request.Write(conn); err != nil {
		return err
	}
	from := bufio.NewReader(&io.LimitedReader{R: conn, N: maxReply})
	reply, err := http.ReadResponse(from, request) //nolint:bodyclose // the body is the connection
	if err != nil {
		return err
	}
	switch status := reply.StatusCode; {
	case status == http.StatusOK && from.Buffered() == 0:
		return nil
	case status == http.StatusOK:
		return errors.New("it sent more than its reply")
	case status == http.StatusProxyAuthRequired && t.at.User == nil:
		return t.refusal("asks for a name and a password (407)")
	case status == http.StatusProxyAuthRequired:
		return t.refusal("refuses that name and password (407)")
	case status >= 500:
		return t.unreachable(fmt.Sprintf("%d %s", status, http.StatusText(status)))
	}
	return t.refusal(fmt.Sprintf("refuses a connection to %s (%d %s)", address, reply.StatusCode, http.StatusText(reply.StatusCode)))
}

// socks asks a SOCKS5 proxy.
func (t *tunnel) socks(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	var auth *proxy.Auth
	if u := t.at.User; u != nil {
		password, _ := u.Password()
		auth = &proxy.Auth{User: u.Username(), Password: password}
	}
	client, err := proxy.SOCKS5("tcp", t.at.Host, auth, connected{conn})
	if err != nil {
		return nil, err
	}
	through, err := client.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
	if err == nil {
		return through, nil
	}
	switch reason := innermost(err).Error(); {
	case strings.Contains(reason, "authentication failed"):
		return nil, t.refusal("refuses that name and password")
	case strings.Contains(reason, "no acceptable authentication methods"):
		return nil, t.refusal("asks for a name and a password")
	case strings.Contains(reason, "not allowed by ruleset"):
		return nil, t.refusal("refuses a connection to " + address)
	case slices.ContainsFunc(socksReplies, func(text string) bool { return strings.Contains(reason, text) }):
		return nil, t.unreachable(strings.TrimPrefix(reason, "unknown error "))
	}
	return nil, err
}

// socksReplies are those of a proxy that works, in the words of x/net: see RFC 1928, section 6.
var socksReplies = []string{"general SOCKS server failure", "network unreachable", "host unreachable", "connection refused", "TTL expired"}

// connected is a dialer for a connection that is there.
type connected struct{ net.Conn }

func (c connected) Dial(string, string) (net.Conn, error) { return c.Conn, nil }

func (c connected) DialContext(context.Context, string, string) (net.Conn, error) { return c.Conn, nil }

func (t *tunnel) refusal(what string) error {
	return failure{fmt.Sprintf("the proxy %s %s", t.name, what), signaling.ErrProxyRefuses}
}

// unreachable returns the error for a server that the proxy has tried to reach.
func (t *tunnel) unreachable(why string) error {
	return failure{fmt.Sprintf("the proxy %s cannot reach it: %s", t.name, why), signaling.ErrUnreachable}
}

// A failure has a text of its own, and a kind.
type failure struct {
	text string
	kind error
}

func (f failure) Error() string { return f.text }
func (f failure) Unwrap() error { return f.kind }

// Is makes a failure of the proxy one to reach the server, too.
func (f failure) Is(target error) bool { return target == signaling.ErrUnreachable }

// innermost removes addresses and system calls from an error of package net.
func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
