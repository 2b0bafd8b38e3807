package main

import (
	"cmp"
	"errors"
	"math"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"p2pchat/signaling/server"
)

// clientOptions are the flags of serve about its clients: their limits, their addresses, and the sites of
// their pages.
type clientOptions struct {
	rate         string
	connections  string
	proxies      []string
	origins      []string
	logAddresses bool
}

func (o *clientOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.rate, "rate", "client=50,burst=200,all=0", "`LIMITS`: requests a second of one client, its burst, and requests a second of all clients; 0 means no limit, and client=0 sets --max-client-rooms and --max-client-waiting to 0")
	f.StringVar(&o.connections, "connections", "client=1000,all=60000", "`LIMITS`: open connections of one client and of all clients; 0 means no limit")
	f.StringArrayVar(&o.proxies, "trusted-proxy", nil, "`ADDRESS` or network (10.0.0.0/8) of a proxy whose X-Forwarded-For is believed (repeatable)")
	f.StringArrayVar(&o.origins, "cors-origin", nil, "`ORIGIN` of another site's pages that may use this server: https://chat.example.org, or * for all (repeatable)")
	f.BoolVar(&o.logAddresses, "log-addresses", false, "log the whole addresses of clients instead of their networks")
}

// configure reads the values of the flags into c.
func (o *clientOptions) configure(c *server.Config) error {
	var errs [3]error
	c.Rate, errs[0] = readRates(o.rate)
	c.Connections, errs[1] = readConnections(o.connections)
	c.TrustedProxies, errs[2] = readProxies(o.proxies)
	c.Origins, c.LogAddresses = o.origins, o.logAddresses
	return cmp.Or(errs[0], errs[1], errs[2], checkOrigins(o.origins))
}

// readRates reads the value of --rate.
func readRates(text string) (server.Rate, error) {
	r := server.Rate{Client: 50, Burst: 200}
	err := parseLimits("--rate", text, "client=50,burst=200", map[string]func(string) bool{
		"client": readRate(&r.Client), "burst": readWhole(&r.Burst), "all": readRate(&r.All),
	})
	if err == nil && r.Client > 0 && r.Burst < 1 {
		err = &usageError{err: errors.New("--rate: burst must be at least 1")}
	}
	return r, err
}

// readConnections reads the value of --connections.
func readConnections(text string) (server.Connections, error) {
	c := server.Connections{Client: 1000, All: 60_000}
	err := parseLimits("--connections", text, "client=1000,all=60000", map[string]func(string) bool{
		"client": readInt(&c.Client, 0, math.MaxInt32), "all": readInt(&c.All, 0, math.MaxInt32),
	})
	return c, err
}

// readProxies reads the values of --trusted-proxy.
func readProxies(list []string) (networks []netip.Prefix, err error) {
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if a, notAddress := netip.ParseAddr(text); notAddress == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return nil, cannotRead("--trusted-proxy", text, "192.0.2.1, or 10.0.0.0/8 for a network")
		}
		networks = append(networks, p)
	}
	return networks, nil
}

// checkOrigins checks the values of --cors-origin.
func checkOrigins(list []string) error {
	for _, text := range list {
		if text != "*" && !isOrigin(text) {
			return cannotRead("--cors-origin", text, "https://chat.example.org, without a path")
		}
	}
	return nil
}

// isOrigin reports whether text is a scheme and a host (RFC 6454, section 6.2).
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && u.Scheme+"://"+u.Host == text
}

// parseLimits reads the value of a flag such as client=50,burst=200. Each name has a function that reports
// whether it could read its value. It returns a usageError for a part that makes no sense.
func parseLimits(flag, text, example string, read map[string]func(string) bool) error {
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		if read[name] == nil || !read[name](value) {
			return cannotRead(flag, part, example)
		}
	}
	return nil
}

// readInt returns a function that reads an integer from least to most.
func readInt(into *int, least, most int) func(string) bool {
	return func(text string) bool {
		n, err := strconv.ParseUint(text, 10, 63)
		*into = int(n)
		return err == nil && least <= *into && *into <= most
	}
}

// readWhole returns a function that reads a number up to a million, and drops what is behind its decimal point.
func readWhole(into *int) func(string) bool {
	return func(text string) bool {
		var n float64
		ok := readRate(&n)(text)
		*into = int(n)
		return ok
	}
}

// readRate returns a function that reads a number per second, up to a million.
func readRate(into *float64) func(string) bool {
	return func(text string) bool {
		n, err := strconv.ParseFloat(text, 64)
		*into = n
		return err == nil && n >= 0 && n <= 1e6
	}
}

// readDuration returns a function that reads a duration greater than 0.
func readDuration(into *time.Duration) func(string) bool {
	return func(text string) bool {
		d, err := time.ParseDuration(text)
		*into = d
		return err == nil && d > 0
	}
}
