package peer_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// A signaling server may name ICE servers on its own host, and sends no peer to another machine.
func TestICEServersOnOtherHosts(t *testing.T) {
	for _, c := range []struct {
		host, urls, own string
	}{
		{"chat.example.org", "stun:chat.example.org:3478 turn:Chat.Example.ORG.:3478?transport=tcp turns:chat.example.org", ""},
		{"chat.example.org", "stun:stun.example.org stun:chat.example.org.evil.example turn:example.org", "-"},
		{"203.0.113.7", "stun:203.0.113.7:3478 stun:203.0.113.8:3478 stun:10.0.0.7 stun:127.0.0.1", "stun:203.0.113.7:3478"},
		{"2001:db8::7", "stun:[2001:db8::7]:3478 stun:[2001:db8:0::7] stun:[2001:db8::8]", "stun:[2001:db8::7]:3478 stun:[2001:db8:0::7]"},
		// A server on this machine, or in a private network, may be reached at several addresses.
		{"localhost", "stun:127.0.0.1:3478 stun:[::1]:3478 turn:localhost stun:192.168.1.7", ""},
		{"127.0.0.1", "stun:127.0.0.1:3478 turn:localhost:3478 stun:192.168.1.7 stun:[fe80::7]", ""},
		{"127.0.0.1", "stun:203.0.113.7 stun:victim.example", "-"},
		{"192.168.1.7", "stun:192.168.1.7 stun:10.0.0.7 stun:[fd00::7] stun:203.0.113.7", "stun:192.168.1.7 stun:10.0.0.7 stun:[fd00::7]"},
		{"", "stun:stun.example.org stun:203.0.113.7 stun:10.0.0.7", ""}, // the user allows it
	} {
		want := strings.Fields(c.own)
		switch c.own {
		case "":
			want = strings.Fields(c.urls)
		case "-":
			want = nil
		}
		var got []string
		own, elsewhere := peer.OwnICEServers(t.Context(), []signaling.ICEServer{{URLs: strings.Fields(c.urls)}}, peer.Config{Host: c.host})
		for _, s := range own {
			got = append(got, s.URLs...)
		}
		if !slices.Equal(got, want) || len(got)+len(elsewhere) != len(strings.Fields(c.urls)) {
			t.Errorf("of a server at %q, %q are used and %q are not, want %q", c.host, got, elsewhere, want)
		}
	}
}

// Through a proxy, this machine sends nothing itself that RelayOnly or NoLookups forbids.
func TestICEServersThroughAProxy(t *testing.T) {
	proxy := func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("it is only named here")
	}
	const all = "stun:203.0.113.1:3478 stun:chat.example.org:3478 turn:203.0.113.1:3478?transport=udp turn:203.0.113.1:3478?transport=tcp turns:chat.example.org:5349?transport=tcp turn:10.0.0.1:3478?transport=tcp"
	for _, c := range []struct {
		config peer.Config
		own    string // of the server chat.example.org
		used   string // of all
	}{
		{peer.Config{Proxy: proxy, RelayOnly: true, NoLookups: true}, "stun:chat.example.org:3478 turn:203.0.113.1:3478?transport=tcp turns:chat.example.org:5349?transport=tcp", "turn:203.0.113.1:3478?transport=tcp turns:chat.example.org:5349?transport=tcp turn:10.0.0.1:3478?transport=tcp"},
		{peer.Config{Proxy: proxy, NoLookups: true}, "stun:chat.example.org:3478 turn:203.0.113.1:3478?transport=tcp turns:chat.example.org:5349?transport=tcp", "stun:203.0.113.1:3478 turn:203.0.113.1:3478?transport=udp turn:203.0.113.1:3478?transport=tcp turns:chat.example.org:5349?transport=tcp turn:10.0.0.1:3478?transport=tcp"},
		{peer.Config{Proxy: proxy}, "", all},
	} {
		list := []signaling.ICEServer{{URLs: strings.Fields(all), Username: "user", Credential: "password"}}
		if c.own != "" { // otherwise it would ask a name server
			c.config.Host = "chat.example.org"
			own, _ := peer.OwnICEServers(t.Context(), list, c.config)
			if got := strings.Join(own[0].URLs, " "); got != c.own {
				t.Errorf("%s are its own, want %s", got, c.own)
			}
		}
		if got := strings.Join(c.config.Reachable(list)[0].URLs, " "); got != c.used {
			t.Errorf("%s are used, want %s", got, c.used)
		}
	}
}
