//go:build !linux

package lan

// moveAway does nothing: only Linux has network namespaces.
func moveAway() {}
