package server

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// systemMeasures returns what Linux says about this process now. What cannot be read is left out.
func systemMeasures() (list []Measure) {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) == nil {
		list = append(list, total("process_cpu_seconds_total", "Processor time, of the program and of the system for it.",
			time.Duration(used.Utime.Nano()+used.Stime.Nano()).Seconds()))
	}
	b, _ := os.ReadFile("/proc/self/statm") // proc_pid_statm(5): the first two of its numbers, in pages
	if size, rest, found := strings.Cut(string(b), " "); found {
		resident, _, _ := strings.Cut(rest, " ")
		list = append(list, now("process_virtual_memory_bytes", "Addresses that are mapped.", pages(size)),
			now("process_resident_memory_bytes", "Memory that is resident.", pages(resident)))
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		list = append(list, now("process_open_fds", "Open file descriptors.", float64(len(open)-1))) // one is that of the folder itself
	}
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil {
		list = append(list, now("process_max_fds", "File descriptors that may be open.", float64(files.Cur)))
	}
	return list
}

// pages returns the bytes of a number of pages.
func pages(number string) float64 {
	n, _ := strconv.ParseFloat(number, 64) // the kernel writes nothing else
	return n * float64(os.Getpagesize())
}
