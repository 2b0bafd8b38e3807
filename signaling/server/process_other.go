//go:build !linux

package server

// systemMeasures returns what the system says about this process: nothing here.
func systemMeasures() []Measure { return nil }
