//go:build !linux

package lan

import "syscall"

// keepToLink is for Linux: elsewhere, a program cannot give the system a filter.
func keepToLink(string) func(network, address string, c syscall.RawConn) error { return nil }
