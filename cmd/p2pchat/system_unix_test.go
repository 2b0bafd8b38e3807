//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// peakMemory is the most that a process ever had resident, in bytes.
func peakMemory(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" { // which counts bytes, not KiB
		return int64(usage.Maxrss) //nolint:unconvert // it is an int32 elsewhere
	}
	return int64(usage.Maxrss) << 10 //nolint:unconvert // as above
}
