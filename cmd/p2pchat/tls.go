package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
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
	if err := c.read(c.changed()); err != nil {
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
	tried   time.Time // when the files were changed that were read last
}

// changed is when the newer of the files was.
func (c *certificate) changed() (last time.Time) {
	for _, name := range []string{c.files.cert, c.files.key} {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
	}
	return last
}

// read loads the files, under mu.
func (c *certificate) read(changed time.Time) error {
	c.tried = changed
	pair, err := tls.LoadX509KeyPair(c.files.cert, c.files.key)
	if err != nil {
		return err
	}
	c.current = &pair
	return nil
}

// get is the certificate as the files have it, or had it before they were spoilt.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if changed := c.changed(); !changed.Equal(c.tried) {
		if err := c.read(changed); err != nil {
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

// name is a name that the certificate is for, or empty.
func (c *certificate) name() string {
	for _, n := range c.current.Leaf.DNSNames {
		if !strings.Contains(n, "*") {
			return n
		}
	}
	return ""
}
