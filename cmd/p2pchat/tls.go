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
	f.StringVar(&o.cert, "tls-cert", "", "file with the certificate chain (PEM): serve HTTPS, and TURN over TLS; read anew when it changes")
	f.StringVar(&o.key, "tls-key", "", "file with its private key (PEM)")
	o.auto.register(f)
}

// open finds the certificate. It is nil without one.
func (o *tlsOptions) open(ctx context.Context, log *slog.Logger) (*certificate, error) {
	files := o.cert != "" || o.key != ""
	switch {
	case files && o.auto.host != "":
		return nil, &usageError{err: errors.New("--tls-auto gets a certificate: --tls-cert and --tls-key are for one that you have")}
	case o.auto.host != "":
		return o.auto.open(ctx, log)
	case o.auto.needless():
		return nil, &usageError{err: errors.New("--tls-auto HOST is missing: what begins with --tls-auto belongs to it")}
	case !files:
		return nil, nil
	case o.cert == "" || o.key == "":
		return nil, &usageError{err: errors.New("--tls-cert and --tls-key go together")}
	}
	return openFiles(o.cert, o.key, log)
}

// A certificate is where the server's certificate comes from. It may become another one
// while the server runs: new connections get the new one.
type certificate struct {
	get       func(*tls.ClientHelloInfo) (*tls.Certificate, error) // what tls.Config asks
	names     []string                                             // that it is for
	ips       []net.IP                                             // that it is for
	protocols []string                                             // that it needs for itself, beside what is served
	keep      func()                                               // sees to it until its context ends; nil: nobody has to
}

// cipherSuites of TLS 1.2: forward secrecy and authenticated encryption, and no CBC. Those of
// TLS 1.3 are all so.
var cipherSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// config is TLS for the protocols named; for whatever a client wants to speak, if none is.
func (c *certificate) config(protocols ...string) *tls.Config {
	if len(protocols) > 0 {
		protocols = append(protocols, c.protocols...)
	}
	return &tls.Config{GetCertificate: c.get, NextProtos: protocols, MinVersion: tls.VersionTLS12, CipherSuites: cipherSuites}
}

// name is the name that the certificate is for, if it is for one alone.
func (c *certificate) name() string {
	if len(c.names) == 1 && !strings.Contains(c.names[0], "*") {
		return c.names[0]
	}
	return ""
}

// covers tells whether the certificate is for an address.
func (c *certificate) covers(a netip.Addr) bool {
	return slices.ContainsFunc(c.ips, func(ip net.IP) bool {
		b, ok := netip.AddrFromSlice(ip)
		return ok && b.Unmap() == a
	})
}
