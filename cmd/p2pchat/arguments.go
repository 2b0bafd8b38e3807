package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// mostMeant is how many files the command of a hint names.
const mostMeant = 4

// refusePaths returns a usageError if one of args, where a code is expected, is a file: a shell makes
// several arguments of *.jpg, and the second one would become the code of an unprotected call.
func (o *talkOptions) refusePaths(args []string) error {
	if _, server := invitation(strings.Join(args, " ")); server != "" {
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
	what := fmt.Errorf("%s is a file, not a code", quoted(files[0]))
	if len(files) > 1 {
		what = fmt.Errorf("%s and %d more are files, not a code", quoted(files[0]), len(files)-1)
	}
	return &usageError{err: what, hint: o.meant(append(o.send[:len(o.send):len(o.send)], files...), rest)}
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

// looksLikePath reports whether arg names a file, or cannot be anything else. Beside files to
// send, a name with an extension is one, too.
func looksLikePath(arg string, besideFiles bool) bool {
	if _, err := os.Lstat(arg); err == nil {
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
