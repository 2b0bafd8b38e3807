package main

import (
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"p2pchat/signaling"
)

// Who guesses the number of a room that is open is not relayed, by a server whose callers
// need an access key: neither with what it says to anyone, nor with an answer of one's own.
func TestGuessedRoomsAreNotRelayed(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("sesame"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serves(t, nil, "--relay", "--relay-listen", "127.0.0.1:0", "--access-key-file", key, "--rate", "client=0")
	s.notes(t, "relaying at ")
	caller, err := start(t.TempDir(), os.Environ(), "call", "417-falcon-zebra", "--server", "http://"+s.address, "--access-key-file", key, "--ui", "json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = caller.cmd.Process.Kill() // it may have ended
		<-caller.ended
	}()
	guesser, err := signaling.NewClient("http://"+s.address, signaling.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var guest signaling.Ticket
	var list []signaling.ICEServer
	for found := false; !found; { // it goes through all three-digit rooms
		for number := 100; number < 1000 && !found; number++ {
			guest = signaling.NewTicket(strconv.Itoa(number), signaling.Callee)
			list, err = guesser.ICEServers(t.Context(), guest, 0)
			found = err == nil && len(list) > 0
		}
	}
	if guest.Room != "417" {
		t.Fatalf("room %s is open", guest.Room)
	}
	tries := func() {
		t.Helper()
		for _, one := range list {
			if one.Credential == "" {
				continue
			}
			conn, err := net.Dial("udp", strings.TrimSuffix(strings.TrimPrefix(one.URLs[0], "turn:"), "?transport=udp"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			c := &turning{conn: conn, user: one.Username, secret: one.Credential}
			if answer := c.asks(t, 500*time.Millisecond); answer == turnAllocate|0x100 {
				t.Error("the relay makes an allocation")
			}
		}
	}
	tries()
	junk := signaling.Description(`{"type":"answer","sdp":"v=0\r\na=fingerprint:sha-256 00:11\r\n","p2pchat":{}}`)
	if _, err := guesser.Answer(t.Context(), guest, "", junk); err != nil {
		t.Fatal(err)
	}
	tries()
	if bare, err := guesser.ICEServers(t.Context(), signaling.Ticket{Room: "417"}, 0); err != nil || len(bare) != 1 || bare[0].Credential != "" {
		t.Errorf("without a token there is %v, %v", bare, err)
	}
}

// asks asks for an allocation, with a nonce, and returns the type of what the relay says, or
// 0 if it says nothing within patience.
func (c *turning) asks(t *testing.T, patience time.Duration) int {
	t.Helper()
	for {
		if _, err := c.conn.Write(c.request(turnAllocate, attribute(turnTransport, 17, 0, 0, 0))); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1500)
		_ = c.conn.SetReadDeadline(time.Now().Add(patience)) // it is open
		n, err := c.conn.Read(b)
		if err != nil {
			return 0
		}
		known := c.nonce != nil
		if c.hears(b[:n]); known {
			return int(binary.BigEndian.Uint16(b))
		}
	}
}
