package main

import (
	"os"
	"syscall"
)

var signals = map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "KILL": os.Kill}

// peakMemory is not told here.
func peakMemory(*os.ProcessState) int64 { return 0 }
