//go:build unix

package tui

import (
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"
)

// jobs handles the signals of a shell's job control. On SIGTSTP the screen gives the terminal back
// before the program stops. SIGSTOP leaves no time for that, and the shell changes the terminal under
// the screen: after SIGCONT the screen takes the terminal again.
type jobs struct {
	signals chan os.Signal
	stopped atomic.Bool   // by stop, which waits for the next SIGCONT
	woken   chan struct{} // tells stop that SIGCONT has come
	done    chan struct{}
	watcher sync.WaitGroup
}

// watchJobs sends a stopMsg for each SIGTSTP, and a wokenMsg for each SIGCONT that no stop waits for. Its
// caller calls end.
func watchJobs(send func(tea.Msg)) *jobs {
	j := &jobs{signals: make(chan os.Signal, 4), woken: make(chan struct{}, 1), done: make(chan struct{})}
	signal.Notify(j.signals, syscall.SIGTSTP, syscall.SIGCONT)
	j.watcher.Go(func() {
		for {
			select {
			case s := <-j.signals:
				switch {
				case s == syscall.SIGTSTP:
					send(stopMsg{})
				case j.stopped.CompareAndSwap(true, false):
					j.woken <- struct{}{}
				default:
					send(wokenMsg{})
				}
			case <-j.done:
				return
			}
		}
	})
	return j
}

func (j *jobs) end() {
	signal.Stop(j.signals)
	close(j.done)
	j.watcher.Wait()
}

// stop stops the program's process group, as a terminal does for Ctrl-Z, and returns after SIGCONT.
// It takes SIGSTOP, because Go's handler for SIGTSTP stays installed even after signal.Reset.
func (j *jobs) stop() error {
	j.stopped.Store(true)
	if err := syscall.Kill(0, syscall.SIGSTOP); err != nil {
		j.stopped.Store(false)
		return err
	}
	<-j.woken
	return nil
}

// canSuspend reports whether a shell has put this program into a process group of its own, and can
// continue it. The kernel does not stop a group that no process could continue, and stop would wait
// forever.
func canSuspend() bool {
	session, err := unix.Getsid(0)
	return err == nil && syscall.Getpgrp() != session
}
