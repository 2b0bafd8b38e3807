// Package certs supplies and renews the TLS certificate of a server: from two files that may change
// (FromFiles), or from a certificate authority that speaks ACME, RFC 8555 (FromACME).
package certs

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// A Certificate is a server's. If it changes while the server runs, new connections get the new one.
type Certificate struct {
	get       func(*tls.ClientHelloInfo) (*tls.Certificate, error) // for tls.Config
	names     []string                                             // DNS names in it
	ips       []net.IP                                             // addresses in it
	protocols []string                                             // ALPN protocols for its own use
	renew     func(context.Context)                                // nil if Renew has nothing to do
}

// cipherSuites of TLS 1.2: forward secrecy and authenticated encryption, no CBC. All suites of TLS 1.3
// are like that.
var cipherSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Config returns the TLS configuration for the ALPN protocols named, or for any if none is named.
func (c *Certificate) Config(protocols ...string) *tls.Config {
	if len(protocols) > 0 {
		protocols = append(protocols, c.protocols...)
	}
	return &tls.Config{GetCertificate: c.get, NextProtos: protocols, MinVersion: tls.VersionTLS12, CipherSuites: cipherSuites}
}

// Name returns the certificate's DNS name, or "" if it has several or a wildcard.
func (c *Certificate) Name() string {
	if len(c.names) == 1 && !strings.Contains(c.names[0], "*") {
		return c.names[0]
	}
	return ""
}

// Covers reports whether the certificate names the address.
func (c *Certificate) Covers(a netip.Addr) bool {
	return slices.ContainsFunc(c.ips, func(ip net.IP) bool {
		b, ok := netip.AddrFromSlice(ip)
		return ok && b.Unmap() == a
	})
}

// Renew obtains the certificate before the first client needs it, and logs its state, until ctx ends. It may
// be called once. A certificate from files needs no renewal: then Renew returns at once.
func (c *Certificate) Renew(ctx context.Context) {
	if c.renew != nil {
		c.renew(ctx)
	}
}
