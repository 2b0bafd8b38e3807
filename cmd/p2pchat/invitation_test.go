package main

import (
	"errors"
	"io"
	"strings"
	"testing"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// A link is taken without its scheme, as browsers show it.
func TestLinksWithoutAScheme(t *testing.T) {
	t.Parallel()
	const known = "http://chat.example.net:3000/team"
	for text, want := range map[string][2]string{
		"chat.example.org/#417-amber-falcon":                {"417-amber-falcon", "https://chat.example.org"},
		" (Chat.example.org:8443/chat/#417-amber-falcon). ": {"417-amber-falcon", "https://Chat.example.org:8443/chat"},
		"chat.example.org/#standup-na%C3%AFve":              {"standup-naïve", "https://chat.example.org"},
		"chat:3000/#417-amber-falcon":                       {"417-amber-falcon", "https://chat:3000"},
		"chat.example.net:3000/team/#417-amber-falcon":      {"417-amber-falcon", known},
		"Chat.Example.net:3000/team#417-amber-falcon":       {"417-amber-falcon", "http://Chat.Example.net:3000/team"},
		"chat.example.net:3000/other/#417-amber-falcon":     {"417-amber-falcon", "http://chat.example.net:3000/other"},
		"chat.example.net/team/#417-amber-falcon":           {"417-amber-falcon", "https://chat.example.net/team"},
		"localhost/#417-amber-falcon":                       {"417-amber-falcon", "http://localhost"},
		"127.0.0.1:3000/#417-amber-falcon":                  {"417-amber-falcon", "http://127.0.0.1:3000"},
		"192.168.1.7:3000/#417-amber-falcon":                {"417-amber-falcon", "http://192.168.1.7:3000"},
		"[fd00::7]:3000/#417-amber-falcon":                  {"417-amber-falcon", "http://[fd00::7]:3000"},
		"[2001:db8::7]:3000/#417-amber-falcon":              {"417-amber-falcon", "https://[2001:db8::7]:3000"},
		"192.0.2.7/#417-amber-falcon":                       {"417-amber-falcon", "https://192.0.2.7"},
		"https://192.168.1.7/#417-amber-falcon":             {"417-amber-falcon", "https://192.168.1.7"},
		"team/#417-amber-falcon":                            {"team/#417-amber-falcon", ""}, // a path
		"./#417-amber-falcon":                               {"./#417-amber-falcon", ""},
		"../photos/#1":                                      {"../photos/#1", ""},
		".photos/#1":                                        {".photos/#1", ""},
		"417-amber-falcon":                                  {"417-amber-falcon", ""},
		"chat.example.org/#":                                {"chat.example.org/#", ""},
		"look at chat.example.org/#417-amber-falcon":        {"look at chat.example.org/#417-amber-falcon", ""},
	} {
		if code, server := pasted(text, known); code != want[0] || server != want[1] {
			t.Errorf("%q is %q at %q", text, code, server)
		}
	}
}

// A server that uses https is not asked without, whatever path of it a link has.
func TestSchemeOfAKnownServer(t *testing.T) {
	t.Parallel()
	for _, link := range []string{"192.168.1.7:3000/#417-amber-falcon", "192.168.1.7:3000/team/#417-amber-falcon"} {
		if _, server := pasted(link, "https://192.168.1.7:3000"); !strings.HasPrefix(server, "https://192.168.1.7:3000") {
			t.Errorf("%q is a link to %q", link, server)
		}
	}
}

// What is left of a link that was cut off is told from a code of a wrong form; a caller probably means a server.
func TestHalfLinks(t *testing.T) {
	t.Parallel()
	for text, server := range map[string]string{
		"https://chat.example.org": "https://chat.example.org", "http://chat.example.org:3000/": "http://chat.example.org:3000", "https://chat.example.org/team/#": "https://chat.example.org/team",
		"(chat.example.org/)": "https://chat.example.org", "chat.example.org/#": "https://chat.example.org", "chat.example.org:3000": "https://chat.example.org:3000",
		"127.0.0.1:3000": "http://127.0.0.1:3000", "[fd00::7]:3000/": "http://[fd00::7]:3000", "localhost/": "http://localhost", "192.168.1.7:3000/team/": "http://192.168.1.7:3000/team",
	} {
		for side, says := range map[signaling.Side]string{signaling.Callee: "this link has no code at its end: paste the whole link", signaling.Caller: "this is the address of a server, and not a code"} {
			o := talkOptions{side: side, server: defaultServer}
			_, err := o.parse(text)
			if err == nil || err.Error() != says {
				t.Errorf("%q: %v", text, err)
			}
			if _, _, hint := ending(err); side == signaling.Caller && !strings.HasSuffix(hint, " --server "+quoted(server)) {
				t.Errorf("%q: the hint is %q", text, hint)
			}
			if again := o.refusePaths([]string{text}); again == nil || again.Error() != says {
				t.Errorf("%q as an argument: %v", text, again)
			}
		}
	}
	for _, text := range []string{"standup:2", "team/photos", "photos.d/x", "./photos", "417:amber-falcon", "~/x", "#"} {
		o := talkOptions{server: defaultServer}
		if _, err := o.parse(text); !errors.Is(err, peer.ErrCode) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, room := range []string{"chat.example.org", "localhost", "standup-a/b"} {
		o := talkOptions{server: defaultServer}
		if _, err := o.parse(room); err != nil {
			t.Errorf("%q: %v", room, err)
		}
	}
}

// A person who answers with half a link on the screen is not told how to call.
func TestHalfALinkOnTheScreen(t *testing.T) {
	t.Parallel()
	c := &connector{o: &talkOptions{side: signaling.Callee, server: defaultServer}}
	if err := c.enter("chat.example.org/#"); err == nil || !strings.Contains(err.Error(), "this link has no code at its end") {
		t.Error(err)
	}
}

// A link that was doubted, and then not taken, has not chosen the server.
func TestTheServerOfADoubtedLink(t *testing.T) {
	t.Parallel()
	const before, doubted = "https://chat.example.org", "chat.example.net/#417\r\x15" // Ctrl-U empties the line
	for typed, server := range map[string]string{
		"417-falcon-zebra\r":                   before,
		"chat.example.com/#417-falcon-zebra\r": "https://chat.example.com",
	} {
		o := talkOptions{side: signaling.Callee, server: before}
		std := stdio{in: strings.NewReader(doubted + typed), err: io.Discard, raw: func() (func(), error) { return func() {}, nil }}
		if code, err := o.findCode(t.Context(), "", std); err != nil || code.Secret != "falcon-zebra" || o.server != server {
			t.Errorf("%q after a link to another server is %v at %q, %v", typed, code, o.server, err)
		}
	}
}

// A link that was cut off would cost one of three attempts: where the program asks for the code, it asks once.
func TestACutLinkIsDoubted(t *testing.T) {
	t.Parallel()
	const link = "chat.example.org/#"
	for text, doubted := range map[string]bool{
		link + "417": true, link + "417-amber": true, link + "417-amber-fal": true, "https://" + link + "standup": true, link + "foo-bar": true,
		link + "417-falcon-zebra": false, link + "standup-foo-bar": false, link + "lobby": false, "p2pchat answer standup --server https://chat.example.org": false,
	} {
		var codes codeReader
		o := talkOptions{server: defaultServer}
		code, err := codes.read(text, o.parse)
		if isDoubt := errors.As(err, new(*unlikelyCodeError)); isDoubt != doubted || isDoubt != (err != nil) {
			t.Errorf("%q is %v, %v", text, code, err)
		}
		if doubted && !strings.Contains(err.Error(), "may be cut off. If it is whole, press Enter again.") {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := codes.read(text, o.parse); err != nil {
			t.Errorf("%q again: %v", text, err)
		}
	}
}
