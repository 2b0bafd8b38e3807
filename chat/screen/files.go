package screen

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"p2pchat/chat"
)

// Name is the name of a file, for a person: with the dot that a command needs before a dash.
func Name(name string) string {
	if strings.HasPrefix(name, "-") {
		name = "./" + name
	}
	return `"` + Clean(name) + `"`
}

// Told is a sentence about what happened to a file, or empty for any other event. Number, if it is not 0,
// tells the file from others of its name.
func Told(e chat.Event, number uint64) string {
	name := func(name string) string {
		if number == 0 {
			return Name(name)
		}
		return fmt.Sprintf("%s (number %d)", Name(name), number)
	}
	switch e := e.(type) {
	case chat.FileOffered:
		text := fmt.Sprintf("%s offers %s.", Clean(e.From), thing(name(e.Name), e.Size, e.Folder, e.Files))
		if e.Called != "" {
			text += fmt.Sprintf(" Its name %s cannot be used here.", Name(e.Called))
		}
		return text
	case chat.FileOffering:
		return fmt.Sprintf("Offering %s.", thing(name(e.Name), e.Size, e.Folder, e.Files))
	case chat.FileReceived:
		return saved(e, name(e.Name))
	case chat.FileSent:
		text := fmt.Sprintf("Sent %s (%s, verified).", name(e.Name), Bytes(e.Size))
		if e.As != "" {
			text += fmt.Sprintf(" The other side saved it as %s.", Name(e.As))
		}
		return text + renamed(e.Renamed, "", "had to be changed there")
	case chat.FileLeftOut:
		if e.Kept {
			return fmt.Sprintf("%s in %s is not complete: %s.", Name(e.File), name(e.Name), Clean(e.Reason))
		}
		return fmt.Sprintf("%s was left out of %s: %s.", Name(e.File), name(e.Name), Clean(e.Reason))
	case chat.FileFailed:
		if e.Reason == chat.Cancelled {
			return fmt.Sprintf("You cancelled %s.", name(e.Name))
		}
		return fmt.Sprintf("%s was not %s: %s.", name(e.Name), map[bool]string{true: "sent", false: "received"}[e.Outgoing], strings.TrimSuffix(Clean(e.Reason), "."))
	}
	return ""
}

// saved says where a file is now.
func saved(e chat.FileReceived, name string) string {
	text := fmt.Sprintf("Saved %s (%s, verified)", name, Bytes(e.Size))
	dir, is := filepath.Split(e.Path)
	switch {
	case e.Called != "":
		text += " as " + Clean(home(e.Path)) + "."
	case dir == "" || dir == "."+string(filepath.Separator):
		text += " in the current folder."
	default:
		text += " to " + Clean(home(filepath.Clean(dir))) + "."
	}
	if strings.HasPrefix(is, "-") {
		text += " Its name begins with a dash: type it as ./" + Clean(is) + "."
	}
	return text + renamed(e.Renamed, e.Example, "had to be changed")
}

func renamed(n int, example, how string) string {
	if example != "" {
		how += ": " + Clean(example)
	}
	switch n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(" 1 name in it %s.", how)
	}
	return fmt.Sprintf(" %d names in it %s.", n, how)
}

// home writes ~ for the person's home folder.
func home(path string) string {
	h, err := os.UserHomeDir()
	if err != nil || h == string(filepath.Separator) {
		return path
	}
	if rest, ok := strings.CutPrefix(path, h); ok && (rest == "" || rest[0] == filepath.Separator) {
		return "~" + rest
	}
	return path
}

// thing names a file or folder with its size.
func thing(name string, size int64, folder bool, files int) string {
	switch {
	case !folder:
		return fmt.Sprintf("%s (%s)", name, Bytes(size))
	case files == 1:
		return fmt.Sprintf("the folder %s (1 file, %s)", name, Bytes(size))
	}
	return fmt.Sprintf("the folder %s (%d files, %s)", name, files, Bytes(size))
}

// A roll knows which files have not ended, so that those of one name can be told apart.
type roll map[fileKey]string

// number is the number of the file that an event is about, if another one has its name.
func (r roll) number(e chat.Event) uint64 {
	var key fileKey
	var name string
	ended := false
	switch e := e.(type) {
	case chat.FileOffered:
		key, name = fileKey{e.ID, false}, e.Name
	case chat.FileOffering:
		key, name = fileKey{e.ID, true}, e.Name
	case chat.FileProgress:
		key, name = fileKey{e.ID, e.Outgoing}, e.Name
	case chat.FileReceived:
		key, name, ended = fileKey{e.ID, false}, e.Name, true
	case chat.FileSent:
		key, name, ended = fileKey{e.ID, true}, e.Name, true
	case chat.FileFailed:
		key, name, ended = fileKey{e.ID, e.Outgoing}, e.Name, true
	default:
		return 0
	}
	number := uint64(0)
	for other, called := range r {
		if other != key && called == name && other.outgoing == key.outgoing {
			number = key.id
		}
	}
	r[key] = name
	if ended {
		delete(r, key)
	}
	return number
}
