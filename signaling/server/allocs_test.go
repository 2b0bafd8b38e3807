package server

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"p2pchat/signaling/memstore"
)

// A nullWriter is a client that takes everything.
type nullWriter struct {
	header http.Header
	status int
}

func (*nullWriter) SetReadDeadline(time.Time) error  { return nil }
func (*nullWriter) SetWriteDeadline(time.Time) error { return nil }
func (w *nullWriter) Header() http.Header            { return w.header }
func (w *nullWriter) WriteHeader(status int)         { w.status = status }
func (w *nullWriter) Write(b []byte) (int, error)    { return len(b), nil }

// handled returns a function that has s handle the same request again and again, as net/http would.
func handled(t testing.TB, s *Server, status int, method, path, body string, header ...string) func() {
	r := httptest.NewRequest(method, path, nil)
	for _, one := range header {
		name, value, _ := strings.Cut(one, ": ")
		r.Header.Set(name, value)
	}
	var reader strings.Reader
	r.ContentLength = int64(len(body))
	w := &nullWriter{header: http.Header{}}
	return func() {
		if body != "" {
			reader.Reset(body)
			r.Body = readCloser{&reader}
		}
		clear(w.header)
		if s.ServeHTTP(w, r); w.status != status {
			t.Errorf("%s %s: %d", method, path, w.status)
		}
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// The allocations of a request, net/http's left out, are those of the middleware, of the response's
// headers, of what the store keeps, and of what it returns. The fewest of many requests count, because a
// sync.Pool drops some of its items under the race detector, at random.
func TestAllocations(t *testing.T) {
	s := New(memstore.New(memstore.Limits{}), Config{Rate: Rate{Client: 1e6, Burst: 1e6, All: 1e6}, ClientWaiting: 1e6, Log: slog.New(slog.DiscardHandler)})
	offer := `{"type":"offer","sdp":"` + strings.Repeat("v=0 ", 300) + `"}`
	list := "[" + strings.TrimSuffix(strings.Repeat(`{"candidate":"`+strings.Repeat("c", 143)+`"},`, 4), ",") + "]"
	token := "Authorization: Bearer callers-token"
	for _, one := range []struct {
		name    string
		most    float64
		request func()
	}{
		{"an offer", 10, handled(t, s, 201, "POST", "/rooms/blue/offer", offer, token)},
		{"four candidates", 7, handled(t, s, 201, "POST", "/rooms/blue/offer-candidates?at=0", list, token)},
		{"a read of the offer that may wait", 8, handled(t, s, 200, "GET", "/rooms/blue/offer", "", "Prefer: wait=20")},
		{"a read of the candidates that may wait", 7, handled(t, s, 200, "GET", "/rooms/blue/offer-candidates?after=0", "", "Prefer: wait=20")},
	} {
		fewest := testing.AllocsPerRun(1, one.request)
		for range 200 {
			fewest = min(fewest, testing.AllocsPerRun(1, one.request))
		}
		if fewest > one.most {
			t.Errorf("%s takes %v allocations, more than %v", one.name, fewest, one.most)
		}
	}
}
