package server

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"p2pchat/signaling/internal/ratelimit"
	"p2pchat/signaling/memstore"
)

func TestRate(t *testing.T) {
	t.Run("addresses of one IPv6 network share a rate, and all clients have one together", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{TrustedProxies: behindProxy, Rate: Rate{Client: 1e-3, Burst: 2, All: 4}})
		s.rates.all = ratelimit.New[struct{}](1e-9, 4, ratelimit.Bounds{Keys: 1}) // none comes back while the test runs
		for _, one := range []struct {
			client string
			status int
		}{
			{"2001:db8:0:1::1", 404}, {"2001:db8:0:1:ffff::2", 404}, {"2001:db8:0:1::3", 429}, {"2001:db8:0:2::1", 404}, {"192.0.2.1", 404},
		} {
			s.get("/offer", from(one.client)).is(one.status)
		}
		s.get("/offer", from("192.0.2.2")).has("Retry-After", "1").problem(429, "too-many")
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
		"no proxy is trusted":           {nil, []string{client}, proxy},
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

// names reports whether a header has the name of another one in its list, whose case does not matter.
func names(h http.Header, list, name string) bool {
	return slices.ContainsFunc(strings.Split(h.Get(list), ","), func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), name) })
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
			!strings.Contains(h.Get("Access-Control-Allow-Methods"), "PUT") || !names(h, "Access-Control-Allow-Headers", "Prefer") {
			t.Errorf("%d, %v", status, h)
		}
		for _, want := range []int{404, 429} {
			status, h := ask(s, "GET", "/offer", "Origin: "+page)
			if status != want || h.Get("Access-Control-Allow-Origin") != page || !names(h, "Access-Control-Expose-Headers", "ETag") {
				t.Errorf("%d, want %d: %v", status, want, h)
			}
		}
		if _, h := ask(s, "OPTIONS", "/offer", "Origin: https://evil.example", preflight[1], preflight[2]); h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("another may: %v", h)
		}
	})
}
