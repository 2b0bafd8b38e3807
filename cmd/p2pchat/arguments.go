package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"p2pchat/peer"
)

// maxHintFiles is how many files the command in a hint names.
const maxHintFiles = 4

// refusePaths returns a usageError if one of args, where a code is expected, is a file: a shell makes several
// arguments of *.jpg, and the second one would become the code of an unprotected call. An empty code is refused,
// too: a script that has not set its variable must not call in the lobby.
func (o *talkOptions) refusePaths(args []string) error {
	text := strings.Join(args, " ")
	if len(args) > 0 && strings.TrimSpace(text) == "" {
		return &usageError{err: errors.New("the code is empty"), hint: "give a code, or leave it out"}
	}
	if _, server := pasted(text, o.server); server != "" && !isFile(text) {
		return nil // a pasted link or command
	}
	if half := o.halfLink(text); half != nil && isMissing(text) {
		return half
	}
	if files, rest := o.split(args); len(files) > 0 {
		return o.fileError(files, rest)
	}
	return nil
}

// fileError returns the usageError for files where a code is expected, beside the rest.
func (o *talkOptions) fileError(files, rest []string) error {
	first := quoted(files[0])
	hint := o.sendCommand(append(o.send[:len(o.send):len(o.send)], files...), rest)
	info, err := os.Stat(files[0])
	isFolder := err == nil && info.IsDir()
	switch {
	case len(files) > 1:
		kind := "files"
		if isFolder && !slices.ContainsFunc(files, isFile) {
			kind = "folders"
		}
		return &usageError{err: fmt.Errorf("%s and %d more are %s, not a code", first, len(files)-1, kind), hint: hint}
	case isFolder && isRoom(files[0]):
		return &usageError{err: fmt.Errorf("%s is a folder, not a code", first), hint: hint + "; if it is the code, set P2PCHAT_CODE=" + first}
	case isFolder:
		return &usageError{err: fmt.Errorf("%s is a folder, not a code", first), hint: hint}
	case err == nil:
		return &usageError{err: fmt.Errorf("%s is a file, not a code", first), hint: hint}
	case len(o.send) > 0:
		return &usageError{err: fmt.Errorf("%s looks like a file, not a code", first), hint: hint}
	}
	return &usageError{err: fmt.Errorf("%w: %s looks like a path, and there is no such file", peer.ErrCode, first), hint: "a code is a room and a secret, like 417-falcon-zebra, or a room alone, like standup"}
}

// split returns the args that name files or folders, and the others. One folder may have the name of a team's
// room. But beside files to send, and if each of several arguments exists, as a shell makes them of *, folders
// are files, too.
func (o *talkOptions) split(args []string) (files, rest []string) {
	beside := len(o.send) > 0 || len(args) > 1 && !slices.ContainsFunc(args, isMissing)
	for _, arg := range args {
		if looksLikePath(arg, beside) {
			files = append(files, arg)
		} else {
			rest = append(rest, arg)
		}
	}
	return files, rest
}

func isFile(path string) bool {
	info, err := os.Stat(path) //nolint:gosec // the person's own
	return err == nil && !info.IsDir()
}

func isMissing(path string) bool {
	_, err := os.Stat(path) //nolint:gosec // the person's own
	return err != nil
}

// sendCommand returns the command that sends files.
func (o *talkOptions) sendCommand(files, code []string) string {
	words := []string{"p2pchat", command(o.side)}
	for _, word := range code {
		words = append(words, quoted(word))
	}
	if o.serverGiven {
		words = append(words, "--server", quoted(o.server))
	}
	for _, f := range files[:min(len(files), maxHintFiles)] {
		words = append(words, "--send", quoted(f))
	}
	text := strings.Join(words, " ")
	if len(files) > maxHintFiles {
		return fmt.Sprintf("put --send before each of the %d files: %s …", len(files), text)
	}
	return text
}

// hasExtension reports whether arg ends like a file's name: a dot, a letter, and up to four more characters.
func hasExtension(arg string) bool {
	ext := filepath.Ext(arg)
	return ext != arg && 2 <= len(ext) && len(ext) <= 6 && unicode.IsLetter(rune(ext[1]))
}

// isRoom reports whether arg is a code that is a room alone.
func isRoom(arg string) bool {
	code, err := peer.ParseCode(arg)
	return err == nil && code.Secret == ""
}

// looksLikePath reports whether arg names a file, or cannot be anything else. Beside files to send, a folder
// counts as a file, and so does a missing file with an extension.
func looksLikePath(arg string, besideFiles bool) bool {
	switch {
	case isFile(arg), besideFiles && !isMissing(arg):
		return true
	case strings.Contains(arg, "://"):
		return false
	case strings.ContainsAny(arg, `/\*`), strings.HasPrefix(arg, "."), strings.HasPrefix(arg, "~"):
		return true
	}
	return besideFiles && hasExtension(arg)
}
