package main

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"p2pchat/signaling/server"
)

// visitorOptions are the flags of serve that bound and trust clients.
type visitorOptions struct {
	rate         string
	connections  string
	proxies      []string
	origins      []string
	logAddresses bool
}

func (o *visitorOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.rate, "rate", "client=50,burst=200,all=0", "`LIMITS`: requests a second of one client, its burst, and requests a second of all clients; 0 means no limit")
	f.StringVar(&o.connections, "connections", "client=1000,all=60000", "`LIMITS`: open connections of one client and of all clients; 0 means no limit")
	f.StringArrayVar(&o.proxies, "trusted-proxy", nil, "`ADDRESS` or network (10.0.0.0/8) of a proxy whose X-Forwarded-For is believed (repeatable)")
	f.StringArrayVar(&o.origins, "cors-origin", nil, "`ORIGIN` of another site's pages that may use this server: https://chat.example.org, or * for all (repeatable)")
	f.BoolVar(&o.logAddresses, "log-addresses", false, "log the whole addresses of clients instead of their networks")
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
			return cannotRead("--trusted-proxy", text, "192.0.2.1, or 10.0.0.0/8 for a network")
		}
		c.TrustedProxies = append(c.TrustedProxies, p)
	}
	for _, text := range o.origins {
		u, err := url.Parse(text)
		if text != "*" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Scheme+"://"+u.Host != text) {
			return cannotRead("--cors-origin", text, "https://chat.example.org, without a path")
		}
	}
	c.Origins, c.LogAddresses = o.origins, o.logAddresses
	return nil
}

func connections(text string) (n server.Connections, err error) {
	n = server.Connections{Client: 1000, All: 60_000} // the defaults
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		most, err := strconv.ParseUint(value, 10, 31)
		switch {
		case err == nil && name == "client":
			n.Client = int(most)
		case err == nil && name == "all":
			n.All = int(most)
		default:
			return n, cannotRead("--connections", part, "client=1000,all=60000")
		}
	}
	return n, nil
}

func requestRate(text string) (r server.Rate, err error) {
	bad := func(part string) error { return cannotRead("--rate", part, "client=50,burst=200") }
	r = server.Rate{Client: 50, Burst: 200} // the defaults
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
		return r, &usageError{err: errors.New("--rate: burst must be at least 1")}
	}
	return r, nil
}
