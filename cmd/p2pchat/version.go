package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is stamped by 'task build'.
var version string

func versionCommand(std stdio) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print which p2pchat this is",
		Example: "  p2pchat version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(std.out, "p2pchat "+about())
			return err
		},
	}
}

func about() string {
	v := version
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = info.Main.Version
	}
	return fmt.Sprintf("%s %s %s/%s", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
