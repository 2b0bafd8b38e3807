package main

import (
	"net/netip"
	"strings"
	"testing"

	"p2pchat/signaling/lan"
)

// The address for people on the local network is one of that network, whatever other addresses the machine has.
func TestTypableAddresses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ routed, on, want string }{ // of bridges with a b
		"IPv4":                                {routed: "192.168.1.5", on: "fe80::1 192.168.1.5", want: "192.168.1.5"},
		"IPv4 without a route":                {on: "192.168.1.5", want: "192.168.1.5"},
		"IPv4 and IPv6":                       {routed: "192.168.1.5 2001:db8::5", on: "2001:db8::5 192.168.1.5", want: "192.168.1.5"},
		"two networks":                        {routed: "10.1.1.5", on: "192.168.1.5 10.1.1.5", want: "10.1.1.5"},
		"a bridge that has the route":         {routed: "192.168.1.5", on: "192.168.1.5b", want: "192.168.1.5"},
		"a bridge for containers":             {routed: "192.168.1.5", on: "172.17.0.1b 192.168.1.5", want: "192.168.1.5"},
		"IPv6 alone":                          {routed: "2001:db8::5", on: "fe80::1 2001:db8::5", want: "2001:db8::5"},
		"IPv6 with a private address":         {routed: "2001:db8::5", on: "2001:db8::5 fd00::5", want: "fd00::5"},
		"private IPv6 without a route":        {on: "fe80::1 fd00::5", want: "fd00::5"},
		"IPv6, and a tunnel for IPv4":         {routed: "192.0.0.2 2001:db8::5", on: "2001:db8::5", want: "2001:db8::5"},
		"IPv6, and IPv4 translated there":     {routed: "192.0.0.2 2001:db8::5", on: "192.0.0.2 2001:db8::5", want: "2001:db8::5"},
		"IPv6, and a VPN":                     {routed: "2001:db8::5", on: "100.100.1.2 2001:db8::5", want: "2001:db8::5"},
		"IPv6, and a bridge":                  {routed: "2001:db8::5", on: "2001:db8::5 172.17.0.1b", want: "2001:db8::5"},
		"IPv6, and link-local IPv4":           {routed: "2001:db8::5", on: "2001:db8::5 169.254.3.4", want: "2001:db8::5"},
		"link-local IPv4 alone":               {on: "fe80::1 169.254.3.4", want: "169.254.3.4"},
		"a bridge alone":                      {on: "172.17.0.1b", want: "172.17.0.1"},
		"the Internet":                        {routed: "203.0.113.5 2001:db8::5", on: "203.0.113.5 2001:db8::5"},
		"a VPN alone, which is no local link": {routed: "10.8.0.2"},
		"link-local IPv6 alone":               {on: "fe80::1"},
	} {
		var routed []netip.Addr
		for _, a := range strings.Fields(c.routed) {
			routed = append(routed, netip.MustParseAddr(a))
		}
		var on []lan.Address
		for _, a := range strings.Fields(c.on) {
			plain, bridge := strings.CutSuffix(a, "b")
			if strings.Contains(a, ":") {
				plain, bridge = a, false
			}
			on = append(on, lan.Address{Addr: netip.MustParseAddr(plain), Bridge: bridge})
		}
		got := ""
		if a := typable(routed, on); a.IsValid() {
			got = a.String()
		}
		if got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}
