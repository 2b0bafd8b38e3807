package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"p2pchat/signaling"
)

// literalClient speaks HTTP as curl does, and knows nothing of our programs.
type literalClient struct {
	t   *testing.T
	url string
}

func (c literalClient) asks(method, path, body string, header ...string) (status int, text string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// iceServers returns those that a guest of a room is listed.
func (c literalClient) iceServers(room string, header ...string) (all []signaling.ICEServer) {
	c.t.Helper()
	status, text := c.asks("GET", room+"/ice-servers", "", header...)
	var list struct{ ICEServers []signaling.ICEServer }
	if err := json.Unmarshal([]byte(text), &list); err != nil || status != http.StatusOK {
		c.t.Fatalf("%d %s: %v", status, text, err)
	}
	return list.ICEServers
}

// A plain guest of a server with an access key is relayed once the caller has accepted its
// answer: see docs/operating.md.
func TestAPlainGuestIsRelayed(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("sesame"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serves(t, nil, "--relay", "--relay-listen", "127.0.0.1:0", "--access-key-file", key, "--ice-server", "turn:user:password@192.0.2.1:3478")
	s.notes(t, "relaying at ")
	c := literalClient{t, "http://" + s.address}
	const room, answer = "/rooms/blue", `{"type":"answer","sdp":"v=0"}`
	const sesame, caller, guest = "X-P2PChat-Key: sesame", "Authorization: Bearer caller-caller-caller-1", "Authorization: Bearer guest-guest-guest-guest-1"
	posts := func(path, body string, header ...string) string {
		t.Helper()
		status, text := c.asks("POST", path, body, header...)
		if status != http.StatusCreated {
			t.Fatalf("POST %s is answered %d %s", path, status, text)
		}
		return text
	}
	lists := func(room, what string, header ...string) (relay signaling.ICEServer) {
		t.Helper()
		got := ""
		for _, one := range c.iceServers(room, header...) {
			kind, _, _ := strings.Cut(one.URLs[0], ":")
			if got += kind + " "; kind == "turn" {
				relay = one
			}
		}
		if got != what {
			t.Errorf("%s lists %q with %q, want %q", room, got, header, what)
		}
		return relay
	}
	const opening = `{"type":"offer","sdp":"v=0"}`
	posts(room+"/offer", opening, sesame, caller)
	posts(room+"/offer-candidates", `{"candidate":""}`, caller) // of a caller that trickles early
	lists(room, "stun ")
	relay := lists(room, "stun turn ", guest)
	posts(room+"/answer", answer, guest)
	lists(room, "stun ")
	lists(room, "stun turn ", guest)

	conn, err := net.Dial("udp", strings.TrimSuffix(strings.TrimPrefix(relay.URLs[0], "turn:"), "?transport=udp"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	turner := &turning{conn: conn, user: relay.Username, secret: relay.Credential}
	if said := turner.asks(t, 300*time.Millisecond); said != 0 {
		t.Errorf("before the caller accepts, the relay answers %#x", said)
	}
	posts(room+"/offer-candidates", `{"candidate":""}`, caller)
	if said := turner.hear(t); said != turnAllocate|0x100 {
		t.Errorf("after the caller accepted, the relay answers %#x", said)
	}
	lists(room, "turn stun turn ", guest) // another's TURN server is listed now

	// A guest that lets the server make its token asks with that one.
	const other = "/rooms/green"
	posts(other+"/offer", opening, sesame, caller)
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(posts(other+"/answer", answer)), &made); err != nil {
		t.Fatal(err)
	}
	lists(other, "stun turn ", "Authorization: Bearer "+made.Token)

	// The lobby has no proof of who a client is.
	posts("/offer", opening, sesame)
	posts("/answer", answer, guest)
	posts("/offer-candidates", `{"candidate":""}`)
	lists("/rooms/lobby", "stun ", guest)
}

// hear returns the type of the next message of the relay.
func (c *turning) hear(t *testing.T) int {
	t.Helper()
	b := make([]byte, 1500)
	_ = c.conn.SetReadDeadline(time.Now().Add(patience)) // it is open
	if _, err := c.conn.Read(b); err != nil {
		t.Fatal(err)
	}
	return int(b[0])<<8 | int(b[1])
}
