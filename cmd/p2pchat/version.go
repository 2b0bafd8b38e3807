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
		Short:   "Print the version",
		Example: "  p2pchat version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(std.out, "p2pchat "+about())
			return err
		},
	}
}

// release returns the version.
func release() string {
	if version != "" { // reading the build information takes time at each start
		return version
	}
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return "unknown"
	}
	return info.Main.Version
}

// about returns the version, and what the program was built with and for.
func about() string {
	return fmt.Sprintf("%s %s %s/%s", release(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
