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

// release is which p2pchat this is.
func release() string {
	if version != "" { // looking further takes time, in every start
		return version
	}
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return "unknown"
	}
	return info.Main.Version
}

func about() string {
	return fmt.Sprintf("%s %s %s/%s", release(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
