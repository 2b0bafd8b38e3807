package main

import (
	"github.com/spf13/cobra"
)

func demoCommand(std stdio) *cobra.Command {
	return &cobra.Command{Use: "demo", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return nil }}
}
