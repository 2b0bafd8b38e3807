package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"
)

// tlsOptions are the flags of serve for its certificate.
type tlsOptions struct{ cert, key string }

func (o *tlsOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.cert, "tls-cert", "", "file with the certificate chain (PEM): serve HTTPS, and TURN over TLS; read anew when it changes")
	f.StringVar(&o.key, "tls-key", "", "file with its private key (PEM)")
}

// load reads the certificate. It is nil without one.
func (o *tlsOptions) load(log *slog.Logger) (*certificate, error) {
	switch {
	case o.cert == "" && o.key == "":
		return nil, nil
	case o.cert == "" || o.key == "":
		return nil, &usageError{err: errors.New("--tls-cert and --tls-key go together")}
	}
	c := &certificate{files: *o, log: log}
	if err := c.load(c.now()); err != nil {
		return nil, &usageError{err: fmt.Errorf("--tls-cert, --tls-key: %w", err)}
	}
	return c, nil
}

// A certificate is one in files that may change: when it is renewed, new connections get
// the new one.
type certificate struct {
	files tlsOptions
	log   *slog.Logger

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	read    [2]fileVersion // what was read last
}

// A fileVersion is that of a file.
type fileVersion struct {
	changed time.Time
	size    int64
}

// now is how the files are.
func (c *certificate) now() (v [2]fileVersion) {
	for i, name := range []string{c.files.cert, c.files.key} {
		if info, err := os.Stat(name); err == nil {
			v[i] = fileVersion{info.ModTime(), info.Size()}
		}
	}
	return v
}

// load reads the files, under mu, which are of that version or a newer one.
func (c *certificate) load(v [2]fileVersion) error {
	pair, err := tls.LoadX509KeyPair(c.files.cert, c.files.key)
	c.read = v
	if err == nil {
		c.current = &pair
	}
	return err
}

// get is the certificate as the files have it, or had it before they were spoilt.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.now(); v != c.read {
		if err := c.load(v); err != nil {
			c.log.Warn("the new certificate cannot be used; going on with the one before", "error", err)
		} else {
			c.log.Info("took the new certificate", "until", c.current.Leaf.NotAfter)
		}
	}
	return c.current, nil
}

// config is TLS for the protocols named.
func (c *certificate) config(protocols ...string) *tls.Config {
	return &tls.Config{GetCertificate: c.get, NextProtos: protocols, MinVersion: tls.VersionTLS12}
}

// name is the name that the certificate is for, if it is for one alone.
func (c *certificate) name() string {
	if names := c.current.Leaf.DNSNames; len(names) == 1 && !strings.Contains(names[0], "*") {
		return names[0]
	}
	return ""
}

// covers tells whether the certificate is for an address.
func (c *certificate) covers(a netip.Addr) bool {
	return slices.ContainsFunc(c.current.Leaf.IPAddresses, func(ip net.IP) bool {
		b, ok := netip.AddrFromSlice(ip)
		return ok && b.Unmap() == a
	})
}
