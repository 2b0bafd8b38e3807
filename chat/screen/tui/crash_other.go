//go:build !unix

package tui

import "io"

// guardTerminal does nothing: see crash_unix.go.
func guardTerminal(io.Reader) (release func()) { return func() {} }
