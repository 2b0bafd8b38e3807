package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
)

// A balancer hands each request to the next server, or to the one after that if no server
// answers there.
type balancer struct {
	servers []string
	turn    atomic.Int64
	client  *http.Transport
}

// runBalancer is the script's command that runs one, for the servers that it names, until
// the script ends. Its address is in $BALANCER.
func runBalancer(ts *testscript.TestScript, _ bool, servers []string) {
	b := &balancer{servers: servers, client: &http.Transport{MaxIdleConnsPerHost: 16}}
	h := httptest.NewServer(b)
	ts.Defer(func() {
		b.client.CloseIdleConnections()
		h.CloseClientConnections()
		h.Close()
	})
	ts.Setenv("BALANCER", h.URL)
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	turn := int(b.turn.Add(1))
	for i := range b.servers {
		req, err := http.NewRequestWithContext(r.Context(), r.Method, b.servers[(turn+i)%len(b.servers)]+r.URL.RequestURI(), bytes.NewReader(body)) //nolint:gosec // to the servers of this test
		if err != nil {
			break
		}
		req.Header = r.Header.Clone()
		client, _, _ := net.SplitHostPort(r.RemoteAddr)
		req.Header.Add("X-Forwarded-For", client)
		res, err := b.client.RoundTrip(req)
		if err != nil {
			continue
		}
		defer func() { _ = res.Body.Close() }()
		for name, values := range res.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body) // if it breaks off, the client notices
		return
	}
	w.WriteHeader(http.StatusBadGateway)
}
