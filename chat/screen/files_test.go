package screen

import (
	"path/filepath"
	"testing"

	"p2pchat/chat"
)

// A download that another run continues has the path as a whole.
func TestTheCurrentFolderIsNamedAlike(t *testing.T) {
	here := t.TempDir()
	t.Chdir(here)
	t.Setenv("HOME", here)
	t.Setenv("USERPROFILE", here)
	for path, want := range map[string]string{
		"a":                            `Saved "a" (5 B, verified) in the current folder.`,
		filepath.Join(here, "a"):       `Saved "a" (5 B, verified) in the current folder.`,
		filepath.Join(here, "in", "a"): `Saved "a" (5 B, verified) to ` + filepath.Join("~", "in") + `.`,
	} {
		if got := FileText(chat.FileReceived{Name: "a", Path: path, Size: 5}, 0); got != want {
			t.Errorf("of %s it says %q, not %q", path, got, want)
		}
	}
}
