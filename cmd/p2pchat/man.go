package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes what packages ship: manual pages, and what shells complete by. It is
// hidden, because people have --help and completion.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man FOLDER",
		Short:  "Write manual pages and completions into a folder",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE:   func(c *cobra.Command, args []string) error { return writeManual(c.Root(), args[0]) },
	}
}

func writeManual(root *cobra.Command, folder string) error {
	man, completions := filepath.Join(folder, "man1"), filepath.Join(folder, "completions")
	for _, f := range []string{man, completions} {
		if err := os.MkdirAll(f, 0o750); err != nil {
			return fmt.Errorf("the manual cannot be written: %w", err)
		}
	}
	root.DisableAutoGenTag = true // or no two builds would be the same
	date := time.Unix(0, 0)
	if err := doc.GenManTree(root, &doc.GenManHeader{Title: "P2PCHAT", Section: "1", Source: "p2pchat", Date: &date}, man); err != nil {
		return fmt.Errorf("the manual cannot be written: %w", err)
	}
	for name, write := range map[string]func(string) error{
		"p2pchat.bash": func(f string) error { return root.GenBashCompletionFileV2(f, true) },
		"_p2pchat":     root.GenZshCompletionFile,
		"p2pchat.fish": func(f string) error { return root.GenFishCompletionFile(f, true) },
		"p2pchat.ps1":  root.GenPowerShellCompletionFileWithDesc,
	} {
		if err := write(filepath.Join(completions, name)); err != nil {
			return fmt.Errorf("the completions cannot be written: %w", err)
		}
	}
	return nil
}
