package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling/memstore"
)

func TestRate(t *testing.T) {
	sentence := func(name string, test func(*testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
	allowed := func(l *limiter, n int, address string) (ok int) {
		for range n {
			if yes, _, _ := l.allows(netip.MustParseAddr(address)); yes {
				ok++
			}
		}
		return ok
	}
	sentence("a client has its burst, then its rate", func(t *testing.T) {
		l := newLimiter(Rate{Client: 10, Burst: 5})
		if n := allowed(l, 100, "192.0.2.1"); n != 5 {
			t.Errorf("%d at once", n)
		}
		time.Sleep(time.Second / 5)
		if n := allowed(l, 100, "192.0.2.1"); n != 2 {
			t.Errorf("%d in a fifth of a second", n)
		}
		time.Sleep(time.Hour)
		if n := allowed(l, 100, "192.0.2.1"); n != 5 {
			t.Errorf("%d after an hour", n)
		}
	})
	sentence("clients do not share a bucket, but one network of IPv6 does", func(t *testing.T) {
		l := newLimiter(Rate{Client: 1, Burst: 3})
		for address, want := range map[string]int{"192.0.2.1": 3, "192.0.2.2": 3, "2001:db8:0:1::1": 3} {
			if n := allowed(l, 10, address); n != want {
				t.Errorf("%s: %d", address, n)
			}
		}
		for address, want := range map[string]int{"::ffff:192.0.2.1": 0, "2001:db8:0:1:ffff::2": 0, "2001:db8:0:2::1": 3} {
			if n := allowed(l, 10, address); n != want {
				t.Errorf("%s, the same as another: %d", address, n)
			}
		}
	})
	sentence("all together have a rate of their own", func(t *testing.T) {
		l := newLimiter(Rate{All: 4})
		if n := allowed(l, 3, "192.0.2.1") + allowed(l, 10, "192.0.2.2"); n != 4 {
			t.Errorf("%d at once", n)
		}
		if _, bucket, after := l.allows(netip.MustParseAddr("192.0.2.3")); bucket != limitAll || after != 1 {
			t.Errorf("the bucket is %q, after %d", bucket, after)
		}
	})
	sentence("many clients do not fill the memory, and those who rest are forgotten", func(t *testing.T) {
		l := newLimiter(Rate{Client: 1, Burst: 1})
		next := netip.MustParseAddr("10.0.0.0")
		for range 2 * mostClients {
			l.allows(next)
			next = next.Next()
		}
		if n := len(l.clients); n != mostClients {
			t.Errorf("%d are remembered", n)
		}
		time.Sleep(2 * time.Second)
		l.allows(next)
		if n := len(l.clients); n != 1 {
			t.Errorf("%d are remembered after a rest", n)
		}
	})
	t.Run("a read that waits costs one", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{Rate: Rate{Client: 1e-3, Burst: 2}})
		parked := s.park("/offer")
		s.post("/offer", anOffer).is(201)
		s.heard(parked).is(200)
		s.get("/offer").has("Retry-After", "1000").problem(429, "too-many")
	})
}

func TestWhoseRequest(t *testing.T) {
	const proxy, client = "127.0.0.1", "198.51.100.7"
	for name, row := range map[string]struct {
		proxies   []string
		forwarded []string
		whose     string
	}{
		"nobody is trusted":             {nil, []string{client}, proxy},
		"the proxy is":                  {[]string{"127.0.0.0/8"}, []string{client}, client},
		"a liar behind it":              {[]string{"127.0.0.0/8"}, []string{"203.0.113.1, " + client}, client},
		"a liar with two headers":       {[]string{"127.0.0.0/8"}, []string{"203.0.113.1", client}, client},
		"two proxies":                   {[]string{"127.0.0.1/32", "192.0.2.0/24"}, []string{client + ", 192.0.2.8"}, client},
		"a proxy that says nothing":     {[]string{"127.0.0.0/8"}, nil, proxy},
		"another one is trusted":        {[]string{"192.0.2.0/24"}, []string{client}, proxy},
		"a private address is no proxy": {[]string{"127.0.0.0/8"}, []string{"198.51.100.1, 10.0.0.1"}, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			var book logbook
			config := Config{Log: book.logger(), LogAddresses: true}
			for _, p := range row.proxies {
				config.TrustedProxies = append(config.TrustedProxies, netip.MustParsePrefix(p))
			}
			s := open(t, memstore.Limits{}, config)
			var header []string
			for _, f := range row.forwarded {
				header = append(header, "X-Forwarded-For: "+f)
			}
			s.get("/healthz", header...).is(200)
			if want := "client=" + row.whose + " "; !strings.Contains(book.String(), want) {
				t.Errorf("%q is not in the log:\n%s", want, book.String())
			}
		})
	}
}

