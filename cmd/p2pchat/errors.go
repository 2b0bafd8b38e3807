package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"p2pchat/chat"
	"p2pchat/chat/screen"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// Exit codes: what scripts may rely on.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitNobody      = 4
	exitServer      = 5
	exitNoPath      = 6
	exitInterrupted = 130
)

// A usageError is a command line that makes no sense.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usage makes err, if it is one, a usageError that points to the help of c.
func usage(c *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err: err, hint: fmt.Sprintf("see '%s --help'", c.CommandPath())}
}

var (
	errNobody      = errors.New("nobody came in time")
	errInterrupted = errors.New("interrupted")
	errNotYet      = errors.New("not yet")
)

// The one table of what ends the program: exit code, the word that programs get in
// JSON, and what to do about it. The first row that fits counts.
var endings = []struct {
	err  error
	exit int
	code string
	hint string
}{
	{errInterrupted, exitInterrupted, "interrupted", ""},
	{peer.ErrCode, exitUsage, "bad-code", "a code is ROOM or ROOM-SECRET, for example standup or 417-amber-falcon"},
	{errNotYet, exitUsage, "not-yet", "use a room name without a dash, for example: p2pchat call standup"},
	{errNobody, exitNobody, "nobody-came", "check that the other side uses the same code and server, or wait longer with --wait"},
	{signaling.ErrOccupied, exitServer, "occupied", "choose another room, or join that call with 'p2pchat answer'; the room of a caller that died is free again after 10 minutes"},
	{signaling.ErrServerFull, exitServer, "server-full", "try again in a moment, or use another server with --server"},
	{signaling.ErrForeign, exitServer, "not-p2pchat", "give the address of a p2pchat server with --server, or start one with 'p2pchat serve'"},
	{signaling.ErrUnreachable, exitServer, "server-unreachable", "check the address, or start a server there with 'p2pchat serve'"},
	{signaling.ErrTooLarge, exitServer, "refused", ""},
	{peer.ErrReplaced, exitFailed, "replaced", "give your call a name of its own, for example: p2pchat call standup"},
	{peer.ErrNoPath, exitNoPath, "no-path", "a STUN or TURN server that both sides can reach would help: --ice-server"},
	{peer.ErrLost, exitFailed, "lost", "start the call again on both sides"},
	{syscall.EADDRINUSE, exitFailed, "address-in-use", "another program listens there: stop it, or choose another address with --listen"},
	{syscall.EPIPE, exitFailed, "output-closed", ""},
}

// ending is the row of err; anything unknown has failed.
func ending(err error) (exit int, code, hint string) {
	if u := (*usageError)(nil); errors.As(err, &u) {
		return exitUsage, "usage", u.hint
	}
	for _, row := range endings {
		if errors.Is(err, row.err) {
			return row.exit, row.code, row.hint
		}
	}
	if u := (*chat.Undelivered)(nil); errors.As(err, &u) {
		return exitFailed, "undelivered", "the other side left first; what it saw is what it acknowledged"
	}
	if r := (*screen.Refused)(nil); errors.As(err, &r) {
		return exitFailed, "refused", fmt.Sprintf("a message is UTF-8 and holds at most %d bytes", chat.MaxMessage)
	}
	return exitFailed, "failed", ""
}

// report tells the person how the program ended, in two lines at most, and returns
// the exit code.
func report(to io.Writer, err error) int {
	if err == nil {
		return 0
	}
	exit, _, hint := ending(err)
	if errors.Is(err, context.Canceled) && exit == exitFailed {
		exit = exitInterrupted
	}
	if err == errInterrupted { //nolint:errorlint // alone: who interrupts the program knows
		return exit
	}
	what := strings.ReplaceAll(strings.TrimSuffix(err.Error(), "."), "\n", ", and ") // as errors.Join has it
	fmt.Fprintf(to, "p2pchat: error: %s\n", screen.Clean(what))
	if hint != "" {
		fmt.Fprintf(to, "p2pchat: hint: %s\n", hint)
	}
	return exit
}
