//go:build !unix

package main

import (
	"errors"
	"time"
)

// processorTime is not known here, so a call uses all processors.
func processorTime() (time.Duration, error) { return 0, errors.ErrUnsupported }
