package portmap

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestPCP(t *testing.T) {
	requests := make(chan []byte, 8)
	r := newRouter(t, func(r *router) {
		r.onMap = func(b []byte) []byte {
			requests <- bytes.Clone(b)
			return pcpAnswer(b, external)
		}
	})
	m, err := r.Try(t.Context())
	if err != nil || m.Protocol != "pcp" || m.External.Addr().String() != external || m.Lifetime != lifetime {
		t.Fatalf("%+v, %v", m, err)
	}
	add, remove := <-requests, <-requests
	if add[0] != 2 || add[1] != 1 || len(add) != 60 || lifetimeOf(add) != 1800 || netip.AddrFrom16([16]byte(add[8:])).Unmap() != loopback || add[36] != 17 {
		t.Errorf("the request is % x", add)
	}
	if lifetimeOf(remove) != 0 || !bytes.Equal(remove[8:42], add[8:42]) {
		t.Errorf("% x does not remove what % x has made", remove, add)
	}
}

func TestNATPMP(t *testing.T) {
	requests := make(chan []byte, 8)
	r := newRouter(t, func(r *router) {
		r.onMap = func(b []byte) []byte {
			requests <- bytes.Clone(b)
			return natPMPAnswer(b)
		}
	})
	m, err := r.Try(t.Context())
	if err != nil || m.Protocol != "nat-pmp" || m.External.Addr().String() != external || m.External.Port() == 0 || m.Lifetime != lifetime {
		t.Fatalf("%+v, %v", m, err)
	}
	<-requests // of PCP
	address, add, remove := <-requests, <-requests, <-requests
	if !bytes.Equal(address, []byte{0, 0}) || lifetimeOf(add) != 1800 || lifetimeOf(remove) != 0 || !bytes.Equal(remove[4:6], add[4:6]) || !bytes.Equal(remove[6:8], []byte{0, 0}) {
		t.Errorf("the requests are % x, % x and % x", address, add, remove)
	}
}

func TestUPnP(t *testing.T) {
	r := newRouter(t, func(*router) {})
	m, err := r.Try(t.Context())
	if err != nil || m.Protocol != "upnp" || m.External.Addr().String() != external || m.Lifetime != lifetime {
		t.Fatalf("%+v, %v", m, err)
	}
	port := strconv.Itoa(int(m.External.Port()))
	if got, want := r.noted(), []string{"GetExternalIPAddress ", "AddPortMapping " + port, "DeletePortMapping " + port}; !slices.Equal(got, want) {
		t.Errorf("the gateway was asked for %q, not for %q", got, want)
	}
}

