package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A way is one by which packets could go from this machine to another one.
type way struct {
	Name  string `json:"name"` // lan, ipv4, ipv6, port-mapping, relay-udp, relay-tcp or relay-tls
	Works bool   `json:"works"`
	Path  string `json:"path"` // drawn, or why there is none
	Gain  string `json:"gain"` // what calls gain from it
}

// ways returns all of them, the best first.
func (d *diagnosis) ways() []way {
	inside, inside6 := d.hostAddress(netip.Addr.Is4), d.hostAddress(netip.Addr.Is6)
	list := []way{
		{Name: "lan", Path: "no network, only this machine", Gain: "calls within this network, without the Internet"},
		{Name: "ipv6", Path: "no address that other machines can reach", Gain: "direct calls without NAT, if the other side has IPv6, too"},
		{Name: "ipv4", Path: "UDP does not leave this network, or no STUN server is known", Gain: "direct calls with most people"},
		{Name: "port-mapping", Path: d.Mapping.String(), Gain: "direct calls even if the other side's NAT uses another port for each destination"},
	}
	lan, ipv6, ipv4, mapping := &list[0], &list[1], &list[2], &list[3]
	if own := cmp.Or(inside, inside6); own != "" {
		lan.Works, lan.Path = true, drawn(own, "other machines of this network")
	}
	if own := d.hostAddress(isReachable6); own != "" {
		ipv6.Works, ipv6.Path = true, drawn(own, "the Internet, IPv6")
	}
	switch own := cmp.Or(inside, d.NAT.Local); {
	case !d.udp():
	case d.NAT.Kind == "none":
		ipv4.Works, ipv4.Path = true, drawn(own, "the Internet, IPv4")
	case d.NAT.Kind == "hard":
		ipv4.Works, ipv4.Path, ipv4.Gain = true, drawn(own, "NAT, another port for each destination", "the Internet, IPv4"), "direct calls only with people whose NAT takes packets from anywhere"
	default:
		ipv4.Works, ipv4.Path = true, drawn(own, "NAT "+d.NAT.Mapped, "the Internet, IPv4")
	}
	if d.Mapping.Protocol != "" {
		mapping.Works, mapping.Path = true, drawn(inside, "the gateway's open port", "the Internet, IPv4")
	}
	for _, over := range []string{"udp", "tcp", "tls"} {
		list = append(list, d.relayed(over))
	}
	return list
}

// hostAddress returns this machine's first address that fits, or "".
func (d *diagnosis) hostAddress(fits func(netip.Addr) bool) string {
	for _, c := range d.Candidates {
		if a, err := netip.ParseAddr(c.Address); err == nil && c.Type == "host" && !a.IsLoopback() && fits(a) {
			return c.Address
		}
	}
	return ""
}

// isReachable6 reports whether other machines can reach an address over IPv6.
func isReachable6(a netip.Addr) bool { return a.Is6() && a.IsGlobalUnicast() && !a.IsPrivate() }

// relayed returns the way through a relay that is reached over udp, tcp or tls.
func (d *diagnosis) relayed(over string) way {
	name := strings.ToUpper(over)
	w := way{Name: "relay-" + over, Path: "no relay over " + name + " is known", Gain: map[string]string{
		"udp": "calls with everyone, with a detour",
		"tcp": "calls with everyone where UDP is blocked",
		"tls": "calls with everyone where only TLS gets through",
	}[over]}
	best := -1
	for i, f := range d.ICE {
		switch {
		case f.Kind != "turn" || f.Over != over:
		case f.Error == "" && (best < 0 || f.RTT < d.ICE[best].RTT):
			best = i
		case f.Error != "":
			w.Path = "no relay over " + name + " answers"
		}
	}
	if best < 0 {
		return w
	}
	stops := []string{"this machine", fmt.Sprintf("relay %s, %s, %s", d.ICE[best].Address, name, inMilliseconds(d.ICE[best].RTT)), "other machines"}
	if d.Server.Proxy != "" && over != "udp" {
		stops = slices.Insert(stops, 1, "proxy "+d.Server.Proxy)
	}
	w.Works, w.Path = true, drawn(stops...)
	return w
}

// drawn draws a path from one stop to the next.
func drawn(stops ...string) string {
	stops = slices.DeleteFunc(stops, func(s string) bool { return strings.TrimSpace(s) == "" })
	return strings.Join(stops, " ── ")
}

// String says whether the way works, where it leads, and what calls gain from it.
func (w way) String() string {
	if !w.Works {
		return fmt.Sprintf("no   %-13s %s; it would allow %s", w.Name, w.Path, w.Gain)
	}
	return fmt.Sprintf("yes  %-13s %s: %s", w.Name, w.Path, w.Gain)
}