func TestAddressesInTheLog(t *testing.T) {
	for address, want := range map[string]string{"192.0.2.77": "192.0.2.0/24", "::ffff:192.0.2.77": "192.0.2.0/24", "2001:db8:1:2::3": "2001:db8:1::/48"} {
		var book logbook
		s := open(t, memstore.Limits{}, Config{Log: book.logger(), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
		s.get("/healthz", "X-Forwarded-For: "+address).is(200)
		_, got, _ := strings.Cut(book.String(), "client=")
		if got, _, _ = strings.Cut(got, " "); got != want {
			t.Errorf("%s is logged as %s", address, got)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	var book logbook
	s := open(t, memstore.Limits{}, Config{Log: book.logger()})
	t.Run("a problem has the request's id, as the log has", func(t *testing.T) {
		r := s.get("/offer", "X-Request-Id: mine").is(404)
		var p struct {
			ID string `json:"request_id"`
		}
		if err := json.Unmarshal([]byte(r.body), &p); err != nil || p.ID != "mine" || !strings.Contains(book.String(), "request_id=mine") {
			t.Errorf("%s\n%s", r.body, book.String())
		}
	})
	t.Run("an id that makes no sense is replaced", func(t *testing.T) {
		for _, id := range []string{"a b", "é", strings.Repeat("x", 65), `"`} {
			if got := s.get("/healthz", "X-Request-Id: "+id).header.Get("X-Request-Id"); got == id || len(got) < 16 {
				t.Errorf("%q became %q", id, got)
			}
		}
	})
}

func TestOrigins(t *testing.T) {
	const page = "https://chat.example.org"
	ask := func(s *site, method, path string, header ...string) (status int, h http.Header) {
		req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range header {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
		}
		res, err := s.seen.next.RoundTrip(req) // no browser's question stands in the document
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode, res.Header
	}
	preflight := []string{"Origin: " + page, "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: authorization,prefer"}
	t.Run("pages from elsewhere may not use a server that does not say so", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		for method, header := range map[string][]string{"OPTIONS": preflight, "GET": preflight[:1]} {
			if _, h := ask(s, method, "/offer", header...); h.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %v", method, h)
			}
		}
	})
	t.Run("those that it names may, and read what they must, refusals too", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{Origins: []string{page}, Rate: Rate{Client: 1e-3, Burst: 1}})
		status, h := ask(s, "OPTIONS", "/offer", preflight...)
		if status != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != page ||
			!strings.Contains(h.Get("Access-Control-Allow-Methods"), "PUT") || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Prefer") {
			t.Errorf("%d, %v", status, h)
		}
		for _, want := range []int{404, 429} {
			status, h := ask(s, "GET", "/offer", "Origin: "+page)
			if status != want || h.Get("Access-Control-Allow-Origin") != page || !strings.Contains(h.Get("Access-Control-Expose-Headers"), "ETag") {
				t.Errorf("%d, want %d: %v", status, want, h)
			}
		}
		if _, h := ask(s, "OPTIONS", "/offer", "Origin: https://evil.example", preflight[1], preflight[2]); h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("another may: %v", h)
		}
	})
}

func BenchmarkRate(b *testing.B) {
	l := newLimiter(Rate{Client: 1e9, Burst: 1 << 30, All: 1e9})
	var clients []netip.Addr
	for i := range 1000 {
		clients = append(clients, netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i/250, i%250)))
	}
	for i := 0; b.Loop(); i++ {
		l.allows(clients[i%len(clients)])
	}
}
