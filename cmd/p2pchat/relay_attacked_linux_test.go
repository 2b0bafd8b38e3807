package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // RFC 8489, section 9.2.2, has it
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the same, section 14.5
	"encoding/binary"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"p2pchat/cmd/p2pchat/internal/bench"
	"p2pchat/signaling"
)

// The methods and attributes of RFC 8656 that an attack takes.
const (
	turnAllocate         = 0x003
	turnCreatePermission = 0x008
	turnChannelBind      = 0x009
	stunUsername         = 0x0006
	stunIntegrity        = 0x0008
	stunRealm            = 0x0014
	stunNonce            = 0x0015
	turnChannelNumber    = 0x000c
	turnPeer             = 0x0012
	turnTransport        = 0x0019
)

// turning is a TURN client that asks for whatever a test has it ask for.
type turning struct {
	conn         net.Conn
	user, secret string
	realm, nonce []byte
}

// attribute is one of a STUN message's (RFC 8489, section 14).
func attribute(kind int, value ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(kind))    //nolint:gosec // a constant
	b = binary.BigEndian.AppendUint16(b, uint16(len(value))) //nolint:gosec // short
	b = append(b, value...)
	return append(b, make([]byte, (4-len(value)%4)%4)...)
}

func (c *turning) request(method int, attributes ...[]byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(method)) //nolint:gosec // a constant
	b = append(b, 0, 0, 0x21, 0x12, 0xa4, 0x42)
	b = append(b, rand.Text()[:12]...)
	b = append(b, bytes.Join(attributes, nil)...)
	length := func(n int) { binary.BigEndian.PutUint16(b[2:], uint16(n)) } //nolint:gosec // short
	if c.nonce != nil {
		b = append(b, attribute(stunUsername, []byte(c.user)...)...)
		b = append(b, attribute(stunRealm, c.realm...)...)
		b = append(b, attribute(stunNonce, c.nonce...)...)
		length(len(b) - 20 + 24)
		key := md5.Sum([]byte(c.user + ":" + string(c.realm) + ":" + c.secret)) //nolint:gosec // see above
		mac := hmac.New(sha1.New, key[:])
		mac.Write(b)
		b = append(b, attribute(stunIntegrity, mac.Sum(nil)...)...)
	}
	length(len(b) - 20)
	return b
}

// allocates makes an allocation, with a nonce that the first answer brings.
func (c *turning) allocates(t *testing.T) {
	t.Helper()
	for range 2 {
		if _, err := c.conn.Write(c.request(turnAllocate, attribute(turnTransport, 17, 0, 0, 0))); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1500)
		_ = c.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := c.conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if binary.BigEndian.Uint16(b) == turnAllocate|0x100 {
			return
		}
		c.hears(b[:n])
	}
	t.Fatal("the relay makes no allocation")
}

// hears takes the realm and the nonce of an answer.
func (c *turning) hears(answer []byte) {
	for a := answer[20:]; len(a) >= 4; {
		size := int(binary.BigEndian.Uint16(a[2:]))
		switch value := a[4 : 4+size]; int(binary.BigEndian.Uint16(a)) {
		case stunRealm:
			c.realm = bytes.Clone(value)
		case stunNonce:
			c.nonce = bytes.Clone(value)
		}
		a = a[4+(size+3)/4*4:]
	}
}

// peerAt is an address of the Internet (RFC 8489, section 14.2).
func peerAt(i int) []byte {
	at := binary.BigEndian.AppendUint32([]byte{0, 1, 0x21, 0x1b}, (0x08000000+uint32(i))^0x2112a442) //nolint:gosec // a test's
	return attribute(turnPeer, at...)
}

// permissions is a request for n of them, from the i-th address on.
func (c *turning) permissions(i, n int) []byte {
	var peers [][]byte
	for j := range n {
		peers = append(peers, peerAt(i+j))
	}
	return c.request(turnCreatePermission, peers...)
}

// turners are clients of the server's relay, each with an allocation.
func (s *served) turners(t *testing.T, n int) (all []*turning) {
	t.Helper()
	client, err := signaling.NewClient("http://"+s.address, signaling.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	list, err := client.ICEServers(t.Context(), signaling.Ticket{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	relay := list[len(list)-1]
	for range n {
		conn, err := net.Dial("udp", strings.TrimSuffix(strings.TrimPrefix(relay.URLs[0], "turn:"), "?transport=udp"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() }) // that is all there is to it
		c := &turning{conn: conn, user: relay.Username, secret: relay.Credential}
		c.allocates(t)
		all = append(all, c)
	}
	return all
}

// Clients of the relay that ask for millions of permissions and channels take neither the
// server's memory nor its time from those who call.
func TestRelayAttacked(t *testing.T) {
	const clients, requests, each = 8, 3750, 100 // 3,000,000 permissions
	s := serves(t, nil, "--relay", "--relay-listen", "127.0.0.1:0")
	s.notes(t, "relaying at ")
	before := s.status("VmRSS")
	all := s.turners(t, clients)
	var attacks sync.WaitGroup
	for n, c := range all {
		attacks.Go(func() {
			for i := range requests {
				_, _ = c.conn.Write(c.permissions((n*requests+i)*each, each)) // what is lost is lost
				number := 0x4000 + i%0x1000
				_, _ = c.conn.Write(c.request(turnChannelBind, attribute(turnChannelNumber, byte(number>>8), byte(number), 0, 0), peerAt(i))) //nolint:gosec // two bytes of a number
			}
		})
	}
	calls := bench.Load{Servers: []string{"http://" + s.address}, Concurrency: 1, Calls: 10, Rate: 4}
	r := calls.Run(t.Context())
	attacks.Wait()
	if r.Failed > 0 || r.Served != 10 {
		t.Errorf("of 10 calls %d were served: %v", r.Served, r.Errors)
	}
	most := s.status("VmHWM")
	if most > before+48<<10 {
		t.Errorf("the server had %d KB, and took %d KB", before, most)
	}
	s.notes(t, "the relay refuses requests")
	t.Logf("%d KB before, %d KB at most; a request took %.1f ms in the middle, %.1f ms at p99", before, most, r.Request.P50, r.Request.P99)
}
