package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"p2pchat/cmd/p2pchat/internal/certs"
)

// tlsOptions are the flags of serve for its certificate.
type tlsOptions struct {
	cert, key string // files
	auto      acmeOptions
}

// acmeOptions are the flags of serve for a certificate from an authority (ACME, RFC 8555).
type acmeOptions struct{ host, cache, server, rootCA string }

func (o *tlsOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.cert, "tls-cert", "", "`FILE` with the certificate chain (PEM), for HTTPS and TURN over TLS; read again when it changes")
	f.StringVar(&o.key, "tls-key", "", "`FILE` with its private key (PEM)")
	f.StringVar(&o.auto.host, "tls-auto", "", "get a certificate for this `HOST` from Let's Encrypt and accept its terms; the authority connects to port 443")
	f.StringVar(&o.auto.cache, "tls-auto-cache", "", "`FOLDER` for the certificate and its keys, private to its owner (default p2pchat in the user's cache folder)")
	f.StringVar(&o.auto.server, "tls-auto-server", certs.LetsEncrypt, "`URL` of the ACME directory of another authority")
	f.StringVar(&o.auto.rootCA, "tls-auto-ca", "", "`FILE` with the CA certificates (PEM) of a private authority's server (default the system's)")
}

// validate returns a usageError for flags that contradict each other.
func (o *tlsOptions) validate() error {
	switch files := o.cert != "" || o.key != ""; {
	case files && o.auto.host != "":
		return &usageError{err: errors.New("--tls-auto gets a certificate by itself: leave out --tls-cert and --tls-key")}
	case o.auto.host == "" && (o.auto.rootCA != "" || o.auto.server != certs.LetsEncrypt): // a service may set --tls-auto-cache in any case
		return &usageError{err: errors.New("the other --tls-auto flags need --tls-auto HOST")}
	case files && (o.cert == "" || o.key == ""):
		return &usageError{err: errors.New("--tls-cert and --tls-key need each other")}
	}
	return nil
}

// open returns the certificate, or nil if no flag asks for one.
func (o *tlsOptions) open(log *slog.Logger) (*certs.Certificate, error) {
	switch {
	case o.auto.host != "":
		config, err := o.auto.config()
		if err != nil {
			return nil, err
		}
		return certs.FromACME(config, log), nil
	case o.cert == "":
		return nil, nil
	}
	c, err := certs.FromFiles(o.cert, o.key, log)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("--tls-cert, --tls-key: %w", err)}
	}
	return c, nil
}

// certificateHost reads the value of --tls-auto.
func certificateHost(text string) (string, error) {
	host, err := certs.Hostname(text)
	if err != nil {
		return "", cannotRead("--tls-auto", text, "chat.example.org")
	}
	return host, nil
}

// checkAuthority checks the value of --tls-auto-server.
func checkAuthority(text string) error {
	if u, err := url.Parse(text); err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return cannotRead("--tls-auto-server", text, "https://ca.example.org/directory")
	}
	return nil
}

// config checks the flags, and makes the folder that they name.
func (o *acmeOptions) config() (c certs.ACMEConfig, err error) {
	c.Directory, c.Folder = o.server, o.cache
	if c.Host, err = certificateHost(o.host); err != nil {
		return c, err
	}
	if err := checkAuthority(o.server); err != nil {
		return c, err
	}
	if o.rootCA != "" {
		if c.Roots, err = certs.ReadRoots(o.rootCA); err != nil {
			return c, &usageError{err: fmt.Errorf("--tls-auto-ca: %w", err)}
		}
	}
	if c.Folder == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			return c, &usageError{err: fmt.Errorf("there is no folder for certificates: %w", err), hint: "name one: --tls-auto-cache DIR"}
		}
		c.Folder = filepath.Join(home, "p2pchat")
	}
	if err := certs.PrepareFolder(c.Folder); err != nil {
		e := &usageError{err: fmt.Errorf("--tls-auto-cache: %w", err)}
		if errors.Is(err, certs.ErrExposed) {
			e.hint = "chmod 700 " + quoted(c.Folder)
		}
		return c, e
	}
	return c, nil
}
