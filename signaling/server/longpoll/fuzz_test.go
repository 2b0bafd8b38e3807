package longpoll

import (
	"bufio"
	"bytes"
	"maps"
	"net/http"
	"slices"
	"testing"

	"golang.org/x/net/http/httpguts"
)

// From what is kept of a parked request, net/http reads the same request again, and nothing after it.
func FuzzHead(f *testing.F) {
	for _, request := range []string{
		"GET /rooms/417/offer HTTP/1.1\r\nHost: chat.example.org\r\nPrefer: wait=25\r\nIf-None-Match: \"a\"\r\n\r\n",
		"POST http://chat.example.org/listen?x=1 HTTP/1.1\r\nHost: other\r\nContent-Length: 2\r\nAccept: a\r\nAccept: b\r\nExpect: 100-continue\r\n\r\n[]",
		"GET * HTTP/1.1\r\nhost:\r\nX:  \t a\tb \r\n\r\n",
	} {
		f.Add([]byte(request))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		was, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil || was.ProtoMajor != 1 || was.ProtoMinor != 1 || !httpguts.ValidHostHeader(was.Host) {
			return // Park never sees it
		}
		for name, values := range was.Header { // the server of net/http refuses others
			if !httpguts.ValidHeaderFieldName(name) || slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
				return
			}
		}
		rest := bufio.NewReader(bytes.NewReader(head(was)))
		is, err := http.ReadRequest(rest)
		if err != nil {
			t.Fatalf("%q is kept as %q, which is no request: %v", text, head(was), err)
		}
		was.Header.Del("Expect")
		if is.Method != was.Method || is.RequestURI != was.RequestURI || is.Host != was.Host || !maps.EqualFunc(is.Header, was.Header, slices.Equal) {
			t.Errorf("%q is kept as %q", text, head(was))
		}
		if is.ContentLength == 0 && rest.Buffered() > 0 {
			t.Errorf("after %q comes another request: %q", text, head(was))
		}
	})
}
