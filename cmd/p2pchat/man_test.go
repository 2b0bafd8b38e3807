package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// TestManual writes the manual pages and completions that packages ship. 'task man' names the folder. It
// is a test and no command, because the library for manual pages would cost each start of the program a
// millisecond.
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
	root := rootCommand(stdio{})
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

// generated begins the part of docs/manual.md that the program's own texts make.
const generated = "<!-- What follows is generated: task man -->\n"

// TestManualOnOnePage holds docs/manual.md against the texts of --help, or writes it for 'task man'.
func TestManualOnOnePage(t *testing.T) {
	const path = "../../docs/manual.md"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	byHand, was, found := strings.Cut(string(b), generated)
	if !found {
		t.Fatalf("%s has no line %q", path, generated)
	}
	var page strings.Builder
	for _, c := range rootCommand(stdio{}).Commands() {
		writeCommand(&page, c)
	}
	switch {
	case page.String() == was:
	case os.Getenv("P2PCHATTEST_MANUAL") == "":
		t.Errorf("%s is not up to date: task man", path)
	default:
		if err := os.WriteFile(path, []byte(byHand+generated+page.String()), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
}

// writeCommand writes the section of a command and of its subcommands.
func writeCommand(to *strings.Builder, c *cobra.Command) {
	if c.Name() == "help" || c.Name() == "completion" {
		return
	}
	fmt.Fprintf(to, "\n## %s\n\n%s\n", c.UseLine(), cmp.Or(c.Long, c.Short+"."))
	if c.Example != "" {
		fmt.Fprintf(to, "\n```\n%s\n```\n", c.Example)
	}
	if c.HasAvailableLocalFlags() {
		to.WriteString("\n| flag | default | meaning |\n| --- | --- | --- |\n")
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			kind, usage := pflag.UnquoteUsage(f)
			value := strings.Trim(f.DefValue, "[]")
			if value == "false" {
				value = ""
			}
			if value != "" {
				value = "`" + value + "`"
			}
			fmt.Fprintf(to, "| `%s` | %s | %s |\n", strings.TrimSpace("--"+f.Name+" "+kind), value, strings.ReplaceAll(usage, "|", "\\|"))
		})
	}
	for _, sub := range c.Commands() {
		writeCommand(to, sub)
	}
}
