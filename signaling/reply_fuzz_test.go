package signaling

import (
	"errors"
	"net/http"
	"testing"
	"time"
	"unicode/utf8"
)

// words is more than the bytes of an error's own words.
const words = 200

// A server may answer anything: it is an error with a bounded text, or none, and the next try comes within a minute.
func FuzzReply(f *testing.F) {
	f.Add(200, "application/json; charset=utf-8", "", "", []byte(`{}`))
	f.Add(429, "application/problem+json", "7", "", []byte(`{"type":"urn:p2pchat:too-many","title":"x","detail":"y"}`))
	f.Add(503, "text/html", "Wed, 21 Oct 2999 07:28:00 GMT", "", []byte(`<p>`))
	f.Add(302, "", "-1", "https://example.org/417", []byte(nil))
	f.Fuzz(func(t *testing.T, status int, kind, after, location string, body []byte) {
		c, err := NewClient("http://chat.example.org", Config{})
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequest(http.MethodGet, "http://chat.example.org/rooms/417/offer", nil)
		if err != nil {
			t.Fatal(err)
		}
		res := &http.Response{StatusCode: status, Status: string(body), Request: request, Header: http.Header{"Content-Type": {kind}, "Retry-After": {after}, "Location": {location}}}
		err = c.checkResponse(res, body)
		switch transient := (*transientError)(nil); {
		case err == nil && status/100 != 2:
			t.Errorf("%d is taken for success", status)
		case errors.As(err, &transient) && (transient.after < 0 || transient.after > time.Minute):
			t.Errorf("Retry-After: %q means %v", after, transient.after)
		case err != nil && len(err.Error()) > words+4*maxText+len(location): // a byte that is quoted takes four
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
		p := Problem{}
		if errors.As(err, &p) && (!utf8.ValidString(p.Title) || !utf8.ValidString(p.Detail)) {
			t.Errorf("the text of %+v is not UTF-8", p)
		}
	})
}
