package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra/doc"
)

// TestManual writes what packages ship: manual pages, and what shells complete by. 'task man'
// names the folder. It is a test, and not a command, because what makes manual pages would
// otherwise cost every start of the program a millisecond.
func TestManual(t *testing.T) {
	folder := os.Getenv("P2PCHATTEST_MANUAL")
	if folder == "" {
		folder = t.TempDir()
	}
	man, completions := filepath.Join(folder, "man1"), filepath.Join(folder, "completions")
	for _, f := range []string{man, completions} {
		if err := os.MkdirAll(f, 0o750); err != nil { //nolint:gosec // the task names it
			t.Fatal(err)
		}
	}
	root := command(stdio{})
	root.DisableAutoGenTag = true // or no two builds would be the same
	date := time.Unix(0, 0)
	if err := doc.GenManTree(root, &doc.GenManHeader{Title: "P2PCHAT", Section: "1", Source: "p2pchat", Date: &date}, man); err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(string) error{
		"p2pchat.bash": func(f string) error { return root.GenBashCompletionFileV2(f, true) },
		"_p2pchat":     root.GenZshCompletionFile,
		"p2pchat.fish": func(f string) error { return root.GenFishCompletionFile(f, true) },
		"p2pchat.ps1":  root.GenPowerShellCompletionFileWithDesc,
	} {
		if err := write(filepath.Join(completions, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, says := range map[string]string{
		"man1/p2pchat.1": ".SH EXAMPLE", "man1/p2pchat-call.1": ".SH EXAMPLE", "man1/p2pchat-answer.1": ".SH EXAMPLE",
		"man1/p2pchat-serve.1": ".SH EXAMPLE", "man1/p2pchat-doctor.1": ".SH EXAMPLE", "man1/p2pchat-demo.1": ".SH EXAMPLE",
		"man1/p2pchat-version.1":   ".SH EXAMPLE",
		"completions/p2pchat.bash": "complete -o default", "completions/_p2pchat": "#compdef p2pchat",
		"completions/p2pchat.fish": "complete -c p2pchat", "completions/p2pchat.ps1": "Register-ArgumentCompleter",
	} {
		if got, err := fs.ReadFile(os.DirFS(folder), name); err != nil || !strings.Contains(string(got), says) {
			t.Errorf("%s does not say %q: %v", name, says, err)
		}
	}
}
