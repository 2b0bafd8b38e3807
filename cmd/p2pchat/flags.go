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

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"p2pchat/signaling"
)

// environment sets the flags that were not given from P2PCHAT_… variables. A flag that was
// given with nothing is a script's mistake: it must not open what the flag would have closed.
func environment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		name := variable(f.Name)
		value, _ := lookup(name)
		if f.Changed && f.Value.Type() == "string" && f.Value.String() == "" && err == nil {
			err = &usageError{err: fmt.Errorf("--%s is empty", f.Name), hint: "give it a value, or leave it out"}
		}
		if f.Changed || value == "" || f.Name == "help" {
			return
		}
		values := []string{value}
		if f.Value.Type() == "stringArray" { // which is given once for each
			values = strings.Fields(value)
		}
		for _, v := range values {
			if e := flags.Set(f.Name, v); e != nil && err == nil {
				err = &usageError{err: fmt.Errorf("the environment variable %s: %w", name, e)}
			}
		}
	})
	return err
}

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "P2PCHAT_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// choices are the values of the flags that have a few.
var choices = map[string][]string{
	"ui":         {"auto", "line", "json"},
	"log-level":  {"debug", "info", "warn", "error"},
	"log-format": {"text", "json"},
}

// completeChoices lets a shell complete them.
func completeChoices(c *cobra.Command) {
	for flag, values := range choices {
		if c.Flags().Lookup(flag) != nil {
			_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // it fails for a flag that is not there
		}
	}
}

// logOptions are the flags of everything that logs.
type logOptions struct{ level, format, file string }

func (o *logOptions) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.level, "log-level", "warn", "what goes to the log: debug, info, warn or error")
	flags.StringVar(&o.format, "log-format", "text", "text or json")
	flags.StringVar(&o.file, "log-file", "", "log to the end of this file instead of stderr")
}

func (o *logOptions) logger(to io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.level)); err != nil {
		return nil, &usageError{err: fmt.Errorf("--log-level must be debug, info, warn or error, not %q", o.level)}
	}
	if o.file != "" {
		file, err := os.OpenFile(o.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) // open until the program ends
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("--log-file: %w", err)}
		}
		to = file
	}
	options := &slog.HandlerOptions{Level: level}
	switch o.format {
	case "text":
		return slog.New(slog.NewTextHandler(noteWriter{to}, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(to, options)), nil
	}
	return nil, &usageError{err: fmt.Errorf("--log-format must be text or json, not %q", o.format)}
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
			return nil, &usageError{err: errors.New("--ice-server must look like stun:host:port or turn:user:password@host:port?transport=udp")}
		}
		list = append(list, signaling.ICEServer{URLs: []string{scheme + ":" + address}, Username: user, Credential: password})
	}
	return list, nil
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
