package screen

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"p2pchat/chat"
)

// quotedName returns the name of a file for a person: a name that begins with a dash has the ./ that a
// command line needs.
func quotedName(name string) string {
	if strings.HasPrefix(name, "-") {
		name = "./" + name
	}
	return `"` + Clean(name) + `"`
}

// FileText returns a sentence about what happened to a file, or "" for any other event. A number that is not
// 0 tells the file from others of its name.
func FileText(e chat.Event, number uint64) string {
	name := func(name string) string {
		if number == 0 {
			return quotedName(name)
		}
		return fmt.Sprintf("%s (number %d)", quotedName(name), number)
	}
	switch e := e.(type) {
	case chat.FileOffered:
		text := fmt.Sprintf("%s offers %s.", Clean(e.From), sizedName(name(e.Name), e, e.Folder, e.Files))
		if e.Called != "" {
			text += fmt.Sprintf(" Its name %s cannot be used here.", quotedName(e.Called))
		}
		return text
	case chat.FileOffering:
		return fmt.Sprintf("%s %s.", map[bool]string{false: "Offering", true: "Resuming"}[e.Accepted], sizedName(name(e.Name), e, e.Folder, e.Files))
	case chat.FileProgress:
		if e.Resumed {
			return resumed(e, name(e.Name))
		}
	case chat.FileReceived:
		return saved(e, name(e.Name))
	case chat.FileSent:
		text := fmt.Sprintf("Sent %s (%s, verified).", name(e.Name), FileSize(e))
		if e.As != "" {
			text += fmt.Sprintf(" The other side saved it as %s.", quotedName(e.As))
		}
		return text + changedNames(e.Renamed, "", " there")
	case chat.FileLeftOut:
		if e.Kept {
			return fmt.Sprintf("%s in %s is not complete: %s.", quotedName(e.File), name(e.Name), Clean(e.Reason))
		}
		return fmt.Sprintf("%s was left out of %s: %s.", quotedName(e.File), name(e.Name), Clean(e.Reason))
	case chat.FileFailed:
		if e.Reason == chat.Cancelled {
			return fmt.Sprintf("You cancelled %s.", name(e.Name))
		}
		return fmt.Sprintf("%s was not %s: %s.", name(e.Name), map[bool]string{true: "sent", false: "received"}[e.Outgoing], strings.TrimSuffix(Clean(e.Reason), "."))
	}
	return ""
}

// resumed says with what a file goes on that an earlier run has accepted.
func resumed(e chat.FileProgress, name string) string {
	if e.Folder {
		return fmt.Sprintf("The folder %s was not complete: it starts over.", name)
	}
	return fmt.Sprintf("Resuming %s (%d %% of %s).", name, Percent(e.Bytes, e.Size), Bytes(e.Size))
}

// saved says where a file is now.
func saved(e chat.FileReceived, name string) string {
	text := fmt.Sprintf("Saved %s (%s, verified)", name, FileSize(e))
	path := FromHere(e.Path)
	dir, is := filepath.Split(path)
	switch {
	case e.Called != "":
		text += " as " + Clean(withTilde(path)) + "."
	case dir == "" || dir == "."+string(filepath.Separator):
		text += " in the current folder."
	default:
		text += " to " + Clean(withTilde(filepath.Clean(dir))) + "."
	}
	if strings.HasPrefix(is, "-") {
		text += " Its name begins with a dash: type it as ./" + Clean(is) + "."
	}
	return text + changedNames(e.Renamed, e.Example, "")
}

// FromHere shortens the path of a file that is in the current folder: a run that continues a download knows it as a whole.
func FromHere(path string) string {
	here, err := os.Getwd()
	if err != nil || filepath.Dir(path) != here {
		return path
	}
	return filepath.Base(path)
}

// RenamedWithin returns the end of a sentence about a folder in which n names had to be changed, or "".
func RenamedWithin(n int, example, where string) string {
	if n == 0 {
		return ""
	}
	return "." + strings.TrimSuffix(changedNames(n, example, where), ".")
}

// changedNames returns a sentence on the n names that had to be changed in a folder, or "" if n is 0.
func changedNames(n int, example, where string) string {
	how := "had to be changed" + where
	switch {
	case example != "" && n > 1:
		how += ", for example " + Clean(example)
	case example != "":
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

// withTilde writes ~ for the person's home folder.
func withTilde(path string) string {
	h, err := os.UserHomeDir()
	if err != nil || h == string(filepath.Separator) {
		return path
	}
	if rest, ok := strings.CutPrefix(path, h); ok && (rest == "" || rest[0] == filepath.Separator) {
		return "~" + rest
	}
	return path
}

// FileSize returns the size of the file that an event is about. A folder is as large as its files, if that is known.
func FileSize(e chat.Event) string {
	size, _ := contentOf(e)
	return Bytes(size)
}

// contentOf returns how many bytes are in the file or folder that an event is about. For a folder they are known if the other
// side tells them; the size of the tar stream takes their place if not.
func contentOf(e chat.Event) (bytes int64, known bool) {
	of := func(size int64, content chat.FolderContent, folder bool, files int) (int64, bool) {
		if content.Known || folder && files == 0 {
			return content.Bytes, true
		}
		return size, false
	}
	switch e := e.(type) {
	case chat.FileOffered:
		return of(e.Size, e.Content, e.Folder, e.Files)
	case chat.FileOffering:
		return of(e.Size, e.Content, e.Folder, e.Files)
	case chat.FileProgress:
		return of(e.Size, e.Content, e.Folder, e.Files)
	case chat.FileReceived:
		return of(e.Size, e.Content, e.Folder, e.Files)
	case chat.FileSent:
		return of(e.Size, e.Content, e.Folder, e.Files)
	}
	return 0, false
}

// sizedName names a file or folder with its size.
func sizedName(name string, e chat.Event, folder bool, files int) string {
	switch {
	case !folder:
		return fmt.Sprintf("%s (%s)", name, FileSize(e))
	case files == 1:
		return fmt.Sprintf("the folder %s (1 file, %s)", name, FileSize(e))
	}
	return fmt.Sprintf("the folder %s (%d files, %s)", name, files, FileSize(e))
}

// openFiles are the files that have not ended, with their names, so that files of one name can be told apart.
type openFiles map[fileKey]string

// number returns the number of the file that an event is about, or 0 if no other open file has its name.
func (r openFiles) number(e chat.Event) uint64 {
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
