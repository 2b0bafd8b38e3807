package transfer

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns text without the characters that leave no trace on a screen: some of those count as printable.
func Visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return r
		}
		return -1
	}, text)
}

// Limits of a name in a folder: deeper ones are hard to remove, and some systems take no longer path.
const (
	maxDepth = 64   // elements
	maxPath  = 3072 // bytes
)

// properPath returns a name in a folder, fit for this system. It returns errLeadsOut or errTooDeep if it cannot be.
func properPath(name string) (string, error) {
	elements := strings.Split(strings.TrimSuffix(name, "/"), "/")
	if len(elements) > maxDepth || len(name) > maxPath {
		return "", errTooDeep
	}
	for i, e := range elements {
		if e == "" || e == "." || e == ".." {
			return "", errLeadsOut
		}
		elements[i] = properElement(e)
	}
	return filepath.Join(elements...), nil
}

// properFile returns a stranger's name of a file, fit for the download folder: no path, nothing hidden.
func properFile(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = properElement(name)
	if name[0] == '.' {
		name = "_" + name[1:]
	}
	return name
}

const maxName = 255 // bytes, on most systems

// properElement returns a name as it was sent, if this system takes it: without a separator of any system, without
// what steers a terminal or the order of letters, and not too long.
func properElement(name string) string { return elementOn(name, runtime.GOOS == "windows") }

// portable returns a path that every system and file system takes.
func portable(path string) string {
	elements := strings.Split(filepath.ToSlash(path), "/")
	for i, e := range elements {
		elements[i] = elementOn(e, true)
	}
	return filepath.Join(elements...)
}

// elementOn is properElement for Windows, whose devices are no files, or for other systems.
func elementOn(name string, windows bool) string {
	name = strings.ToValidUTF8(name, "_")
	name = strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || steers(r) || windows && strings.ContainsRune(`<>:"|?*`, r) {
			return '_'
		}
		return r
	}, name)
	if windows {
		name = strings.TrimRight(strings.TrimLeft(name, " "), ". ")
	}
	if strings.Trim(Visible(name), " ") == "" || name == "." || name == ".." {
		return "_"
	}
	base, _, _ := strings.Cut(name, ".")
	if windows && device(strings.ToUpper(strings.TrimSpace(base))) {
		name = "_" + name
	}
	return numbered(name, 0)
}

// steers reports whether r is a control character, a line separator, or embeds, overrides or isolates a
// direction (UAX #9, section 2), which can make a name look like another one.
func steers(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}

// device reports whether Windows takes a name for a device, whatever follows after a dot.
func device(name string) bool {
	switch name {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	for _, port := range []string{"COM", "LPT"} {
		if number, ok := strings.CutPrefix(name, port); ok {
			return slices.Contains(strings.Split("0123456789¹²³", ""), number)
		}
	}
	return false
}

// numbered returns "name (n).ext", or name itself for 0, shortened to maxName.
func numbered(name string, n int) string {
	ext := filepath.Ext(name)
	if len(ext) > 32 || len(ext) == len(name) {
		ext = ""
	}
	stem, number := strings.TrimSuffix(name, ext), ""
	if n > 0 {
		number = fmt.Sprintf(" (%d)", n)
	}
	for len(stem)+len(number)+len(ext) > maxName {
		_, last := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-last]
	}
	return stem + number + ext
}
