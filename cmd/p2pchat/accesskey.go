package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

const keyVariable = variablePrefix + "ACCESS_KEY"

// shortestKey is the length of the shortest access key of which serve does not warn: 64 bits, if it is hexadecimal and random.
const shortestKey = 16

// warnOfKey warns of an access key that others may guess, and of a flag that it makes useless.
func (o *serveOptions) warnOfKey(log *slog.Logger) {
	key := o.server.AccessKey
	if key == "" {
		return
	}
	if n := utf8.RuneCountInString(key); n < shortestKey {
		log.Warn(fmt.Sprintf("the access key is short, and may be guessed: use %d random characters or more", shortestKey), "characters", n)
	}
	if o.relay.on && o.relay.open {
		log.Warn("--relay-open has no effect with an access key: only callers who have the key open rooms, and can relay")
	}
}

// accessKey reads the server's access key from the file or the environment. A flag's value would be
// visible to other users of the machine. It returns "" if there is no key.
func accessKey(file string) (string, error) {
	if file == "" {
		return os.Getenv(keyVariable), nil
	}
	b, err := os.ReadFile(file) //nolint:gosec // the person named it
	if err != nil {
		return "", &usageError{err: fmt.Errorf("--access-key-file: %w", err)}
	}
	key := strings.TrimSpace(string(b))
	switch {
	case key == "":
		return "", &usageError{err: fmt.Errorf("--access-key-file: %s is empty", file)}
	case strings.ContainsFunc(key, unicode.IsControl):
		return "", &usageError{err: fmt.Errorf("--access-key-file: %s has more than one line", file)}
	}
	return key, nil
}
