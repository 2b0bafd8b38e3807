package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
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
	exitCode        = 3
	exitNobody      = 4
	exitServer      = 5
	exitNoPath      = 6
	exitInterrupted = 130
	exitPipe        = 141 // as a shell says of a program that SIGPIPE ended
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
	errGone        = fmt.Errorf("%w: the other side was lost, and did not come back", errNobody)
	errInterrupted = errors.New("interrupted")
	errNoCode      = &usageError{err: errors.New("the CODE is missing"), hint: "p2pchat answer CODE, or set P2PCHAT_CODE"}
	errStuck       = errors.New("nobody reads the output")
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
	{peer.ErrCode, exitUsage, "bad-code", "a code looks like 417-amber-falcon: a room of letters, digits and . _ ~, a dash, and a secret; or like standup, without one"},
	{peer.ErrWrongCode, exitCode, "wrong-code", "ask the caller to read the code out again; after three wrong ones it no longer works, and the caller has to call anew"},
	{peer.ErrBurnt, exitCode, "wrong-code", "call again for a new code, and tell it to the other side in another way: somebody may be guessing"},
	{peer.ErrImpostor, exitCode, "impostor", "ask the caller for a new code, and for the server it is on; somebody may be guessing"},
	{peer.ErrTaken, exitFailed, "taken", "if the caller did not hang up, they are talking to somebody else who has the code: tell them"},
	{signaling.ErrOccupied, exitServer, "occupied", "choose another room, or join that call: p2pchat answer; if its caller has died, the room ends by itself after a while"},
	{signaling.ErrNoKey, exitServer, "access-key", "ask whoever runs the server for its access key: --access-key-file, or P2PCHAT_ACCESS_KEY"},
	{signaling.ErrServerFull, exitServer, "server-full", "try again in a moment, or use another server: --server"},
	{errStore, exitServer, "store-unreachable", "check --store, and that NATS runs there: 2.11 or later, with JetStream"},
	{signaling.ErrUnavailable, exitServer, "unavailable", "try again in a moment, or use another server: --server"},
	{signaling.ErrForeign, exitServer, "not-p2pchat", "give the address of a p2pchat server with --server, or start one: p2pchat serve"},
	{signaling.ErrUnreachable, exitServer, "server-unreachable", "check the address, or start a server there: p2pchat serve"},
	{signaling.ErrGuesses, exitServer, "guesses", "wait a few minutes; or run p2pchat call here, and let the other side answer"},
	{signaling.ErrTooManyRooms, exitServer, "too-many-rooms", "wait a few minutes, or let the other side call; the server's --max-client-rooms sets how many"},
	{signaling.ErrTooMany, exitServer, "too-many", "wait a moment; whoever runs the server sets how much it takes: --rate, --connections"},
	{errGone, exitNobody, "nobody-came", "start the call again on both sides; one that both began with --outbox FILE goes on where it was"},
	{errNobody, exitNobody, "nobody-came", "check that the other side uses the same code and server, or wait longer: --wait"},
	{peer.ErrReplaced, exitFailed, "replaced", "one of the two has to answer: p2pchat answer; or name your call: p2pchat call standup"},
	{peer.ErrNoRelay, exitNoPath, "no-relay", "leave --relay-only out, or name a relay: p2pchat serve --relay, or --ice-server turn:user:password@host:port"},
	{peer.ErrNoPath, exitNoPath, "no-path", "a relay that both sides can reach would help: p2pchat serve --relay; 'p2pchat doctor' on either side says what its network allows"},
	{errConfined, exitNoPath, "confined", ""},
	{peer.ErrLost, exitFailed, "lost", "start the call again on both sides"},
	{chat.ErrSilent, exitFailed, "silent", "both sides need the same version of p2pchat"},
	{errStuck, exitFailed, "output-stuck", ""},
	{syscall.EADDRINUSE, exitFailed, "address-in-use", "another program listens there: stop it, or use another address"},
	{screen.ErrBinary, exitFailed, "not-text", "send it as a file: --send FILE"},
	{screen.ErrOutputClosed, exitPipe, "output-closed", ""},
}

// ending is the row of err; anything unknown has failed.
func ending(err error) (exit int, code, hint string) {
	if u := (*usageError)(nil); errors.As(err, &u) {
		return exitUsage, "usage", u.hint
	}
	if c := (*tls.CertificateVerificationError)(nil); errors.As(err, &c) {
		return exitServer, "certificate", "this machine does not trust the server's certificate: check the address; for one of your own, name the file of its authority in SSL_CERT_FILE"
	}
	for _, row := range endings {
		if errors.Is(err, row.err) {
			return row.exit, row.code, row.hint
		}
	}
	if p := (signaling.Problem{}); errors.As(err, &p) {
		return exitServer, "refused", ""
	}
	if u := (*chat.Undelivered)(nil); errors.As(err, &u) {
		return exitFailed, "undelivered", map[bool]string{true: "the other side never saw it", false: "the other side never saw them"}[u.Messages <= 1]
	}
	if i := (*chat.Incomplete)(nil); errors.As(err, &i) {
		return exitFailed, "incomplete", "the lines above say why"
	}
	if r := (*screen.Refused)(nil); errors.As(err, &r) {
		return exitFailed, "refused", "only UTF-8 text can be a message; send other data as a file: --send FILE"
	}
	return exitFailed, "failed", ""
}

// flatten makes one line of an error; errors.Join puts each into its own.
func flatten(err error) string {
	text := strings.NewReplacer(".\n", ", and ", "\n", ", and ", "., and", ", and").Replace(strings.TrimSuffix(err.Error(), "."))
	return screen.Clean(text)
}

// only tells whether err is target, and nothing else went wrong.
func only(err, target error) bool {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(many.Unwrap(), func(err error) bool { return !only(err, target) })
	}
	return err == target //nolint:errorlint // it is not wrapped
}

// dieOfPipe ends the program as SIGPIPE ends others whose output is closed, where there are signals.
func dieOfPipe() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // it is ignored until now
	signal.Reset(syscall.SIGPIPE)
	_, _ = os.Stdout.Write([]byte("\n"))
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
	if only(err, screen.ErrOutputClosed) { // as the program that read the output wished
		dieOfPipe()
		return exit
	}
	if err == errInterrupted { //nolint:errorlint // alone: who interrupts the program knows
		return exit
	}
	fmt.Fprintf(to, "p2pchat: error: %s\n", flatten(err))
	if hint != "" {
		fmt.Fprintf(to, "p2pchat: hint: %s\n", hint)
	}
	return exit
}
