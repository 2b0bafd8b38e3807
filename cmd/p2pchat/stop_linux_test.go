package main

import "golang.org/x/sys/unix"

// waitStopped waits until SIGSTOP has stopped all threads of a child. The signal is sent to one of them, and until that
// one is scheduled, the others run: long enough to acknowledge a message.
func waitStopped(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err
		}
	}
}
