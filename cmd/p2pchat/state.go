package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"p2pchat/cmd/p2pchat/internal/contacts"
)

// errNoState says that the user has no folder for what programs keep, as some services do not.
var errNoState = errors.New("there is no folder for contacts: set HOME or XDG_STATE_HOME")

// statePath returns the path of a name in the folder for what the program keeps between runs: $XDG_STATE_HOME/p2pchat, or the
// system's own place. It returns "" if the user has none.
func statePath(name string) string {
	folder := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(folder) { // as the specification of XDG says
		switch home, err := os.UserHomeDir(); {
		case runtime.GOOS == "windows":
			folder = os.Getenv("LocalAppData")
		case err != nil:
			return ""
		case runtime.GOOS == "darwin":
			folder = filepath.Join(home, "Library", "Application Support")
		default:
			folder = filepath.Join(home, ".local", "state")
		}
	}
	if folder == "" {
		return ""
	}
	return filepath.Join(folder, "p2pchat", name)
}

// contactBook returns the user's contacts. It returns errNoState if there is no place for them.
func contactBook() (*contacts.Book, error) {
	path := statePath("contacts")
	if path == "" {
		return nil, errNoState
	}
	return contacts.Open(path), nil
}
