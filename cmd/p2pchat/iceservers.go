package main

import (
	"cmp"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"p2pchat/signaling"
)

// iceServers parses stun:host:port and turn:user:password@host:port?transport=udp.
func iceServers(urls []string) ([]signaling.ICEServer, error) {
	var list []signaling.ICEServer
	for _, u := range urls {
		scheme, rest, _ := strings.Cut(u, ":")
		credentials, address, with := cutLast(rest, "@")
		user, password, _ := strings.Cut(credentials, ":")
		host, query, asks := strings.Cut(address, "?")
		turn := scheme == "turn" || scheme == "turns"
		switch {
		case !turn && scheme != "stun" && scheme != "stuns", !isAddress(host), turn != with, turn && (user == "" || password == ""),
			asks && (!turn || query != "transport=udp" && query != "transport=tcp"):
			return nil, &usageError{err: errors.New("--ice-server: cannot read one of the values (examples: stun:host:port, turn:user:password@host:port?transport=udp)")} // it may hold a password
		}
		list = append(list, signaling.ICEServer{URLs: []string{scheme + ":" + address}, Username: user, Credential: password})
	}
	return list, nil
}

// anyICEServer, as the only --ice-server, means every server that the signaling server names.
const anyICEServer = "any"

// chosenICEServers returns the STUN and TURN servers that the flags name. If the list is empty, the program uses
// the signaling server's list, but only its servers on host; an empty host allows every host.
func chosenICEServers(urls []string, server string) (list []signaling.ICEServer, host string, err error) {
	if len(urls) == 1 && urls[0] == anyICEServer {
		return nil, "", nil
	}
	u, err := url.Parse(server)
	if err != nil {
		return nil, "", err
	}
	list, err = iceServers(urls)
	return list, u.Hostname(), err
}

// isAddress reports whether s is a host, with or without a port.
func isAddress(s string) bool {
	u, err := url.Parse("//" + s)
	if err != nil || u.Hostname() == "" || u.Host != s {
		return false
	}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), "1"), 10, 16)
	return err == nil && port > 0
}

// cutLast is strings.Cut at the last sep. Without sep, s is all after.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}
