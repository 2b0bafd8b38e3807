//go:build !linux

package server

import "errors"

// hangups needs epoll. Without it, reads wait in their handlers.
type hangups struct{}

func (*hangups) open() error           { return errors.ErrUnsupported }
func (*hangups) usable() bool          { return false }
func (*hangups) watch(*aside) bool     { return false }
func (*hangups) unwatch(*aside)        {}
func (*hangups) hear(func(key uint64)) {}
func (*hangups) close() error          { return nil }
