//go:build !unix

package tui

import (
	tea "charm.land/bubbletea/v2"
)

// jobs is empty on systems without job control.
type jobs struct{}

func watchJobs(func(tea.Msg)) *jobs { return &jobs{} }
func (j *jobs) end()                {}
func (j *jobs) stop() error         { return nil }
func canSuspend() bool              { return false }
