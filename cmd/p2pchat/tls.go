package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// tlsOptions are the flags of serve for its certificate.
type tlsOptions struct {
	cert, key string
	auto      acmeOptions
}

func (o *tlsOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.cert, "tls-cert", "", "`FILE` with the certificate chain (PEM), for HTTPS and TURN over TLS; read again when it changes")
	f.StringVar(&o.key, "tls-key", "", "`FILE` with its private key (PEM)")
	o.auto.register(f)
}

// open returns the certificate, or nil if no flag asks for one.
func (o *tlsOptions) open(ctx context.Context, log *slog.Logger) (*certificate, error) {
	files := o.cert != "" || o.key != ""
	switch {
	case files && o.auto.host != "":
		return nil, &usageError{err: errors.New("--tls-auto gets a certificate by itself: leave out --tls-cert and --tls-key")}
	case o.auto.host != "":
		return o.auto.open(ctx, log)
	case o.auto.needless():
		return nil, &usageError{err: errors.New("the other --tls-auto flags need --tls-auto HOST")}
	case !files:
		return nil, nil
	case o.cert == "" || o.key == "":
		return nil, &usageError{err: errors.New("--tls-cert and --tls-key need each other")}
	}
	return openFiles(o.cert, o.key, log)
}

// A certificate supplies the server's certificate. If that changes while the server runs, new
// connections get the new one.
type certificate struct {
	get       func(*tls.ClientHelloInfo) (*tls.Certificate, error) // what tls.Config asks
	names     []string                                             // DNS names in it
	ips       []net.IP                                             // addresses in it
	protocols []string                                             // ALPN protocols for its own use
	keep      func()                                               // renews it until its context ends; may be nil
}

// cipherSuites of TLS 1.2: forward secrecy and authenticated encryption, no CBC. All suites of TLS 1.3
// are like that.
var cipherSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// config returns the TLS configuration for the ALPN protocols named, or for any if none is named.
func (c *certificate) config(protocols ...string) *tls.Config {
	if len(protocols) > 0 {
		protocols = append(protocols, c.protocols...)
	}
	return &tls.Config{GetCertificate: c.get, NextProtos: protocols, MinVersion: tls.VersionTLS12, CipherSuites: cipherSuites}
}

// name returns the certificate's DNS name, or "" if it has several or a wildcard.
func (c *certificate) name() string {
	if len(c.names) == 1 && !strings.Contains(c.names[0], "*") {
		return c.names[0]
	}
	return ""
}

// covers reports whether the certificate names the address.
func (c *certificate) covers(a netip.Addr) bool {
	return slices.ContainsFunc(c.ips, func(ip net.IP) bool {
		b, ok := netip.AddrFromSlice(ip)
		return ok && b.Unmap() == a
	})
}
