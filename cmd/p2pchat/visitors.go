package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"p2pchat/signaling/server"
)

// visitorOptions are the flags of serve about those who ask it.
type visitorOptions struct {
	rate         string
	connections  string
	proxies      []string
	origins      []string
	logAddresses bool
}

func (o *visitorOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.rate, "rate", "client=50,burst=200,all=0", "requests a second of one client, at once, and of all; 0 is no limit")
	f.StringVar(&o.connections, "connections", "client=1000,all=60000", "connections that one client and all may have open; 0 is no limit")
	f.StringArrayVar(&o.proxies, "trusted-proxy", nil, "address or network (10.0.0.0/8) whose X-Forwarded-For counts (repeatable)")
	f.StringArrayVar(&o.origins, "cors-origin", nil, "web page's origin that may use this server: https://chat.example.org, or * (repeatable)")
	f.BoolVar(&o.logAddresses, "log-addresses", false, "log clients' addresses whole, not their networks'")
}

func (o *visitorOptions) configure(c *server.Config) (err error) {
	if c.Rate, err = requestRate(o.rate); err != nil {
		return err
	}
	if c.Connections, err = connections(o.connections); err != nil {
		return err
	}
	for _, text := range o.proxies {
		p, err := netip.ParsePrefix(text)
		if a, notAddress := netip.ParseAddr(text); notAddress == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return &usageError{err: fmt.Errorf("--trusted-proxy: %q is no address", text), hint: "it looks like 192.0.2.1, or 10.0.0.0/8 for a network"}
		}
		c.TrustedProxies = append(c.TrustedProxies, p)
	}
	for _, text := range o.origins {
		u, err := url.Parse(text)
		if text != "*" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Scheme+"://"+u.Host != text) {
			return &usageError{err: fmt.Errorf("--cors-origin: %q is no origin", text), hint: "it looks like https://chat.example.org, without a path"}
		}
	}
	c.Origins, c.LogAddresses = o.origins, o.logAddresses
	return nil
}

func connections(text string) (n server.Connections, err error) {
	n = server.Connections{Client: 1000, All: 60_000} // what is left out
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		most, err := strconv.ParseUint(value, 10, 31)
		switch {
		case err == nil && name == "client":
			n.Client = int(most)
		case err == nil && name == "all":
			n.All = int(most)
		default:
			return n, &usageError{err: fmt.Errorf("--connections: %q is none", part), hint: "it looks like client=1000,all=60000; what is left out stays as it is"}
		}
	}
	return n, nil
}

func requestRate(text string) (r server.Rate, err error) {
	bad := func(part string) error {
		return &usageError{err: fmt.Errorf("--rate: %q is none", part), hint: "it looks like client=50,burst=200,all=2000; what is left out stays as it is"}
	}
	r = server.Rate{Client: 50, Burst: 200} // what is left out
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || !(n >= 0 && n <= 1e6) {
			return r, bad(part)
		}
		switch name {
		case "client":
			r.Client = n
		case "burst":
			r.Burst = int(n)
		case "all":
			r.All = n
		default:
			return r, bad(part)
		}
	}
	if r.Client > 0 && r.Burst < 1 {
		return r, &usageError{err: errors.New("--rate: a client's burst must be 1 at least")}
	}
	return r, nil
}
