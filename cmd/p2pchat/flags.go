package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"p2pchat/signaling"
)

// logOptions are the flags of every command that logs.
type logOptions struct {
	level, format, file string

	plain bool // a person reads stderr: warnings come as sentences
}

func (o *logOptions) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.level, "log-level", "warn", "lowest `LEVEL` that is logged: debug, info, warn or error")
	flags.StringVar(&o.format, "log-format", "text", "`FORMAT` of the log: text or json")
	flags.StringVar(&o.file, "log-file", "", "append the log to this `FILE` instead of stderr")
}

func (o *logOptions) logger(to io.Writer) (*slog.Logger, error) {
	for flag, value := range map[string]string{"log-level": o.level, "log-format": o.format} {
		if err := checkChoice(flag, value); err != nil {
			return nil, err
		}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.level)); err != nil {
		return nil, err
	}
	if o.file != "" {
		file, err := os.OpenFile(o.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) // open until the program ends
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("--log-file: %w", err)}
		}
		to = file
	}
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewTextHandler(noteWriter{to}, options)
	switch {
	case o.format == "json":
		handler = slog.NewJSONHandler(to, options)
	case o.plain && o.file == "" && level >= slog.LevelWarn:
		handler = &plainHandler{to: to, level: level}
	}
	log := slog.New(handler)
	slog.SetDefault(log) // what libraries write with package log goes there too, as info
	return log, nil
}

// noteWriter begins each line that is logged as every line on stderr begins.
type noteWriter struct{ to io.Writer }

func (w noteWriter) Write(b []byte) (int, error) {
	if _, err := fmt.Fprintf(w.to, "p2pchat: %s", b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// iceServers reads stun:host:port and turn:user:password@host:port?transport=udp.
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

// anyICEServer, as the only --ice-server, stands for all that the signaling server names.
const anyICEServer = "any"

// chosenICEServers returns the STUN and TURN servers that the flags name, or else the host on which
// those of the signaling server are used: empty for any.
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

// isAddress tells a host, with a port or without, from anything else.
func isAddress(s string) bool {
	u, err := url.Parse("//" + s)
	if err != nil || u.Hostname() == "" || u.Host != s {
		return false
	}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), "1"), 10, 16)
	return err == nil && port > 0
}

// cutLast is strings.Cut at the last sep; without one, all is behind it.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}
