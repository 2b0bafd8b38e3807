package main

import (
	"fmt"
	"os"
	"strings"
	"unicode"
)

const keyVariable = variablePrefix + "ACCESS_KEY"

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
