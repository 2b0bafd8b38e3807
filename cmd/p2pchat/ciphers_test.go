package main

import (
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"
)

// TLS 1.2 has suites without CBC alone.
func TestNoCBC(t *testing.T) {
	t.Parallel()
	own := filepath.Join(t.TempDir(), "own")
	if err := certify(own, "localhost"); err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(serving(t, "--tls-cert", own+".pem", "--tls-key", own+".key"), "https://")
	for suite, want := range map[uint16]bool{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:          false,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA:            false,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:       true,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: true,
	} {
		c, err := tls.Dial("tcp", address, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}, InsecureSkipVerify: true}) //nolint:gosec // of this test's own server
		if err == nil {
			_ = c.Close()
		}
		if got := err == nil; got != want {
			t.Errorf("%s is taken: %v, want %v (%v)", tls.CipherSuiteName(suite), got, want, err)
		}
	}
}
