package pionnet

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/pion/transport/v5"
)

// an interface that is up.
func an(name string, addresses ...string) *transport.Interface {
	i := transport.NewInterface(net.Interface{Name: name, Flags: net.FlagUp | net.FlagRunning})
	if name == "lo" {
		i.Flags |= net.FlagLoopback
	}
	for _, a := range addresses {
		p := netip.MustParsePrefix(a)
		i.AddAddress(&net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())})
	}
	return i
}

func TestInterfaces(t *testing.T) {
	lo, eth, wlan, docker := an("lo", "127.0.0.1/8", "::1/128"), an("eth0", "192.0.2.7/24", "fe80::1/64"), an("wlan0", "10.0.0.7/24"), an("docker0", "172.17.0.1/16")
	down := an("eth1", "192.0.2.8/24")
	down.Flags = 0
	idle := an("docker1", "172.18.0.1/16")
	idle.Flags = net.FlagUp
	for name, c := range map[string]struct {
		all   []*transport.Interface
		route string
		want  []string
	}{
		"loopback is left out where there is another":                  {[]*transport.Interface{lo, eth}, "192.0.2.7", []string{"eth0"}},
		"loopback is all that a machine without a network has":         {[]*transport.Interface{lo, down}, "0.0.0.0", []string{"lo"}},
		"a bridge that nothing uses is none":                           {[]*transport.Interface{lo, idle}, "0.0.0.0", []string{"lo"}},
		"an address of the link alone is none":                         {[]*transport.Interface{lo, an("eth0", "fe80::1/64")}, "0.0.0.0", []string{"lo"}},
		"bridges are left out where there is another":                  {[]*transport.Interface{lo, docker, eth}, "0.0.0.0", []string{"eth0"}},
		"a bridge is better than loopback":                             {[]*transport.Interface{lo, docker}, "0.0.0.0", []string{"docker0"}},
		"a bridge with the default route is an interface like another": {[]*transport.Interface{lo, eth, an("br-lan", "10.1.1.1/24")}, "10.1.1.1", []string{"br-lan", "eth0"}},
		"the default route comes first":                                {[]*transport.Interface{lo, eth, wlan, an("tun0", "10.8.0.2/24")}, "10.8.0.2", []string{"tun0", "eth0", "wlan0"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, i := range usable(c.all, []netip.Addr{netip.MustParseAddr(c.route)}) {
				got = append(got, i.Name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("it uses %v, want %v", got, c.want)
			}
		})
	}

	t.Run("any number of them leaves a few, and fewer at once", func(t *testing.T) {
		all := []*transport.Interface{lo}
		for i := range 40 {
			all = append(all, an(fmt.Sprint("dmz", i), fmt.Sprintf("10.%d.0.1/24", i), fmt.Sprintf("10.%d.0.2/24", i), fmt.Sprintf("10.%d.0.3/24", i)))
		}
		list := usable(all, []netip.Addr{netip.MustParseAddr("10.17.0.2")})
		n := 0
		for _, i := range list {
			n += len(addressesOf(i))
		}
		if n != mostAddresses || list[0].Name != "dmz17" {
			t.Errorf("it offers %d addresses, and %s first", n, list[0].Name)
		}
		if late := unlikely(list); len(late) == 0 || slices.Contains(late, netip.MustParseAddr("10.17.0.1")) {
			t.Errorf("these come late: %v", late)
		}
	})

	t.Run("names that container programs give", func(t *testing.T) {
		for name, want := range map[string]bool{
			"docker0": true, "br-1a2b3c": true, "veth12": true, "virbr0": true, "cni0": true, "flannel.1": true, "vmnet8": true, "vboxnet0": true, "podman1": true, "lxcbr0": true,
			"eth0": false, "enp3s0": false, "wlan0": false, "wlp2s0": false, "lo": false, "en0": false, "Wi-Fi": false,
			"wg0": false, "tun0": false, "tailscale0": false, "ppp0": false, "bridge": false, "": false,
		} {
			if isBridge(name) != want {
				t.Errorf("%q is a bridge: %v, want %v", name, !want, want)
			}
		}
	})

	t.Run("of this machine's at least one is used", func(t *testing.T) {
		n, err := NewNet(t.Context())
		if err != nil {
			t.Skip("this system does not tell its interfaces: ", err)
		}
		if list, err := n.Interfaces(); err != nil || len(list) == 0 {
			t.Errorf("none is: %v", err)
		}
	})
}

func TestAddresses(t *testing.T) {
	list := []*transport.Interface{an("eth0", "192.168.1.7/24", "fd00::7/64"), an("work0", "172.17.0.1/16", "fd00:17::1/64")}
	if got, want := ownAddresses(nil, list), []netip.Addr{netip.MustParseAddr("172.17.0.1"), netip.MustParseAddr("fd00:17::1")}; !slices.Equal(got, want) {
		t.Errorf("its own are %v, want %v", got, want)
	}
	a := Addresses{Networks: networksOf(list)}
	for address, want := range map[string]bool{"192.168.1.8": true, "172.17.3.4": true, "fd00:17::2": true, "192.168.2.7": false, "fd01::7": false} {
		if a.IsNear(netip.MustParseAddr(address)) != want {
			t.Errorf("%s is near: %v, want %v", address, !want, want)
		}
	}
}
