package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// mostShown bounds the addresses that serve prints.
const mostShown = 4

// announce prints where the server listens, the addresses that others can type, and the command for the
// first caller.
func (o serveOptions) announce(to io.Writer, listen net.Addr, c *certificate) {
	at := scheme(c) + "://" + listen.String()
	fmt.Fprintf(to, "p2pchat: listening on %s\n", at)
	reach := o.reachable(listen, c)
	if reach[0] != at && !onLoopback(reach[0]) {
		fmt.Fprintf(to, "p2pchat: others reach it at %s, with p2pchat or in a browser\n", either(reach))
	}
	command := "p2pchat call"
	if reach[0] != defaultServer {
		command += " --server " + quoted(reach[0])
	}
	switch {
	case o.keyFile != "":
		command += " --access-key-file " + quoted(o.keyFile)
	case o.server.AccessKey != "":
		command += ", with P2PCHAT_ACCESS_KEY"
	}
	fmt.Fprintf(to, "p2pchat: to start a call: %s\n", command)
}

func scheme(c *certificate) string {
	if c != nil {
		return "https"
	}
	return "http"
}

// reachable lists the URLs at which the server can be reached, the best one first. There is always one.
func (o serveOptions) reachable(listen net.Addr, c *certificate) (urls []string) {
	if o.publicURL != "" {
		return []string{strings.TrimRight(o.publicURL, "/")}
	}
	host, port, err := net.SplitHostPort(listen.String())
	if err != nil {
		return []string{scheme(c) + "://" + listen.String()}
	}
	hosts := []string{host}
	ip, _ := netip.ParseAddr(host)
	switch {
	case c != nil && c.name() != "":
		hosts = []string{c.name()}
	case ip.IsUnspecified():
		hosts = nil
		for _, a := range ownAddresses() {
			hosts = append(hosts, a.String())
		}
	case net.JoinHostPort(host, port) == defaultServe && c == nil:
		return []string{defaultServer}
	}
	for _, h := range hosts[:min(len(hosts), mostShown)] {
		u := url.URL{Scheme: scheme(c), Host: net.JoinHostPort(h, port)}
		if port == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
			u.Host = strings.TrimSuffix(u.Host, ":"+port)
		}
		urls = append(urls, u.String())
	}
	return urls
}

// ownAddresses lists the addresses of this machine that others can use: those of the default routes or,
// without any, those of all interfaces. A machine without a network has its loopback address alone.
func ownAddresses() []netip.Addr {
	list := routedAddresses()
	if list == nil {
		all, _ := net.InterfaceAddrs() // none if it fails
		for _, one := range all {
			if p, err := netip.ParsePrefix(one.String()); err == nil && p.Addr().IsGlobalUnicast() {
				list = append(list, p.Addr().Unmap())
			}
		}
	}
	if list == nil {
		list = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	slices.SortFunc(list, netip.Addr.Compare) // IPv4 first
	return list
}

// routedAddresses returns the addresses of the default routes, one of each family at most, and of IPv6
// none that is private. Nothing is sent (RFC 5737 and RFC 3849 keep the other ends free).
func routedAddresses() (list []netip.Addr) {
	for network, elsewhere := range map[string]string{"udp4": "192.0.2.1:9", "udp6": "[2001:db8::1]:9"} {
		conn, err := net.Dial(network, elsewhere)
		if err != nil {
			continue
		}
		a := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		conn.Close()
		if a.Is4() || a.IsGlobalUnicast() && !a.IsPrivate() {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare) // IPv4 first
	return list
}
