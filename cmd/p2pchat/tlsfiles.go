package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// openFiles is the certificate in two files, which may change.
func openFiles(cert, key string, log *slog.Logger) (*certificate, error) {
	f := &certificateFiles{cert: cert, key: key, log: log}
	if err := f.load(f.now()); err != nil {
		return nil, &usageError{err: fmt.Errorf("--tls-cert, --tls-key: %w", err)}
	}
	return &certificate{get: f.get, names: f.current.Leaf.DNSNames, ips: f.current.Leaf.IPAddresses}, nil
}

// certificateFiles are read when they have changed.
type certificateFiles struct {
	cert, key string
	log       *slog.Logger

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
func (f *certificateFiles) now() (v [2]fileVersion) {
	for i, name := range []string{f.cert, f.key} {
		if info, err := os.Stat(name); err == nil {
			v[i] = fileVersion{info.ModTime(), info.Size()}
		}
	}
	return v
}

// load reads the files, under mu, which are of that version or a newer one.
func (f *certificateFiles) load(v [2]fileVersion) error {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	f.read = v
	if err == nil {
		f.current = &pair
	}
	return err
}

// get is the certificate as the files have it, or had it before they were spoilt.
func (f *certificateFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.now(); v != f.read {
		if err := f.load(v); err != nil {
			f.log.Warn("the new certificate cannot be used; going on with the one before", "error", err)
		} else {
			f.log.Info("took the new certificate", "until", f.current.Leaf.NotAfter)
		}
	}
	return f.current, nil
}
