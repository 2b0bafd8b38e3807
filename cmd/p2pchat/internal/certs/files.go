package certs

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"
)

// FromFiles returns the certificate chain and the private key in two PEM files. It reads them again when
// they have changed; if that fails, it logs the error and keeps the last certificate.
func FromFiles(cert, key string, log *slog.Logger) (*Certificate, error) {
	f := &files{cert: cert, key: key, log: log}
	if err := f.load(f.versions()); err != nil {
		return nil, err
	}
	return &Certificate{get: f.get, names: f.current.Leaf.DNSNames, ips: f.current.Leaf.IPAddresses}, nil
}

// files supplies the certificate of FromFiles.
type files struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	loaded  [2]fileVersion // of current, or of a newer pair that could not be loaded
}

// A fileVersion tells one content of a file from another.
type fileVersion struct {
	changed time.Time
	size    int64
}

// versions returns the current versions of the files. A missing file has the zero version.
func (f *files) versions() (v [2]fileVersion) {
	for i, name := range []string{f.cert, f.key} {
		if info, err := os.Stat(name); err == nil {
			v[i] = fileVersion{info.ModTime(), info.Size()}
		}
	}
	return v
}

// load reads the files, which have version v or a newer one. The caller holds mu.
func (f *files) load(v [2]fileVersion) error {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	f.loaded = v
	if err == nil {
		f.current = &pair
	}
	return err
}

// get implements tls.Config.GetCertificate.
func (f *files) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.versions(); v != f.loaded {
		if err := f.load(v); err != nil {
			f.log.Warn("cannot use the new certificate; keeping the old one", "error", err)
		} else {
			f.log.Info("loaded the new certificate", "until", f.current.Leaf.NotAfter)
		}
	}
	return f.current, nil
}
