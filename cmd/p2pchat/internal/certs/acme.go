package certs

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
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
	"golang.org/x/net/idna"
)

// LetsEncrypt is the URL of the directory of Let's Encrypt.
const LetsEncrypt = acme.LetsEncryptURL

// These bound what an ACME certificate waits for.
const (
	handshakeWait = 5 * time.Second // of a client for the first certificate
	firstRetry    = time.Minute     // autocert remembers a failure for as long
	lastRetry     = time.Hour       // authorities limit how often an order may fail
	checkInterval = 12 * time.Hour
	maxReply      = 1 << 20 // bytes of an authority's reply
)

// An ACMEConfig names the certificate and the authority that issues it.
type ACMEConfig struct {
	Host      string         // of Hostname
	Directory string         // URL of the authority's directory
	Roots     *x509.CertPool // of ReadRoots, for the authority's own server; the system's if nil
	Folder    string         // of PrepareFolder
}

// Hostname returns host in ASCII (RFC 5891). It returns an error if an authority cannot issue a certificate
// for it: an IP address or a name without a dot.
func Hostname(host string) (string, error) {
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return "", err
	}
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(strings.Trim(ascii, "."), ".") {
		return "", fmt.Errorf("%q is not a full domain name", host)
	}
	return ascii, nil
}

// ReadRoots reads the CA certificates in a PEM file.
func ReadRoots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file) //nolint:gosec // the person named it
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate (PEM)", file)
	}
	return roots, nil
}

// ErrExposed is returned by PrepareFolder if other users can read the folder.
var ErrExposed = fmt.Errorf("%w: other users can read", fs.ErrPermission)

// PrepareFolder creates the folder for certificates and their keys if it is missing.
func PrepareFolder(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 { // Windows keeps its permissions elsewhere
		return fmt.Errorf("%w %s", ErrExposed, folder)
	}
	return nil
}

// FromACME returns a certificate that the authority issues, and whose terms it accepts. Renew orders it.
func FromACME(c ACMEConfig, log *slog.Logger) *Certificate {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.Roots != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12}
	}
	a := &acmeCertificate{host: c.Host, log: log, issued: make(chan struct{}), transport: &acmeTransport{RoundTripper: transport}}
	a.manager = &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(c.Folder), HostPolicy: autocert.HostWhitelist(c.Host),
		Client: &acme.Client{DirectoryURL: c.Directory, UserAgent: "p2pchat", HTTPClient: &http.Client{
			Transport: a.transport, Timeout: 30 * time.Second,
		}},
	}
	return &Certificate{get: a.get, names: []string{c.Host}, protocols: []string{acme.ALPNProto}, renew: a.renew}
}

// An acmeCertificate is issued for one name, after the authority has seen by a connection to port 443 that
// the name leads to this server (TLS-ALPN-01, RFC 8737). autocert renews it.
type acmeCertificate struct {
	host      string
	log       *slog.Logger
	manager   *autocert.Manager
	transport *acmeTransport
	issued    chan struct{} // closed by renew
}

var errNoCertificate = errors.New("there is no certificate yet")

// get implements tls.Config.GetCertificate. As with files, every client gets the certificate, whatever
// server name it sends. Until the first one is issued, only renew orders it: clients must not use up the
// failures that the authority allows.
func (a *acmeCertificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) { // the authority's challenge
		named := *hello
		named.ServerName = a.host
		return a.manager.GetCertificate(&named)
	}
	select {
	case <-a.issued:
		return a.order()
	case <-time.After(handshakeWait):
		return nil, errNoCertificate
	case <-hello.Context().Done():
		return nil, hello.Context().Err()
	}
}

// order returns the certificate as a modern client gets it. If there is none, autocert orders one.
func (a *acmeCertificate) order() (*tls.Certificate, error) {
	return a.manager.GetCertificate(&tls.ClientHelloInfo{
		ServerName:       a.host,
		CipherSuites:     []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		SupportedCurves:  []tls.CurveID{tls.CurveP256},
	})
}

// renew is Certificate.Renew.
func (a *acmeCertificate) renew(ctx context.Context) {
	a.transport.ctx = ctx
	retry, issued := firstRetry, false
	for {
		pause := checkInterval
		c, err := a.order()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			a.log.Error("no certificate yet, so no connections", "host", a.host, "error", a.transport.explain(err), "again_in", retry,
				"hint", "the authority must reach this server as "+a.host+" on port 443")
			pause, retry = retry, min(2*retry, lastRetry)
		default:
			retry = firstRetry
			if !issued {
				issued = true
				close(a.issued)
			}
			a.report(c.Leaf)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// report logs until when the certificate is valid: as an error in the last fifth of its life, because
// autocert renews it earlier.
func (a *acmeCertificate) report(leaf *x509.Certificate) {
	if time.Until(leaf.NotAfter) < leaf.NotAfter.Sub(leaf.NotBefore)/5 {
		a.log.Error("cannot renew the certificate yet", "host", a.host, "until", leaf.NotAfter)
		return
	}
	a.log.Info("got a certificate", "host", a.host, "until", leaf.NotAfter)
}

// An acmeTransport sends autocert's requests. It keeps the reason for which the authority refused a name,
// because autocert's errors do not have it.
type acmeTransport struct {
	http.RoundTripper
	ctx     context.Context // of Renew, which causes the first request; autocert's own contexts end after minutes
	refusal atomic.Pointer[string]
}

// RoundTrip implements http.RoundTripper.
func (t *acmeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	res, err := t.RoundTripper.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
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

// explain returns the authority's reason if it has led to err, and err otherwise.
func (t *acmeTransport) explain(err error) error {
	if reason := t.refusal.Swap(nil); reason != nil {
		return fmt.Errorf("the authority says: %s", *reason)
	}
	return err
}
