package main

import (
	"slices"
	"strings"
	"testing"
)

// What doctor has found says which ways there are.
func TestWays(t *testing.T) {
	private := candidateFinding{"host", "udp", "10.1.2.3", 9}
	relayed := func(over, problem string) iceFinding {
		return iceFinding{URL: "turn:relay", Kind: "turn", Over: over, RTT: 12, Address: "203.0.113.9:3478", Error: problem}
	}
	nat := func(kind string) natFinding {
		return natFinding{Kind: kind, Local: "10.1.2.3:9", Mapped: "198.51.100.7:9"}
	}
	for name, c := range map[string]struct {
		found diagnosis
		works []string
		draws string
	}{
		"no network":       {diagnosis{}, nil, ""},
		"a network alone":  {diagnosis{Candidates: []candidateFinding{{"host", "udp", "::1", 9}, private}}, []string{"lan"}, "10.1.2.3 ── other machines of this network"},
		"an easy NAT":      {diagnosis{Candidates: []candidateFinding{private}, NAT: nat("easy")}, []string{"lan", "ipv4"}, "10.1.2.3 ── NAT 198.51.100.7:9 ── the Internet, IPv4"},
		"a hard NAT":       {diagnosis{Candidates: []candidateFinding{private}, NAT: nat("hard")}, []string{"lan", "ipv4"}, "10.1.2.3 ── NAT, another port for each destination ── the Internet, IPv4: direct calls only"},
		"a public address": {diagnosis{Candidates: []candidateFinding{private}, NAT: nat("none")}, []string{"lan", "ipv4"}, "10.1.2.3 ── the Internet, IPv4"},
		"a hard NAT whose gateway opens a port": {
			diagnosis{Candidates: []candidateFinding{private}, NAT: nat("hard"), Mapping: mappingFinding{Tried: true, Protocol: "pcp", External: "198.51.100.7:40000"}},
			[]string{"lan", "ipv4", "port-mapping"}, "10.1.2.3 ── the gateway's open port ── the Internet, IPv4",
		},
		"an address of IPv6, and one for this network": {
			diagnosis{Candidates: []candidateFinding{{"host", "udp", "fd00::2", 9}, {"host", "udp", "2001:db8::2", 9}}}, []string{"lan", "ipv6"}, "2001:db8::2 ── the Internet, IPv6",
		},
		"relays, of which UDP's does not answer": {
			diagnosis{ICE: []iceFinding{relayed("udp", "no answer"), relayed("tcp", ""), relayed("tls", "")}}, []string{"relay-tcp", "relay-tls"}, "no relay over UDP answers",
		},
		"a proxy": {
			diagnosis{Server: serverFinding{Proxy: "socks5h://127.0.0.1:9050"}, ICE: []iceFinding{relayed("tls", "")}}, []string{"relay-tls"},
			"this machine ── proxy socks5h://127.0.0.1:9050 ── relay 203.0.113.9:3478, TLS, 12 ms ── other machines",
		},
	} {
		var works []string
		var text strings.Builder
		for _, w := range c.found.ways() {
			if w.Works {
				works = append(works, w.Name)
			}
			if w.Path == "" || w.Gain == "" {
				t.Errorf("%s: it says nothing of %s", name, w.Name)
			}
			text.WriteString(w.String() + "\n")
		}
		if !slices.Equal(works, c.works) || !strings.Contains(text.String(), c.draws) {
			t.Errorf("%s: %v work, not %v, or there is no %q:\n%s", name, works, c.works, c.draws, &text)
		}
	}
}
