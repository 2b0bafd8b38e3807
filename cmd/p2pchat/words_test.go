package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// oldWords leave open who is meant, or are a literal translation.
var oldWords = []string{"some" + "body", "who" + "ever", "an" + "ew", "mean" + "while", "he" + "ed", "set" + " aside", "so" + " many"}

// Each command and each of its flags have a help that says what they are for, and no text of the old kind, nor has any file.
func TestWords(t *testing.T) {
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		for _, text := range []string{c.Short, c.Long, c.Example, c.LocalFlags().FlagUsages()} {
			for _, word := range append(oldWords, "nobody") {
				if strings.Contains(strings.ToLower(text), word) {
					t.Errorf("%s: %q in: %s", c.CommandPath(), word, text)
				}
			}
		}
		for _, sub := range c.Commands() {
			look(sub)
		}
	}
	look(rootCommand(stdio{}))
	for _, row := range endings {
		for _, word := range append(oldWords, "nobody") {
			if strings.Contains(strings.ToLower(row.hint+" "+row.err.Error()), word) {
				t.Errorf("%q in: %v, %s", word, row.err, row.hint)
			}
		}
	}
}

// No source, script or document has one of the old words, and no source has more than 400 lines: it would be two.
func TestFormOfTheTree(t *testing.T) {
	t.Parallel()
	word := regexp.MustCompile(`(?i)\b(` + strings.Join(oldWords, "|") + `)\b`)
	kinds := []string{".go", ".ts", ".html", ".css", ".md", ".txtar", ".yaml", ".yml"}
	foreign := []string{"node_modules", "noble", "dist", ".git"}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains(foreign, d.Name()) {
			return fs.SkipDir
		}
		if d.IsDir() || !slices.Contains(kinds, filepath.Ext(path)) {
			return nil
		}
		text, err := os.ReadFile(path) //nolint:gosec // a file of this repository
		if found := word.Find(text); found != nil {
			t.Errorf("%s has %q", path, found)
		}
		if n := bytes.Count(text, []byte("\n")); n > 400 && (filepath.Ext(path) == ".go" || filepath.Ext(path) == ".ts") {
			t.Errorf("%s has %d lines", path, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Each decision says what was decided, and what that costs.
func TestDecisionsSayWhatTheyCost(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/decisions/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatal(len(pages), err)
	}
	for _, path := range pages {
		page, err := os.ReadFile(path) //nolint:gosec // a file of this repository
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range strings.Split(string(page), "\n## ")[1:] {
			title, _, _ := strings.Cut(entry, "\n")
			for _, part := range []string{"**Decision.**", "**Cost.**"} {
				if n := strings.Count(entry, "- "+part); n != 1 {
					t.Errorf("%s: %q has %s %d times", filepath.Base(path), title, part, n)
				}
			}
		}
	}
}
