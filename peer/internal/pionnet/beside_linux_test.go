package pionnet

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/ipv4"
)

// A socket of Linux hands the kernel many packets of QUIC at a time, and keeps its options.
func TestSharedBatches(t *testing.T) {
	machine, err := NewNet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	listen := func() (s *Sockets, c net.PacketConn, at netip.AddrPort) {
		s = &Sockets{}
		ice, err := s.Share(machine).ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := ice.Close(); err != nil {
				t.Error(err)
			}
		})
		return s, ice, addrPortOf(ice.LocalAddr())
	}
	a, _, from := listen()
	b, ice, to := listen()
	sender, receiver := a.Beside(), b.Beside()
	near, ok := sender.Conn().(*batchedBeside)
	far, okFar := receiver.Conn().(*batchedBeside)
	if !ok || !okFar {
		t.Fatal("the sockets have no batches")
	}
	there, here := sender.To(from, to).(*net.UDPAddr), receiver.To(to, from)
	batch := bytes.Repeat(append([]byte{64}, make([]byte, 999)...), 10)
	if n, _, err := near.WriteMsgUDP(batch[:9_500], segments(1000), there); err != nil || n != 9_500 {
		t.Fatalf("%d bytes are sent (%v)", n, err)
	}
	if _, err := near.WriteTo([]byte{1}, there); err != nil { // the last packet is for ICE, which reads all of them
		t.Fatal(err)
	}
	reads(t, ice, 1)
	messages := make([]ipv4.Message, 8)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, 1500)}
	}
	var sizes []int
	for len(sizes) < 10 {
		n, err := far.ReadBatch(messages, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages[:n] {
			if m.Addr != here {
				t.Errorf("a packet is from %v", m.Addr)
			}
			sizes = append(sizes, m.N)
		}
	}
	for i, n := range sizes {
		if want := map[bool]int{true: 500, false: 1000}[i == 9]; n != want {
			t.Errorf("packet %d has %d bytes, want %d", i, n, want)
		}
	}
}
