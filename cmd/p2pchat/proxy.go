package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"p2pchat/cmd/p2pchat/internal/proxy"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// A proxyOption is the flag --proxy, and what follows from it and from the environment.
type proxyOption struct {
	given string

	// derived by prepare:
	rule proxy.Rule
}

const proxyHint = "a proxy looks like socks5://127.0.0.1:9050, socks5h://127.0.0.1:9050 or http://proxy.example.org:3128; none uses none"

func (o *proxyOption) register(f *pflag.FlagSet) {
	f.StringVar(&o.given, "proxy", "", "`URL` of the proxy for the signaling server, and for TURN servers over TCP and TLS: http://, https://, socks5:// or socks5h://host:port (which also asks no name server), or none (default HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, except NO_PROXY)")
}

// prepare checks the flag.
func (o *proxyOption) prepare(c *cobra.Command) (err error) {
	if o.given == "" {
		o.rule = proxy.Environment(os.Getenv)
		return nil
	}
	origin := "--proxy"
	switch {
	case isFromFile(c, "proxy"):
		origin = "settings"
	case os.Getenv(variable("proxy")) == o.given:
		origin = variable("proxy")
	}
	o.rule, err = namedProxy(o.given, origin)
	return err
}

// namedProxy reads the value of --proxy, which origin has.
func namedProxy(text, origin string) (proxy.Rule, error) {
	rule, err := proxy.Named(text, origin, os.Getenv)
	if err != nil {
		return rule, &usageError{err: fmt.Errorf("--proxy: %w", err), hint: proxyHint}
	}
	return rule, nil
}

// ruleFor returns the Rule for a server and its ICE servers. A server that no one has named is on this machine.
func (o *proxyOption) ruleFor(serverGiven bool) proxy.Rule {
	if !serverGiven {
		return proxy.Rule{}
	}
	return o.rule
}

// wanted reports whether the person wants a proxy for any server: by the flag, or by the environment.
func (o *proxyOption) wanted() bool {
	if o.given != "" {
		return o.given != "none"
	}
	return slices.ContainsFunc([]string{"ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"}, func(name string) bool {
		return os.Getenv(name) != "" || os.Getenv(strings.ToLower(name)) != ""
	})
}

// leftToHTTP reports whether net/http finds the proxy for http:// addresses: in HTTP_PROXY.
func (o *proxyOption) leftToHTTP() bool {
	return o.given == "" && cmp.Or(os.Getenv("http_proxy"), os.Getenv("HTTP_PROXY")) != ""
}

// on names the proxy on the way to a server, for people, or returns "".
func (o *proxyOption) on(serverGiven bool, server string) string {
	to, err := url.Parse(server)
	if err != nil {
		return ""
	}
	name, _, err := o.ruleFor(serverGiven).Find(to)
	if err != nil {
		return err.Error()
	}
	return name
}

// connect makes a client of a server, and a peer, connect through the proxy if there is one for them.
func (o *proxyOption) connect(serverGiven bool, server string, client *signaling.Config, config *peer.Config) error {
	to, err := url.Parse(server)
	if err != nil {
		return &usageError{err: err}
	}
	r := o.ruleFor(serverGiven)
	if to.Scheme != "http" || !o.leftToHTTP() {
		client.Via = func(direct signaling.Dial) signaling.Dial { return r.Via(to.Scheme, direct) }
	}
	name, lookups, err := r.Find(&url.URL{Scheme: "https", Host: net.JoinHostPort(to.Hostname(), cmp.Or(to.Port(), "443"))})
	if err != nil {
		return &usageError{err: err, hint: proxyHint}
	}
	if name == "" {
		return nil
	}
	config.Proxy, config.NoLookups = r.Via("https", (&net.Dialer{}).DialContext), !lookups || config.RelayOnly
	return nil
}

// isProxyFailure reports whether err is about the proxy, not the server behind it.
func isProxyFailure(err error) bool {
	return errors.Is(err, signaling.ErrProxy) || errors.Is(err, signaling.ErrProxyRefuses)
}
