package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// findCode parses text. If text is empty, both sides on a server of this machine meet in the lobby; elsewhere a
// caller gets a new code, which the zero Code asks for, and an answerer is asked for the caller's code.
func (o *talkOptions) findCode(ctx context.Context, text string, std stdio) (peer.Code, error) {
	switch {
	case text != "":
	case onLoopback(o.server) && o.lan != always:
		text = signaling.Lobby
	case o.side == signaling.Caller:
		return peer.Code{}, nil
	case std.raw == nil:
		return peer.Code{}, errNoCode
	default:
		o.asked = true
		server, given, saved := o.server, o.serverGiven, o.serverSaved
		return askCode(ctx, std, func(text string) (peer.Code, error) {
			o.server, o.serverGiven, o.serverSaved = server, given, saved // a link that was doubted before may have named another one
			return o.parse(text)
		})
	}
	return o.parse(text)
}

// parse parses a code, or the command or link that the other side's program shows with it. These may name the
// server, too: then parse sets o.server.
func (o *talkOptions) parse(text string) (peer.Code, error) {
	typed := text
	text, server := pasted(typed, o.server)
	switch {
	case server == "" || strings.TrimRight(server, "/") == strings.TrimRight(o.server, "/"):
	case o.serverGiven && !o.serverSaved:
		return peer.Code{}, &usageError{err: fmt.Errorf("that call is on %s, but --server says %s", server, o.server), hint: "leave --server out, or use --server " + quoted(server)}
	default:
		o.server, o.serverGiven, o.serverSaved = server, true, false
	}
	if err := o.checkServer(); err != nil {
		return peer.Code{}, err
	}
	code, err := peer.ParseCode(text)
	if err != nil {
		err = cmp.Or(o.halfLink(typed), err)
	}
	return code, err
}

// An address is a link, or what is left of one: a scheme, a host, a port, a path and a code, of which only the host is always there.
var addressPattern = sync.OnceValue(func() *regexp.Regexp { // not compiled at each start
	return regexp.MustCompile(`(?i)^(https?://)?([\w.-]+|\[[\da-f:.]+\])(:\d+)?(/[^\s#]*)?(#\S*)?$`)
})

// address returns the parts of addressPattern in text, of which the first is all of them, or nil. A sentence may have put marks around it.
func address(text string) []string {
	found := addressPattern().FindStringSubmatch(strings.TrimSpace(text))
	if found == nil { // the bracket of an IPv6 address is a mark, too
		found = addressPattern().FindStringSubmatch(peer.TrimMarks(text))
	}
	return found
}

// pasted is invitation for a link that may have no scheme, as browsers show it. The server that is known gives the scheme to a link to its
// host and port; to another one, a link is https, unless its host is on this machine or a private network, where few servers have a
// certificate.
func pasted(text, known string) (code, server string) {
	if !strings.Contains(text, "#") { // it is no link: most calls need no pattern, which takes a tenth of a millisecond to compile
		return invitation(text)
	}
	found := address(text)
	if found == nil || found[1] != "" || found[4] == "" || len(found[5]) < 2 || found[3] == "" && !isHost(found[2]) {
		return invitation(text)
	}
	scheme, rest, _ := strings.Cut(known, "://")
	if host, _, _ := strings.Cut(rest, "/"); !strings.EqualFold(host, found[2]+found[3]) {
		scheme = likelyScheme(found[2])
	}
	return invitation(scheme + "://" + found[0])
}

// isHost reports whether text, of a form that a room's name or a folder may have too, is probably the name or the address of a host.
func isHost(text string) bool {
	return strings.ContainsAny(strings.TrimLeft(text, "."), ".]") || strings.EqualFold(text, "localhost")
}

// likelyScheme returns https unless the host is this machine, or has an address that only its own network knows.
func likelyScheme(host string) string {
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if strings.EqualFold(host, "localhost") || err == nil && (a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()) {
		return "http"
	}
	return "https"
}

