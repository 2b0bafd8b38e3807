package server

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"p2pchat/signaling/memstore"
)

// serveOn serves on l until the test ends.
func serveOn(t *testing.T, l net.Listener, config Config) {
	t.Helper()
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	serveSite(t, New(memstore.New(memstore.Limits{}), config), l)
}

func serveSite(t *testing.T, s *Server, l net.Listener) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(ctx, l, time.Second) })
	t.Cleanup(func() {
		cancel()
		serving.Wait()
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// asks sends one request on a connection of its own, and returns the status and the body's type.
func asks(t *testing.T, address, method, path, host string, header ...string) (status int, body string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	sent := ""
	if method != http.MethodGet && method != http.MethodHead {
		sent = anOffer
	}
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n%s",
		method, path, host, len(sent), strings.Join(append(header, ""), "\r\n"), sent)
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	var text strings.Builder
	_, _ = bufio.NewReader(r.Body).WriteTo(&text)
	return r.StatusCode, text.String()
}

func TestPagesOfOtherSites(t *testing.T) {
	l := listen(t)
	serveOn(t, l, Config{PublicURL: "https://chat.example.org", Origins: []string{"https://friend.example"}})
	const json, text = "Content-Type: application/json", "Content-Type: text/plain;charset=UTF-8"
	const own, public, cross = "http://localhost:3000", "https://chat.example.org", "Sec-Fetch-Site: cross-site"
	for _, one := range []struct {
		who    string
		host   string
		header []string
		status int
		reason string
	}{
		{"curl", "localhost:3000", []string{"Content-Type: application/x-www-form-urlencoded"}, 201, ""},
		{"node's fetch", "localhost:3000", []string{text, "Sec-Fetch-Mode: cors"}, 201, ""},
		{"a program without a type", "127.0.0.1:3000", nil, 201, ""},
		{"the page", "localhost:3000", []string{json, "Origin: " + own, "Sec-Fetch-Site: same-origin"}, 201, ""},
		{"the page of an old browser", "localhost:3000", []string{json, "Origin: " + own}, 201, ""},
		{"the page behind TLS", "chat.example.org", []string{json, "Origin: " + public}, 201, ""},
		{"the page behind TLS, with the port", "chat.example.org:443", []string{json, "Origin: " + public}, 201, ""},
		{"the page behind a proxy that changes the host", "127.0.0.1:3000", []string{json, "Origin: " + public}, 201, ""},
		{"another page behind a proxy that changes the host", "127.0.0.1:3000", []string{json, "Origin: https://x.example", "Sec-Fetch-Site: same-origin"}, 201, ""},
		{"a page that is allowed", "localhost:3000", []string{json, "Origin: https://friend.example", cross}, 201, ""},
		{"a page elsewhere", "localhost:3000", []string{json, "Origin: https://evil.example", cross}, 403, "other-site"},
		{"a page elsewhere that needs no permission", "localhost:3000", []string{text, "Origin: https://evil.example", cross}, 403, "other-site"},
		{"a page elsewhere, in an old browser", "localhost:3000", []string{text, "Origin: https://evil.example"}, 403, "behind a proxy, start the server with --public-url"},
		{"a page in a sandbox", "localhost:3000", []string{json, "Origin: null"}, 403, "other-site"},
		{"a page without an origin", "localhost:3000", []string{json, cross}, 403, "other-site"},
		{"a page on another port of this machine", "localhost:3000", []string{json, "Origin: http://localhost:8080", "Sec-Fetch-Site: same-site"}, 403, "other-site"},
		{"a page on another port, in an old browser", "localhost:3000", []string{json, "Origin: http://localhost:8080"}, 403, "other-site"},
		{"a page whose name leads here", "evil.example:3000", []string{json, "Origin: http://evil.example:3000"}, 403, "other-host"},
		{"a page of a name like this machine's", "localhost.evil.example:3000", []string{json}, 403, "other-host"},
		{"the page with another type", "localhost:3000", []string{text, "Origin: " + own, "Sec-Fetch-Site: same-origin"}, 415, "not-json"},
		{"the page without a type", "localhost:3000", []string{"Origin: " + own}, 415, "not-json"},
	} {
		status, body := asks(t, l.Addr().String(), "POST", "/offer", one.host, one.header...)
		if status != one.status || !strings.Contains(body, one.reason) {
			t.Errorf("%s is answered %d %s, want %d %s", one.who, status, body, one.status, one.reason)
		}
	}
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:3000": 200, "p2pchat.localhost": 200, "127.1.2.3": 200, "[::1]:3000": 200, "chat.example.org": 200, "CHAT.example.org:3000": 200,
		"evil.example": 403, "192.0.2.1:3000": 403, "chat.example.org.evil.example": 403,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			if status, _ := asks(t, l.Addr().String(), method, "/", host); status != want {
				t.Errorf("%s of the page at %s is answered %d, want %d", method, host, status, want)
			}
		}
	}
}