func TestTakenPort(t *testing.T) {
	var first atomic.Bool
	r := newRouter(t, func(r *router) {
		r.soap = func(action, body string) (int, string) {
			if action == "AddPortMapping" && first.CompareAndSwap(false, true) {
				return fault(718)
			}
			return grant(action, body)
		}
	})
	m, err := r.Try(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, port := r.noted(), strconv.Itoa(int(m.External.Port()))
	if len(got) != 4 || got[1] == got[2] || got[2] != "AddPortMapping "+port || got[3] != "DeletePortMapping "+port {
		t.Errorf("the gateway was asked for %q", got)
	}
}

func TestSilentGateway(t *testing.T) {
	r := newRouter(t, func(r *router) { r.location = "" })
	if m, err := r.Try(t.Context()); !errors.Is(err, ErrSilent) {
		t.Errorf("%+v, %v", m, err)
	}
}

// A gateway that lies maps no port, and makes this machine ask no other.
func TestHostileGateways(t *testing.T) {
	var strayed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		strayed.Add(1)
		_, _ = io.WriteString(w, description("/control"))
	}))
	defer elsewhere.Close()
	_, port, _ := net.SplitHostPort(elsewhere.Listener.Addr().String())
	describing := func(text string) func(*router) {
		return func(r *router) {
			r.describe = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
		}
	}
	at := func(address string) func(*router) {
		return func(r *router) {
			r.soap = func(action, _ string) (int, string) {
				if action != "GetExternalIPAddress" {
					t.Errorf("it is asked for %s at %s", action, address)
				}
				return http.StatusOK, element("NewExternalIPAddress", address)
			}
		}
	}
	for _, c := range []struct {
		name  string
		lie   func(*router)
		wants error
	}{
		{"a description on another host", func(r *router) { r.location = "http://127.0.0.2:" + port + "/" }, errStray},
		{"a description at a name", func(r *router) { r.location = "http://localhost:" + port + "/" }, errStray},
		{"a description that is no HTTP", func(r *router) { r.location = "file:///etc/passwd" }, ErrSilent},
		{"a redirect", func(r *router) { r.describe = http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP }, errStray},
		{"a control URL on another host", func(r *router) { r.control = "http://192.0.2.1/control" }, errStray},
		{"a control URL at another port", func(r *router) { r.control = elsewhere.URL + "/control" }, errStray},
		{"a URLBase elsewhere", describing(strings.Replace(description("control"), "<device>", "<URLBase>"+elsewhere.URL+"</URLBase><device>", 1)), errStray},
		{"a description without the service", describing("<root/>"), ErrRefused},
		{"huge XML", describing("<root>" + strings.Repeat("<a>text</a>", maxXML) + "</root>"), errMalformed},
		{"one huge name", describing("<" + strings.Repeat("a", 2*maxXML) + "/>"), errMalformed},
		{"deep XML", describing(strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100)), errMalformed},
		{"entities", describing(`<!DOCTYPE a [<!ENTITY b "` + external + `">]><a>&b;</a>`), errMalformed},
		{"no XML", describing("\x00\xff"), errMalformed},
		{"a private address", at("192.168.1.2"), ErrNotPublic},
		{"an address of a carrier's NAT", at("100.64.0.1"), ErrNotPublic},
		{"loopback", at("127.0.0.1"), ErrNotPublic},
		{"multicast", at("224.0.0.1"), ErrNotPublic},
		{"IPv6", at("2001:db8::1"), ErrNotPublic},
		{"no address", at("nonsense"), ErrNotPublic},
		{"mappings that never end", func(r *router) {
			r.soap = func(action, body string) (int, string) {
				if action == "AddPortMapping" {
					return fault(725) // OnlyPermanentLeasesSupported
				}
				return grant(action, body)
			}
		}, ErrRefused},
		{"a refusal with status 200", func(r *router) {
			r.soap = func(action, body string) (int, string) {
				if action == "AddPortMapping" {
					_, text := fault(606)
					return http.StatusOK, text
				}
				return grant(action, body)
			}
		}, ErrRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRouter(t, c.lie)
			if m, err := r.Try(t.Context()); !errors.Is(err, c.wants) {
				t.Errorf("%+v, %v, not %v", m, err, c.wants)
			}
		})
	}
	if n := strayed.Load(); n > 0 {
		t.Errorf("the gateway made this machine send %d requests elsewhere", n)
	}
}

func TestEndlessDescription(t *testing.T) {
	left := make(chan struct{})
	r := newRouter(t, func(r *router) {
		r.describe = func(w http.ResponseWriter, q *http.Request) {
			defer close(left)
			_, _ = io.WriteString(w, "<root>") // the request is over then
			_ = http.NewResponseController(w).Flush()
			<-q.Context().Done()
		}
	})
	if m, err := r.Try(t.Context()); err == nil {
		t.Errorf("%+v", m)
	}
	<-left
}

