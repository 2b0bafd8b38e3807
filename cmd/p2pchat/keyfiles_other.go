//go:build !linux

package main

// isMountedSecret reports whether the file is mounted as a container's secret. Containers run on Linux.
func isMountedSecret(string) bool { return false }
