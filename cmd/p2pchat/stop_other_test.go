//go:build !linux

package main

// waitStopped does nothing: without Linux's waitid, a test cannot tell when a child has stopped.
func waitStopped(int) error { return nil }