// A server that others reach has names that it does not know.
func TestAnyHostElsewhere(t *testing.T) {
	l, err := net.ListenTCP("tcp", nil) // as a server for other machines does
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, Config{})
	address := fmt.Sprintf("127.0.0.1:%d", l.Addr().(*net.TCPAddr).Port)
	if status, body := asks(t, address, "POST", "/offer", "chat.lan", "Origin: http://chat.lan", "Content-Type: application/json"); status != 201 {
		t.Errorf("the page is answered %d %s", status, body)
	}
}

func TestHead(t *testing.T) {
	s := open(t, memstore.Limits{}, mailConfig(memstore.MailLimits{}, 0))
	s.post(aBox.path(), aBlock(1), aBox.put()).is(201)
	s.post("/offer", anOffer).is(201)
	s.post("/rooms/blue/offer", anOffer).is(201)
	for _, r := range s.echo.Routes() {
		if r.Method != http.MethodGet || r.Path == "/" || strings.Contains(r.Path, "*") { // the page is no part of the document
			continue
		}
		path := strings.NewReplacer(":room", "blue", ":box", aBox.Name).Replace(r.Path)
		own := "Accept: application/json"
		if path == aBox.path() {
			own = aBox.take()
		}
		with, without := s.get(path, own), s.send("HEAD", path, "", own)
		if without.status != with.status || without.body != "" || without.header.Get("ETag") != with.header.Get("ETag") ||
			without.header.Get("Content-Type") != with.header.Get("Content-Type") {
			t.Errorf("HEAD %s is answered %d %v %q, GET %d %v", path, without.status, without.header, without.body, with.status, with.header)
		}
	}
	waits := make(chan reply, 1)
	go func() { waits <- s.send("HEAD", "/rooms/late/offer", "", "Prefer: wait=60") }()
	s.untilWaiting(1)
	s.post("/rooms/late/offer", anOffer).is(201)
	s.heard(waits).is(200).says("").has("Preference-Applied", "wait=60")
}

// Every address and every way to write checks who asks, and the metrics too.
func TestEveryWriteIsGuarded(t *testing.T) {
	l, m := listen(t), listen(t)
	s := New(memstore.New(memstore.Limits{}), Config{Metrics: m, Log: slog.New(slog.DiscardHandler)})
	serveSite(t, s, l)
	const json, evil, site = "Content-Type: application/json", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"
	writes := 0
	for _, r := range s.echo.Routes() {
		path := strings.NewReplacer(":room", "blue", "*", "page.css").Replace(r.Path)
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} { // those that no route has, too
			if status, body := asks(t, l.Addr().String(), method, path, "localhost", json, evil, site); status != 403 || !strings.Contains(body, "other-site") {
				t.Errorf("%s %s of another site is answered %d %s", method, path, status, body)
			}
			writes++
		}
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
			if status, _ := asks(t, l.Addr().String(), method, path, "evil.example", json); status != 403 {
				t.Errorf("%s %s of a name that leads here is answered %d", method, path, status)
			}
		}
	}
	if writes < 40 {
		t.Errorf("only %d writes were tried", writes)
	}
	for host, want := range map[string]int{"localhost:9100": 200, "127.0.0.1": 200, "evil.example:9100": 403} {
		for _, method := range []string{"GET", "HEAD"} {
			if status, _ := asks(t, m.Addr().String(), method, "/metrics", host); status != want {
				t.Errorf("%s of the metrics at %s is answered %d, want %d", method, host, status, want)
			}
		}
	}
}