func TestHostilePCP(t *testing.T) {
	for name, lie := range map[string]func(request, answer []byte) []byte{
		"another nonce":    func(_, a []byte) []byte { a[24]++; return a },
		"another port":     func(_, a []byte) []byte { a[41]++; return a },
		"TCP":              func(_, a []byte) []byte { a[36] = 6; return a },
		"too short":        func(_, a []byte) []byte { return a[:59] },
		"a request":        func(q, _ []byte) []byte { return q },
		"a private one":    func(q, _ []byte) []byte { return pcpAnswer(q, "10.0.0.1") },
		"port 0":           func(_, a []byte) []byte { a[42], a[43] = 0, 0; return a },
		"no time":          func(_, a []byte) []byte { clear(a[4:8]); return a },
		"a refusal":        func(_, a []byte) []byte { a[3] = 2; return a },
		"a short NAT-PMP":  func(q, _ []byte) []byte { return natPMPAnswer(q)[:7] },
		"an empty packet":  func(_, _ []byte) []byte { return []byte{} },
		"NAT-PMP refusals": func(q, _ []byte) []byte { a := natPMPAnswer(q); a[3] = 2; return a },
	} {
		t.Run("PCP with "+name, func(t *testing.T) {
			r := newRouter(t, func(r *router) {
				r.location, r.onMap = "", func(b []byte) []byte { return lie(b, pcpAnswer(b, external)) }
			})
			if m, err := r.Try(t.Context()); err == nil {
				t.Errorf("%+v", m)
			}
		})
	}
}

func TestAnswerFromAnotherPort(t *testing.T) {
	silent := func([]byte) []byte { return nil }
	r := newRouter(t, func(r *router) { r.onMap = silent })
	stranger := r.listen(silent)
	c, err := r.dial(r.PCP, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := stranger.WriteTo([]byte("answer"), c.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if a, err := exchange(t.Context(), c, []byte("request"), func([]byte) bool { return true }); !errors.Is(err, ErrSilent) {
		t.Errorf("%q, %v", a, err)
	}
}

// A fakeWay is a protocol without a gateway, for tests in virtual time.
type fakeWay struct {
	added   []time.Duration // since start
	start   time.Time
	answers []Mapping // of add, one after the other; a zero Mapping is an error
	removed time.Duration
}

func (w *fakeWay) add(context.Context) (Mapping, error) {
	w.added = append(w.added, time.Since(w.start))
	m := w.answers[0]
	if w.answers = w.answers[1:]; m == (Mapping{}) {
		return m, ErrSilent
	}
	return m, nil
}

func (w *fakeWay) remove(context.Context) { w.removed = time.Since(w.start) }

func TestKeeperRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := Mapping{"pcp", netip.MustParseAddrPort(external + ":1000"), 40 * time.Minute}
		other := Mapping{"pcp", netip.MustParseAddrPort(external + ":2000"), time.Second}
		w := &fakeWay{start: time.Now(), answers: []Mapping{one, {}, {}, other, other, other}}
		var told []netip.AddrPort
		k := keep(func(ctx context.Context) (mapper, Mapping, error) {
			m, err := w.add(ctx)
			return w, m, err
		}, slog.New(slog.DiscardHandler), func(m Mapping) { told = append(told, m.External) })
		time.Sleep(28*time.Minute + time.Second)
		k.Release()()
		// Half of its lifetime, of which no more counts than was asked for, then after half of that, and no sooner than a minute.
		if want := []time.Duration{0, 15 * time.Minute, 22*time.Minute + 30*time.Second, 26*time.Minute + 15*time.Second, 27*time.Minute + 15*time.Second}; !slices.Equal(w.added, want) {
			t.Errorf("it asked after %v, not %v", w.added, want)
		}
		if want := []netip.AddrPort{one.External, other.External}; !slices.Equal(told, want) {
			t.Errorf("it told %v, not %v", told, want)
		}
		if w.removed != 28*time.Minute+time.Second {
			t.Errorf("it removed the mapping after %v", w.removed)
		}
	})
}

// A Keeper that ends while the gateway has not answered yet takes its request back.
func TestReleaseWhileAsking(t *testing.T) {
	requests := make(chan []byte, 8)
	r := newRouter(t, func(r *router) {
		r.onMap = func(b []byte) []byte {
			requests <- bytes.Clone(b)
			return nil
		}
	})
	k := Keep(r.Gateway, 5555, slog.New(slog.DiscardHandler), func(m Mapping) { t.Errorf("it told %v", m) })
	add := <-requests
	k.Release()()
	for b := range requests {
		if lifetimeOf(b) == 0 {
			if !bytes.Equal(b[24:36], add[24:36]) {
				t.Errorf("% x does not remove what % x may have made", b, add)
			}
			return
		}
	}
}

func TestNoKeeper(*testing.T) {
	var k *Keeper
	k.Release()()
}
