package relay

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestWhereItCarries(t *testing.T) {
	own := netip.MustParseAddr("198.51.100.1")
	strict, err := New(Config{Addresses: []netip.Addr{own}, FirstPort: 50000, LastPort: 50010})
	if err != nil {
		t.Fatal(err)
	}
	lan, err := New(Config{Addresses: []netip.Addr{own}, FirstPort: 50000, LastPort: 50010, AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Relay{strict, lan} {
		for _, port := range []uint16{50000, 50010} {
			r.allocations[netip.AddrPortFrom(own, port)] = &allocation{}
		}
	}
	for peer, want := range map[string]struct{ strict, lan bool }{
		"203.0.113.9:1":         {true, true},
		"[2001:db8::9]:1":       {true, true},
		"198.51.100.1:50000":    {true, true},
		"198.51.100.1:50010":    {true, true},
		"198.51.100.1:50011":    {false, false}, // another program of the relay's machine
		"198.51.100.1:22":       {false, false},
		"10.0.0.1:1":            {false, true},
		"172.16.0.1:1":          {false, true},
		"192.168.0.1:1":         {false, true},
		"100.64.0.1:1":          {false, true},
		"[fd00::1]:1":           {false, true},
		"127.0.0.1:1":           {false, false},
		"127.9.9.9:50000":       {false, false},
		"[::1]:1":               {false, false},
		"[::ffff:127.0.0.1]:1":  {false, false},
		"[::ffff:10.0.0.1]:1":   {false, true},
		"169.254.169.254:80":    {false, false},
		"[fe80::1]:1":           {false, false},
		"224.0.0.1:1":           {false, false},
		"[ff02::1]:1":           {false, false},
		"0.0.0.0:1":             {false, false},
		"[::]:1":                {false, false},
		"0.1.2.3:1":             {false, false},
		"255.255.255.255:1":     {false, false},
		"240.0.0.1:1":           {false, false},
		"192.0.0.8:1":           {false, false}, // IETF protocols
		"192.0.0.171:1":         {false, false},
		"192.0.1.1:1":           {true, true},
		"192.88.99.1:1":         {false, false}, // 6to4
		"198.18.0.1:1":          {false, false}, // benchmarks
		"198.19.255.254:1":      {false, false},
		"198.20.0.1:1":          {true, true},
		"[2001:2::1]:1":         {false, false}, // benchmarks
		"[2001::7f00:1]:1":      {false, false}, // Teredo
		"[2001:20::1]:1":        {false, false}, // ORCHID
		"[2001:200::1]:1":       {true, true},
		"[100::1]:1":            {false, false}, // discard
		"[5f00::1]:1":           {false, false}, // segment routing
		"[fec0::1]:1":           {false, false}, // site-local
		"[::7f00:1]:1":          {false, false}, // 127.0.0.1, in a form of old
		"[64:ff9b:1::7f00:1]:1": {false, false},
		"[64:ff9b::7f00:1]:1":   {false, false}, // 127.0.0.1, by NAT64
		"[2002:7f00:1::]:50000": {false, false}, // and by 6to4
		"198.51.100.1:50005":    {false, false}, // no allocation has it
	} {
		address := netip.MustParseAddrPort(peer)
		if got := strict.mayReach(address); got != want.strict {
			t.Errorf("to %s: %v", peer, got)
		}
		if got := lan.mayReach(address); got != want.lan {
			t.Errorf("to %s, on a network of one's own: %v", peer, got)
		}
		if strict.mayReach(address) && !strict.mayName(address.Addr().Unmap()) {
			t.Errorf("no permission for %s", peer)
		}
	}

	t.Run("nor to another address of this machine", func(t *testing.T) {
		machine := &Relay{own: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8:1::/64")}}
		for peer, want := range map[string]bool{"192.0.2.7:22": false, "192.0.2.8:22": true, "[2001:db8:1::99]:22": false, "[2001:db8:2::99]:22": true} {
			if got := machine.mayReach(netip.MustParseAddrPort(peer)); got != want {
				t.Errorf("to %s: %v", peer, got)
			}
		}
		found := ownNetworks()
		if !slices.ContainsFunc(found, func(p netip.Prefix) bool { return p.Contains(loopback) }) {
			t.Errorf("this machine has %v", found)
		}
	})

	t.Run("a client gets no permission for such a peer", func(t *testing.T) {
		r := serving(t, Config{FirstPort: 60000, LastPort: 60100})
		c := client(t, r.Credentials("a", nil), "udp")
		conn := allocate(t, c)
		for _, peer := range []string{"10.0.0.1:1", "127.0.0.2:1", "169.254.169.254:80"} {
			to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer))
			if err := c.CreatePermission(to); err == nil {
				t.Errorf("there is a permission for %s", peer)
			}
		}
		// It gets one for the relay's own address, where it reaches allocations only.
		secret, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = secret.Close() }()
		if _, err := conn.WriteTo([]byte("psst"), secret.LocalAddr()); err != nil && !errors.Is(err, errRefused) {
			t.Log(err)
		}
		if got, ok := receives(t, secret, 300*time.Millisecond); ok {
			t.Errorf("a program of this machine received %q", got)
		}
	})
}
