//go:build !linux

package signaling

import (
	"syscall"
	"time"
)

// setAckTimeout does nothing: this system has no such option, or another one.
func setAckTimeout(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
