//go:build !linux

package pionnet

import "syscall"

// AvoidDeadLink does nothing: how this system treats the routes of a link without a carrier was not tried.
func AvoidDeadLink(string, string, syscall.RawConn) error { return nil }
