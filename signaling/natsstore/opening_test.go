package natsstore_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/natsstore"
)

func TestOpening(t *testing.T) {
	t.Parallel() // it waits, most of the time
	c := nats(t, 1)
	open := func(url string) error {
		s, err := natsstore.Open(t.Context(), natsstore.Config{URL: url, Patience: time.Second, Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			s.Stop()
		}
		return err
	}
	const ann = "ann:s3cret@"
	for name, url := range map[string]string{ //nolint:gosec // made up
		"the wrong password":     strings.Replace(c.url(), "s3cret", "s3crets", 1),
		"an address without one": "nats://" + ann + "127.0.0.1:1",
		"a broken address":       "nats://" + ann + "[::1",
		"a slash in it":          "nats://ann:s3cret/more@127.0.0.1:1",
		"a comma in it":          "nats://ann:s3cret,more@127.0.0.1:1",
		"a percent sign in it":   "nats://ann:%s3cret@127.0.0.1:1",
		"another scheme":         "http://" + ann + "127.0.0.1:1",
	} {
		t.Run(name+" is reported without the password", func(t *testing.T) {
			t.Parallel()
			if err := open(url); err == nil || strings.Contains(err.Error(), "s3") {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestPermissions opens stores as a user who has no permission but those in docs/operating.md.
func TestPermissions(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operating.md")
	ok(t, err)
	for _, said := range []string{"may publish to `sig.*`, `$JS.API.>`", "subscribe to `feed.sig.*` and `_INBOX.>`"} {
		if !strings.Contains(string(doc), said) {
			t.Errorf("docs/operating.md does not say %q", said)
		}
	}
	c := node(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "ann", Password: "s3cret", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"sig.*", "$JS.API.>"}}, Subscribe: &server.SubjectPermission{Allow: []string{"feed.sig.*", "_INBOX.>"}},
		}}}
		o.Username, o.Password = "", ""
	})
	a := c.open(t, "sig", memstore.Limits{})
	for i := range 30 {
		_, err := a.Offer(t.Context(), signaling.NewTicket(fmt.Sprint("r", i), signaling.Caller), offer)
		ok(t, err)
	}
	if n := c.open(t, "sig", memstore.Limits{}).Rooms(); n != 30 {
		t.Errorf("another store has %d rooms of 30", n)
	}
}

// TestTheConfiguration parses the configuration of NATS in docs/operating.md.
func TestTheConfiguration(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operating.md")
	ok(t, err)
	_, text, _ := strings.Cut(string(doc), "```\nserver_name:")
	text, _, found := strings.Cut(text, "```")
	if !found {
		t.Fatal("docs/operating.md has no configuration of NATS")
	}
	t.Setenv("P2PCHAT_NATS_PASSWORD", "s3cret")
	file := filepath.Join(t.TempDir(), "nats.conf")
	ok(t, os.WriteFile(file, []byte("server_name:"+text), 0o600)) //nolint:gosec // the path is the test's own
	o, err := server.ProcessConfigFile(file)
	ok(t, err)
	if !o.JetStream || len(o.Routes) != 3 || o.Cluster.Name != "p2pchat" || len(o.Users) != 1 || o.Users[0].Password != "s3cret" || o.JetStreamMaxMemory != 4e9 {
		t.Errorf("it is not what the text says:\n%s", text)
	}
}

func TestNATSIsFull(t *testing.T) {
	c := node(t, func(o *server.Options) { o.JetStreamMaxMemory = 1 << 20 })
	s := c.open(t, "sig", memstore.Limits{})
	big := signaling.Description(`{"type":"offer","sdp":"` + strings.Repeat("o", 60<<10) + `"}`)
	var last signaling.Ticket
	for i := range 100 {
		caller := signaling.NewTicket(fmt.Sprint("r", i), signaling.Caller)
		_, err := s.Offer(t.Context(), caller, big)
		if errors.Is(err, signaling.ErrServerFull) {
			ok(t, s.Close(t.Context(), last))
			_, err = s.Offer(t.Context(), caller, big)
			ok(t, err)
			return
		}
		ok(t, err)
		last = caller
	}
	t.Error("NATS stores 6 MB with a limit of 1 MB")
}

func TestRoomsThatAreTooLarge(t *testing.T) {
	c := nats(t, 1)
	_, err := natsstore.Open(t.Context(), natsstore.Config{URL: c.url(), Limits: memstore.Limits{ListBytes: 1 << 20}})
	if err == nil || !strings.Contains(err.Error(), "max_payload") {
		t.Error(err)
	}
}

// TestCredentials has NATS ask for a user's key and show a certificate of a private CA.
func TestCredentials(t *testing.T) {
	t.Parallel() // it waits, most of the time
	dir := t.TempDir()
	ca, certificate := authority(t, dir)
	operator, err := nkeys.CreateOperator()
	ok(t, err)
	account, err := nkeys.CreateAccount()
	ok(t, err)
	system, err := nkeys.CreateAccount()
	ok(t, err)
	systemJWT, err := jwt.NewAccountClaims(public(t, system)).Encode(operator)
	ok(t, err)
	user, err := nkeys.CreateUser()
	ok(t, err)
	claims := jwt.NewAccountClaims(public(t, account))
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1}
	accountJWT, err := claims.Encode(operator)
	ok(t, err)
	userJWT, err := jwt.NewUserClaims(public(t, user)).Encode(account)
	ok(t, err)
	seed, err := user.Seed()
	ok(t, err)
	credentials, err := jwt.FormatUserConfig(userJWT, seed)
	ok(t, err)
	file := filepath.Join(dir, "ann.creds")
	ok(t, os.WriteFile(file, credentials, 0o600))

	resolver := &server.MemAccResolver{}
	ok(t, resolver.Store(public(t, account), accountJWT))
	ok(t, resolver.Store(public(t, system), systemJWT))
	c := node(t, func(o *server.Options) {
		o.Username, o.Password = "", ""
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		o.TLSTimeout = 10
		o.TrustedKeys = []string{public(t, operator)}
		o.AccountResolver, o.SystemAccount = resolver, public(t, system)
	})
	config := natsstore.Config{URL: fmt.Sprint("tls://127.0.0.1:", c.options[0].Port), Patience: time.Second, Log: slog.New(slog.DiscardHandler)}
	for what, wrong := range map[string]natsstore.Config{"credentials": {RootCA: ca}, "the CA": {Credentials: file}} {
		wrong.URL, wrong.Patience, wrong.Log = config.URL, config.Patience, config.Log
		if s, err := natsstore.Open(t.Context(), wrong); err == nil {
			s.Stop()
			t.Errorf("it opens without %s", what)
		}
	}
	config.Credentials, config.RootCA, config.Patience = file, ca, 0
	s, err := natsstore.Open(t.Context(), config)
	ok(t, err)
	defer s.Stop()
	_, err = s.Offer(t.Context(), signaling.NewTicket("room", signaling.Caller), offer)
	ok(t, err)
}

func public(t *testing.T, pair nkeys.KeyPair) string {
	t.Helper()
	key, err := pair.PublicKey()
	ok(t, err)
	return key
}

// authority makes a CA whose certificate is valid for this machine, too, and writes it to a file.
func authority(t *testing.T, dir string) (file string, c tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ok(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ok(t, err)
	file = filepath.Join(dir, "ca.pem")
	ok(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return file, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