// halfLink returns a usageError if text, which is no code, is the address of a server: a link that was cut off, or what a caller wants to
// give as --server.
func (o *talkOptions) halfLink(text string) error {
	found := address(text)
	if found == nil || len(found[5]) > 1 {
		return nil
	}
	scheme, host, port, path := found[1], found[2], found[3], strings.TrimRight(found[4], "/")
	switch isCut := found[5] == "#"; {
	case scheme != "":
	case !isHost(host), port == "" && !isCut && (path != "" || found[4] == ""): // a path, or a room
		return nil
	default:
		scheme = likelyScheme(host) + "://"
	}
	if o.side == signaling.Caller {
		return &usageError{err: errors.New("this is the address of a server, and not a code"), hint: "to call at this server: p2pchat call --server " + quoted(scheme+host+port+path)}
	}
	return &usageError{err: errors.New("this link has no code at its end: paste the whole link"), hint: "a link looks like https://chat.example.org/#417-falcon-zebra"}
}

// invitation splits a text that a person may paste instead of a code: a link, or a line with the command that
// the other side's program shows, with or without the punctuation of a sentence around it. A command without a
// code means the lobby. Any other text is a code.
func invitation(text string) (code, server string) {
	if u, err := url.Parse(peer.TrimMarks(text)); err == nil && u.Host != "" && u.Fragment != "" {
		return u.Fragment, u.Scheme + "://" + u.Host + strings.TrimRight(u.Path, "/")
	}
	found := commandPattern().FindStringSubmatch(text)
	if found == nil {
		return text, ""
	}
	words := strings.Fields(strings.ReplaceAll(firstCommand(found[1]), quotedQuote, "'"))
	var parts []string
	flags := false
	for i := 0; i < len(words); i++ {
		switch {
		case words[i] == "--server" && i+1 < len(words):
			i++
			server = strings.TrimRight(strings.Trim(words[i], `'"`), afterURL)
		case strings.HasPrefix(words[i], "--"):
			flags = true // other words are their values
		case !flags:
			parts = append(parts, words[i])
		}
	}
	return cmp.Or(peer.TrimMarks(strings.Join(parts, " ")), signaling.Lobby), server
}

// firstCommand returns the text up to where a shell would begin another command: a line is often pasted with the one after it. A pair of
// quotes around a word, or a part of one, as quoted makes them, hides such signs; the quotes of a sentence do not.
func firstCommand(text string) string {
	for i := 0; i < len(text); i++ {
		switch mark := text[i]; mark {
		case ';', '&', '|':
			return text[:i]
		case '\'', '"':
			opens := i > 0 && strings.IndexByte(" \t'\"", text[i-1]) >= 0
			if end := strings.IndexByte(text[i+1:], mark); opens && end >= 0 {
				i += end + 1
			}
		}
	}
	return text
}

// afterURL are marks that can follow an address in a sentence. An address may end with ].
const afterURL = ".,;:!?\"'`)>”’“»"

// commandPattern matches the command that the other side types, anywhere in a line.
var commandPattern = sync.OnceValue(func() *regexp.Regexp { // not compiled at each start
	return regexp.MustCompile("(?:^|[\\s\"'`(<“„‘«])p2pchat (?:answer|call)((?:[\\s.,;:!?\"'`)>”“’»].*)?)$")
})

// shared returns the address of the server that the other side can type.
func (o *talkOptions) shared() string { return cmp.Or(o.own.address(), o.server) }

// invite returns the command that the other side types in a shell.
func (o *talkOptions) invite(code peer.Code) string {
	return "p2pchat " + command(o.side.Other()) + o.arguments(code)
}

// arguments returns the arguments of the other side's command, with a space before each: the code, and the server.
func (o *talkOptions) arguments(code peer.Code) (text string) {
	if code != (peer.Code{Room: signaling.Lobby}) || !onLoopback(o.server) {
		text += " " + quoted(code.String())
	}
	if server := o.shared(); server != defaultServer {
		text += " --server " + quoted(server)
	}
	return text
}

// quoted quotes a word for a shell: a person may paste a code that a stranger made.
func quoted(word string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-._~:/%@", r)
	}
	if word != "" && word[0] != '~' && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", quotedQuote) + "'"
}

// quotedQuote is a quote in a word that quoted has quoted.
const quotedQuote = `'\''`
