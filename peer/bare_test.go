package peer_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// A bare connection carries messages both ways, and ends for both.
func TestBare(t *testing.T) {
	near, far, hangUp, err := peer.Bare(soon(t), quiet())
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []struct {
		from, to io.ReadWriter
		text     string
	}{{near, far, "there"}, {far, near, "and back"}} {
		if _, err := way.from.Write([]byte(way.text)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		n, err := way.to.Read(b)
		if got := string(b[:n]); err != nil || got != way.text {
			t.Fatalf("%q came, not %q: %v", got, way.text, err)
		}
	}
	hangUp()
	for name, end := range map[string]io.Reader{"near": near, "far": far} {
		if n, err := end.Read(make([]byte, 100)); err == nil {
			t.Errorf("the %s end reads %d bytes after the end", name, n)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, _, _, err := peer.Bare(ended, quiet()); err == nil {
		t.Error("two connect though there is no time left")
	}
}

// What a call would offer are the addresses of this machine, and those that servers find.
func TestGather(t *testing.T) {
	found, err := peer.Gather(soon(t), nil, peer.Config{})
	if err != nil || len(found) == 0 {
		t.Fatalf("found %v: %v", found, err)
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range found {
		isOwn := slices.ContainsFunc(own, func(o net.Addr) bool {
			p, err := netip.ParsePrefix(o.String())
			return err == nil && p.Addr().String() == a.Address
		})
		if a.Type != "host" || a.Protocol != "udp" || a.Port == 0 || !isOwn {
			t.Errorf("found %+v, without a server", a)
		}
	}
	relayOnly := quiet()
	relayOnly.RelayOnly = true
	if found, err := peer.Gather(soon(t), nil, relayOnly); err == nil {
		t.Errorf("found %v without a relay", found)
	}
	silent, err := net.ListenPacket("udp4", "127.0.0.1:0") //nolint:noctx // of a test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() }) // nothing is on its way
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := peer.Gather(ended, []signaling.ICEServer{{URLs: []string{"stun:" + silent.LocalAddr().String()}}}, quiet()); err != nil {
		t.Errorf("what was found before the end is not told: %v", err)
	}
}
