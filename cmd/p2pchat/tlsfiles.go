package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// openFiles returns the certificate in two files, which may change.
func openFiles(cert, key string, log *slog.Logger) (*certificate, error) {
	f := &certificateFiles{cert: cert, key: key, log: log}
	if err := f.load(f.now()); err != nil {
		return nil, &usageError{err: fmt.Errorf("--tls-cert, --tls-key: %w", err)}
	}
	return &certificate{get: f.get, names: f.current.Leaf.DNSNames, ips: f.current.Leaf.IPAddresses}, nil
}

// certificateFiles are read again when they have changed.
type certificateFiles struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	read    [2]fileVersion // of the last load
}

// A fileVersion tells one content of a file from another.
type fileVersion struct {
	changed time.Time
	size    int64
}

// now returns the current versions of the files.
func (f *certificateFiles) now() (v [2]fileVersion) {
	for i, name := range []string{f.cert, f.key} {
		if info, err := os.Stat(name); err == nil {
			v[i] = fileVersion{info.ModTime(), info.Size()}
		}
	}
	return v
}

// load reads the files, which have version v or a newer one. The caller holds mu.
func (f *certificateFiles) load(v [2]fileVersion) error {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	f.read = v
	if err == nil {
		f.current = &pair
	}
	return err
}

// get returns the certificate in the files, or the last one that could be read.
func (f *certificateFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.now(); v != f.read {
		if err := f.load(v); err != nil {
			f.log.Warn("cannot use the new certificate; keeping the old one", "error", err)
		} else {
			f.log.Info("loaded the new certificate", "until", f.current.Leaf.NotAfter)
		}
	}
	return f.current, nil
}
