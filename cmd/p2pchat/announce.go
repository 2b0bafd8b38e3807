package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"p2pchat/peer"
)

// maxAnnounced bounds the addresses that serve prints.
const maxAnnounced = 4

// announce prints where the server listens, the addresses that others can type, and the command for the
// first caller.
func (s *service) announce() {
	if auto := s.options.tls.auto; auto.host != "" {
		fmt.Fprintf(s.notes, "p2pchat: certificates for %s come from %s; --tls-auto accepts its terms\n", s.certificate.Name(), auto.server)
	}
	at := s.scheme() + "://" + s.listener.Addr().String()
	fmt.Fprintf(s.notes, "p2pchat: listening on %s\n", at)
	urls := s.urls()
	if urls[0] != at && !onLoopback(urls[0]) {
		fmt.Fprintf(s.notes, "p2pchat: others reach it at %s, with p2pchat or in a browser\n", either(urls))
	}
	command := "p2pchat call"
	if urls[0] != defaultServer {
		command += " --server " + quoted(urls[0])
	}
	switch {
	case s.options.keyFile != "":
		command += " --access-key-file " + quoted(s.options.keyFile)
	case s.config.AccessKey != "":
		command += ", with P2PCHAT_ACCESS_KEY"
	}
	fmt.Fprintf(s.notes, "p2pchat: to start a call: %s\n", command)
	if s.relay != nil {
		fmt.Fprintf(s.notes, "p2pchat: relaying at %s\n", s.relay)
	}
	if s.options.mail.on && s.options.store.where == storeInMemory {
		fmt.Fprintln(s.notes, "p2pchat: mail is kept in memory, and gone when this server stops; with --store, NATS keeps it on disk")
	}
}

func (s *service) scheme() string {
	if s.certificate != nil {
		return "https"
	}
	return "http"
}

// urls lists where others reach the server, the best URL first. There is always one.
func (s *service) urls() (urls []string) {
	if public := s.options.publicURL; public != "" {
		return []string{strings.TrimRight(public, "/")}
	}
	listen := s.listener.Addr().String()
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return []string{s.scheme() + "://" + listen}
	}
	hosts := []string{host}
	ip, _ := netip.ParseAddr(host)
	switch {
	case s.certificate != nil && s.certificate.Name() != "":
		hosts = []string{s.certificate.Name()}
	case ip.IsUnspecified():
		hosts = nil
		for _, a := range ownAddresses() {
			hosts = append(hosts, a.String())
		}
	case listen == defaultServe && s.certificate == nil:
		return []string{defaultServer}
	}
	for _, h := range hosts[:min(len(hosts), maxAnnounced)] {
		u := url.URL{Scheme: s.scheme(), Host: net.JoinHostPort(h, port)}
		if port == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
			u.Host = strings.TrimSuffix(u.Host, ":"+port)
		}
		urls = append(urls, u.String())
	}
	return urls
}

// ownAddresses returns the addresses of this machine that others can use: those of the default routes or, if
// there are none, those of all interfaces. A machine without a network has only its loopback address.
func ownAddresses() []netip.Addr {
	list := routedAddresses()
	if len(list) == 0 {
		all, _ := net.InterfaceAddrs() // none if it fails
		for _, one := range all {
			if p, err := netip.ParsePrefix(one.String()); err == nil && p.Addr().IsGlobalUnicast() {
				list = append(list, p.Addr().Unmap())
			}
		}
	}
	if len(list) == 0 {
		list = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	slices.SortFunc(list, netip.Addr.Compare) // IPv4 first
	return list
}

// routedAddresses returns the addresses of the default routes, IPv4 first, without private IPv6 addresses.
func routedAddresses() []netip.Addr {
	return slices.DeleteFunc(peer.DefaultAddresses(), func(a netip.Addr) bool {
		return a.Is6() && (!a.IsGlobalUnicast() || a.IsPrivate())
	})
}
