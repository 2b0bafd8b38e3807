package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
	"golang.org/x/net/idna"
)

// acmeOptions are the flags of serve for a certificate from an authority (ACME, RFC 8555).
type acmeOptions struct{ host, cache, server, rootCA string }

func (o *acmeOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.host, "tls-auto", "", "get a certificate for this `HOST` from Let's Encrypt and accept its terms; the authority connects to port 443")
	f.StringVar(&o.cache, "tls-auto-cache", "", "`FOLDER` for the certificate and its keys, private to its owner (default p2pchat in the user's cache folder)")
	f.StringVar(&o.server, "tls-auto-server", acme.LetsEncryptURL, "`URL` of the ACME directory of another authority")
	f.StringVar(&o.rootCA, "tls-auto-ca", "", "`FILE` with the CA certificates (PEM) of a private authority's server (default the system's)")
}

// needless tells whether there are flags for a name that is not given. (A service may have a
// folder for every case.)
func (o *acmeOptions) needless() bool {
	return o.host == "" && (o.rootCA != "" || o.server != acme.LetsEncryptURL)
}

// open prepares to get the certificate; keep gets it.
func (o *acmeOptions) open(ctx context.Context, log *slog.Logger) (*certificate, error) {
	host, err := idna.Lookup.ToASCII(o.host)
	if _, isIP := netip.ParseAddr(o.host); err != nil || isIP == nil || !strings.Contains(strings.Trim(host, "."), ".") {
		return nil, cannotRead("--tls-auto", o.host, "chat.example.org")
	}
	if u, err := url.Parse(o.server); err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return nil, cannotRead("--tls-auto-server", o.server, "https://ca.example.org/directory")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if o.rootCA != "" {
		pem, err := os.ReadFile(o.rootCA)
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("--tls-auto-ca: %w", err)}
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, &usageError{err: fmt.Errorf("--tls-auto-ca: %s has no certificate (PEM)", o.rootCA)}
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	cache, err := o.openCache()
	if err != nil {
		return nil, err
	}
	a := &authority{host: host, log: log, there: make(chan struct{}), transport: &acmeTransport{RoundTripper: transport, ctx: ctx}}
	a.manager = &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: cache, HostPolicy: autocert.HostWhitelist(host),
		Client: &acme.Client{DirectoryURL: o.server, UserAgent: "p2pchat", HTTPClient: &http.Client{
			Transport: a.transport, Timeout: 30 * time.Second,
		}},
	}
	return &certificate{get: a.get, names: []string{host}, protocols: []string{acme.ALPNProto}, keep: func() { a.keep(ctx) }}, nil
}

// openCache makes the folder, or looks whether it can be trusted with keys.
func (o *acmeOptions) openCache() (autocert.DirCache, error) {
	folder := o.cache
	if folder == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			return "", &usageError{err: fmt.Errorf("there is no folder for certificates: %w", err), hint: "name one: --tls-auto-cache DIR"}
		}
		folder = filepath.Join(home, "p2pchat")
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", &usageError{err: fmt.Errorf("--tls-auto-cache: %w", err)}
	}
	switch info, err := os.Stat(folder); {
	case err != nil:
		return "", &usageError{err: fmt.Errorf("--tls-auto-cache: %w", err)}
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0: // there these bits say nothing
		return "", &usageError{err: fmt.Errorf("--tls-auto-cache: %w: other users can read %s", fs.ErrPermission, folder), hint: "chmod 700 " + quoted(folder)}
	}
	return autocert.DirCache(folder), nil
}

// An authority gives a certificate for one name, after it has seen by a connection to
// port 443 that the name is this server's (TLS-ALPN-01, RFC 8737). The library renews it.
type authority struct {
	host      string
	log       *slog.Logger
	manager   *autocert.Manager
	transport *acmeTransport
	there     chan struct{} // closed when there is a certificate
}

var errNoCertificate = errors.New("there is no certificate yet")

// get is the certificate, whatever the client calls this server, and can do: as with files.
// While there is none only keep asks for one: strangers must not have it fail more often.
func (a *authority) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) { // the authority looks whether we are here
		named := *hello
		named.ServerName = a.host
		return a.manager.GetCertificate(&named)
	}
	select {
	case <-a.there:
		return a.own()
	case <-time.After(firstWait):
		return nil, errNoCertificate
	case <-hello.Context().Done():
		return nil, hello.Context().Err()
	}
}

// own is the certificate, as a modern client gets it. The library orders it if there is none.
func (a *authority) own() (*tls.Certificate, error) {
	return a.manager.GetCertificate(&tls.ClientHelloInfo{
		ServerName:       a.host,
		CipherSuites:     []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		SupportedCurves:  []tls.CurveID{tls.CurveP256},
	})
}

const (
	firstWait  = 5 * time.Second // of a client, while there is none
	firstRetry = time.Minute     // the library remembers a failure for as long
	lastRetry  = time.Hour       // authorities bound how often one may fail
	lookAgain  = 12 * time.Hour
	maxACME    = 1 << 20 // bytes of what an authority says
)

// keep gets the certificate before the first client asks, and tells what is wrong with it,
// until ctx ends.
func (a *authority) keep(ctx context.Context) {
	retry, had := firstRetry, false
	for {
		pause := lookAgain
		c, err := a.own()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			a.log.Error("no certificate yet, so no connections", "host", a.host, "error", a.transport.why(err), "again_in", retry,
				"hint", "the authority must reach this server as "+a.host+" on port 443")
			pause, retry = retry, min(2*retry, lastRetry)
		default:
			retry = firstRetry
			if !had {
				had = true
				close(a.there)
			}
			if left := time.Until(c.Leaf.NotAfter); left < c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)/5 {
				a.log.Error("cannot renew the certificate yet", "host", a.host, "until", c.Leaf.NotAfter)
			} else {
				a.log.Info("got a certificate", "host", a.host, "until", c.Leaf.NotAfter)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// An acmeTransport carries the library's requests. They end with the server, too, and what
// the authority found wrong with a name is kept, because the library says nothing of it.
type acmeTransport struct {
	http.RoundTripper
	ctx     context.Context
	refusal atomic.Pointer[string]
}

func (t *acmeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	res, err := t.RoundTripper.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxACME))
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	var authorization struct { // RFC 8555, section 7.1.4
		Status     string
		Challenges []struct{ Error struct{ Detail string } }
	}
	if json.Unmarshal(body, &authorization) == nil && authorization.Status == acme.StatusInvalid {
		for _, c := range authorization.Challenges {
			if c.Error.Detail != "" {
				t.refusal.Store(&c.Error.Detail)
			}
		}
	}
	return res, nil
}

// why is err, or what the authority said that led to it.
func (t *acmeTransport) why(err error) error {
	if said := t.refusal.Swap(nil); said != nil {
		return fmt.Errorf("the authority says: %s", *said)
	}
	return err
}
