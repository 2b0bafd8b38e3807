//go:build !linux

package signaling

import (
	"syscall"
	"time"
)

// giveUpAfter is left to the system's own patience here.
func giveUpAfter(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
