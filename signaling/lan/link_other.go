//go:build !linux

package lan

import "syscall"

// keepToLink is for Linux: elsewhere, a program cannot give the system a filter.
func keepToLink(string) func(network, address string, c syscall.RawConn) error { return nil }

// isBridge reports whether an interface is known to be a bridge.
func isBridge(string) bool { return false }
