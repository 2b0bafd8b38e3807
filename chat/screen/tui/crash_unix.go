//go:build unix

package tui

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// leaveScreen ends what the screen asks of a terminal: its keyboard protocols, paste, focus, mouse, the alternate screen, the
// hidden cursor, the title.
const leaveScreen = "\x1b[>4m\x1b[<1u\x1b[?2004l\x1b[?1004l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1049l\x1b[?25h" + restoreTitle

// crashScript waits for the first line of a panic. It then restores the terminal, and shows the panic there.
const crashScript = `trap '' HUP INT QUIT TERM
IFS= read -r first || exit 0
stty "$1" <&1
printf '%s%s\n' "$2" "$first"
exec cat`

// guardTerminal gives the terminal back if a panic ends the program, until release:
//
//	panic in any goroutine ─▶ runtime ── trace ─▶ socket ─▶ sh: stty, leaveScreen, trace
//
// Only the goroutine itself can recover a panic, and most goroutines are pion's. So a shell waits beside the program. The socket has
// room for a few writes, and the runtime needs many for a trace: it ends the program only after the shell has begun to read, and
// has restored the terminal. Without a shell, or stty, a panic leaves the terminal raw.
func guardTerminal(keyboard io.Reader) (release func()) {
	nothing := func() {}
	if _, isFile := keyboard.(*os.File); !isFile {
		return nothing
	}
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nothing
	}
	defer terminal.Close()
	stty := exec.Command("stty", "-g") //nolint:noctx // it reads a setting
	stty.Stdin = terminal
	modes, err := stty.Output()
	if err != nil {
		return nothing
	}
	ours, theirs, err := crashSocket()
	if err != nil {
		return nothing
	}
	defer ours.Close()
	defer theirs.Close()
	shell := exec.Command("/bin/sh", "-c", crashScript, "sh", string(bytes.TrimSpace(modes)), leaveScreen) //nolint:gosec,noctx // stty's own; it ends with the socket
	shell.Stdin, shell.Stdout = theirs, terminal
	if shell.Start() != nil {
		return nothing
	}
	_ = debug.SetCrashOutput(ours, debug.CrashOptions{}) // after an error the shell ends
	return func() {
		_ = debug.SetCrashOutput(nil, debug.CrashOptions{}) // it never fails
		_ = shell.Wait()                                    // it has read the end
	}
}

// crashSocket returns the two ends of a socket that has room for little.
func crashSocket() (ours, theirs *os.File, err error) {
	syscall.ForkLock.RLock() // no other process may inherit them
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(ends[0])
		unix.CloseOnExec(ends[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, err
	}
	ours, theirs = os.NewFile(uintptr(ends[0]), "crash"), os.NewFile(uintptr(ends[1]), "crash")
	return ours, theirs, unix.SetsockoptInt(ends[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 1) // the system makes it its least
}
