package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"p2pchat/peer"
)

// mostMeant is how many files the command of a hint names.
const mostMeant = 4

// refusePaths returns a usageError if one of args, where a code is expected, is a file: a shell makes
// several arguments of *.jpg, and the second one would become the code of an unprotected call. A code
// that is empty is a variable that a script has not set: it must not lead to the lobby.
func (o *talkOptions) refusePaths(args []string) error {
	text := strings.Join(args, " ")
	if len(args) > 0 && strings.TrimSpace(text) == "" {
		return &usageError{err: errors.New("the code is empty"), hint: "give a code, or leave it out"}
	}
	if _, server := invitation(text); server != "" {
		return nil // a link or a command, both pasted
	}
	var files, rest []string
	for _, arg := range args {
		if looksLikePath(arg, len(o.send) > 0) {
			files = append(files, arg)
		} else {
			rest = append(rest, arg)
		}
	}
	if len(files) == 0 {
		return nil
	}
	hint := o.meant(append(o.send[:len(o.send):len(o.send)], files...), rest)
	what := fmt.Errorf("%s is a file, not a code", quoted(files[0]))
	switch info, err := os.Stat(files[0]); {
	case err != nil && len(files) == 1 && len(o.send) == 0:
		return &usageError{err: fmt.Errorf("%w: %s looks like a path, and there is no such file", peer.ErrCode, quoted(files[0])), hint: "a code is a room and a secret, like 417-amber-falcon, or a room alone, like standup"}
	case err != nil:
		what = fmt.Errorf("%s looks like a file, not a code", quoted(files[0]))
	case info.IsDir():
		what = fmt.Errorf("%s is a folder, not a code", quoted(files[0]))
		if isRoom(files[0]) {
			hint += "; if it is the code, set P2PCHAT_CODE=" + quoted(files[0])
		}
	}
	if len(files) > 1 {
		what = fmt.Errorf("%s and %d more are files, not a code", quoted(files[0]), len(files)-1)
	}
	return &usageError{err: what, hint: hint}
}

// meant returns the command that sends files.
func (o *talkOptions) meant(files, code []string) string {
	words := []string{"p2pchat", map[string]string{"answer": "call", "call": "answer"}[o.other]}
	for _, word := range code {
		words = append(words, quoted(word))
	}
	if o.serverGiven {
		words = append(words, "--server", quoted(o.server))
	}
	for _, f := range files[:min(len(files), mostMeant)] {
		words = append(words, "--send", quoted(f))
	}
	command := strings.Join(words, " ")
	if len(files) > mostMeant {
		return fmt.Sprintf("put --send before each of the %d files: %s …", len(files), command)
	}
	return command
}

// hasExtension reports whether arg ends like a file's name: a dot, and up to five letters.
func hasExtension(arg string) bool {
	ext := filepath.Ext(arg)
	return ext != arg && 2 <= len(ext) && len(ext) <= 6 && unicode.IsLetter(rune(ext[1]))
}

// isRoom reports whether arg is a code that is a room alone.
func isRoom(arg string) bool {
	code, err := peer.ParseCode(arg)
	return err == nil && code.Secret == ""
}

// looksLikePath reports whether arg names a file, or cannot be anything else. A folder may have the
// name of a team's room. Beside files to send, a folder is a file, and so is a name with an extension.
func looksLikePath(arg string, besideFiles bool) bool {
	if info, err := os.Stat(arg); err == nil && (!info.IsDir() || besideFiles) {
		return true
	}
	switch {
	case strings.Contains(arg, "://"):
		return false
	case strings.ContainsAny(arg, `/\*`), strings.HasPrefix(arg, "."), strings.HasPrefix(arg, "~"):
		return true
	}
	return besideFiles && hasExtension(arg)
}
