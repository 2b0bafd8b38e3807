//go:build unix

package tui

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// canSuspend tells whether a shell put this program into a group of its own: then it can
// bring it back. A group that nobody could wake is never stopped by the kernel, and Bubble
// Tea would wait for it.
func canSuspend() bool {
	session, err := unix.Getsid(0)
	return err == nil && syscall.Getpgrp() != session
}
