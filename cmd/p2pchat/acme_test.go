package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"
)

// runACME is the script's command that runs an authority, Let's Encrypt's own test server,
// until the script ends: acme NAME ADDRESS. For it every name is at that address. Its
// directory is in $NAME, its server's certificate in NAME.pem, and its root in NAME.root.
func runACME(ts *testscript.TestScript, _ bool, args []string) {
	_, port, err := net.SplitHostPort(args[1])
	ts.Check(err)
	tlsPort, err := strconv.Atoi(port)
	ts.Check(err)
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {}})
	validator := va.New(quiet, 0, tlsPort, true, runDNS(ts), store)
	front := wfe.New(quiet, store, validator, authority, []string{"ca.example"}, true, false, 1, 1)

	file := ts.MkAbs(args[0])
	ts.Check(certify(file, "127.0.0.1"))
	pair, err := tls.LoadX509KeyPair(file+".pem", file+".key")
	ts.Check(err)
	h := httptest.NewUnstartedServer(front.Handler())
	h.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	h.Config.ErrorLog = quiet
	h.StartTLS()
	ts.Defer(func() {
		h.CloseClientConnections()
		h.Close()
	})
	ts.Check(os.WriteFile(file+".root", authority.GetRootCert(0).PEM(), 0o600))
	ts.Setenv(args[0], h.URL+wfe.DirectoryPath)
}

// runDNS answers, for whatever name, with this machine.
func runDNS(ts *testscript.TestScript) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	s := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, asked *dns.Msg) {
		m := new(dns.Msg).SetReply(asked)
		if q := asked.Question[0]; q.Qtype == dns.TypeA {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(m) // the client would time out
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.ActivateAndServe() }) // without it no name is found, which the script notices
	ts.Defer(func() {
		_ = l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

// runPresents is the script's command that wants the server at an address to have a
// certificate of an authority for a name: presents ADDRESS NAME ROOTS VARIABLE. The
// certificate's number goes into the variable.
func runPresents(ts *testscript.TestScript, _ bool, args []string) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ts.ReadFile(args[2]))) {
		ts.Fatalf("%s has no certificate", args[2])
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{ServerName: args[1], RootCAs: roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"stun.turn", "http/1.1"}}} // RFC 7443: a relay may be asked so
	conn, err := d.DialContext(ctx, "tcp", args[0])
	ts.Check(err)
	serial := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
	ts.Check(conn.Close())
	ts.Setenv(args[3], serial)
}