// A body is bounded before it is parsed, whatever the operator asks for.
func TestBodiesAreBounded(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{MaxBody: 100 << 20})
	s.post("/offer", ofSize("offer", MostBody)).is(201)
	for _, length := range []string{"Content-Length: of net/http", "Transfer-Encoding: chunked"} {
		s.post("/offer", ofSize("offer", MostBody+1), length).problem(413, "too-large")
		s.post("/answer", ofSize("answer", 15<<20), length).problem(413, "too-large")
	}
}

func TestRoomsOfDots(t *testing.T) {
	l := listen(t)
	serveOn(t, l, Config{})
	for _, room := range []string{".", "..", "%2e", "%2E%2e", ".%2e"} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			if status, body := asks(t, l.Addr().String(), method, "/rooms/"+room+"/offer", "localhost"); status != 400 {
				t.Errorf("%s in room %q is answered %d %s", method, room, status, body)
			}
		}
	}
	if status, body := asks(t, l.Addr().String(), "POST", "/rooms/.../offer", "localhost"); status != 201 {
		t.Errorf("a room of three dots is answered %d %s", status, body)
	}
}

// A scarce listener cannot open connections at first.
type scarce struct {
	net.Listener
	left int
}

func (l *scarce) Accept() (net.Conn, error) {
	if l.left > 0 {
		l.left--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

func TestNoMoreFiles(t *testing.T) {
	book := &logbook{}
	l := listen(t)
	serveOn(t, &scarce{l, 3}, Config{Log: slog.New(slog.NewTextHandler(book, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if status, _ := asks(t, l.Addr().String(), "GET", "/healthz", "localhost"); status != 200 {
		t.Errorf("then it answers %d", status)
	}
	if text := book.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "limit=open_files") {
		t.Errorf("the log has %q", text)
	}
}

// A client may send its candidates while its description is under way.
func TestCandidatesBeforeTheirDescription(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{})
	const caller, callee = "Authorization: Bearer caller-of-128-bits-or-more", "Authorization: Bearer callee-of-128-bits-or-more"
	adds := func(path, token string) <-chan reply {
		added := make(chan reply, 1)
		go func() { added <- s.post(path, aCandidate, token) }()
		s.untilWaiting(1)
		return added
	}
	s.post("/offer", anOffer).is(201) // a call that stands in the lobby
	for _, room := range []string{"/rooms/blue", ""} {
		early := adds(room+"/offer-candidates", caller)
		s.post(room+"/offer", anOffer, caller).is(201)
		s.heard(early).is(201)
		s.get(room + "/offer-candidates").is(200).says("[" + aCandidate + "]")
		early = adds(room+"/answer-candidates", callee)
		s.post(room+"/answer", anAnswer, callee).is(201)
		s.heard(early).is(201)
		s.get(room + "/answer-candidates").is(200).says("[" + aCandidate + "]")
		s.post(room+"/answer-candidates", aCandidate, caller+"-not").problem(401, "wrong-token")
	}
	s.post("/rooms/red/offer-candidates", aCandidate, caller).problem(404, "no-room")
	s.post("/rooms/red/answer-candidates", aCandidate, callee).problem(404, "no-room")
}

// Browsers that have come over TLS come over TLS from there on, but not to localhost.
func TestStrictTransport(t *testing.T) {
	s := New(memstore.New(memstore.Limits{}), Config{Log: slog.New(slog.DiscardHandler)})
	h := httptest.NewTLSServer(s)
	defer h.Close()
	for host, want := range map[string]string{"chat.example.org": "max-age=31536000", "localhost": "", "127.0.0.1:3000": ""} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		res, err := h.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := res.Header.Get("Strict-Transport-Security"); got != want {
			t.Errorf("%s is told %q, want %q", host, got, want)
		}
	}
	plain := httptest.NewRecorder()
	s.ServeHTTP(plain, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	if plain.Header().Get("Strict-Transport-Security") != "" {
		t.Error("it is told over plain http, where anybody between could")
	}
}
