package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"p2pchat/chat"
	"p2pchat/chat/screen"
	"p2pchat/cmd/p2pchat/internal/bench"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// Exit codes. Scripts rely on them.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitCode        = 3
	exitAbsent      = 4
	exitServer      = 5
	exitNoPath      = 6
	exitInterrupted = 130
	exitPipe        = 141 // of a shell, for a program that SIGPIPE ended
)

var (
	errAbsent      = errors.New("the other side did not come in time")
	errNotBack     = fmt.Errorf("%w after the connection was lost", errAbsent)
	errInterrupted = errors.New("interrupted")
	errNoCode      = &usageError{err: errors.New("no code was given"), hint: "type p2pchat answer CODE, or set P2PCHAT_CODE"}
	errNoLAN       = errors.New("this machine is on no local network that can carry a call: that needs a private IPv4 address, or IPv6 alone with an address that is not link-local")
	errStuck       = errors.New("the program at the other end of the pipe does not read the output")
)

// endings is the table of errors that end the program: the exit code, the code in JSON, and what to do next. The
// first row that matches counts.
var endings = []struct {
	err  error
	exit int
	code string
	hint string
}{
	{errInterrupted, exitInterrupted, "interrupted", ""},
	{peer.ErrCode, exitUsage, "bad-code", "a code is a room and a secret, like 417-falcon-zebra, or a room alone, like standup; a room has letters, digits and . _ ~"},
	{peer.ErrWrongCode, exitCode, "wrong-code", "ask the caller to read the code out again; after three wrong codes the caller needs a new one"},
	{peer.ErrBurnt, exitCode, "wrong-code", "run p2pchat call again, and send the new code by another route: a stranger may be guessing"},
	{peer.ErrImpostor, exitCode, "impostor", "ask the caller for a new code and for the server's address: a stranger may be guessing"},
	{screen.ErrOverheard, exitCode, "overheard", "do not trust what was said in this call; call again with a code that has a secret: p2pchat call"},
	{peer.ErrTaken, exitFailed, "taken", "if the caller did not hang up, a stranger has used the code: tell the caller"},
	{bench.ErrFailed, exitFailed, "calls-failed", ""},
	{signaling.ErrOccupied, exitServer, "occupied", "to join that call, type p2pchat answer with the same code; a room whose caller has died closes after a while"},
	{signaling.ErrNoKey, exitServer, "access-key", "ask the server's operator for its access key, and give it with --access-key-file or P2PCHAT_ACCESS_KEY"},
	{signaling.ErrServerFull, exitServer, "server-full", "try again in a moment, or use another server: --server URL"},
	{errStore, exitServer, "store-unreachable", "check --store: NATS 2.11 or later with JetStream must run there"},
	{signaling.ErrUnavailable, exitServer, "unavailable", "try again in a moment, or use another server: --server URL"},
	{signaling.ErrProxyRefuses, exitServer, "proxy", "a name and a password go into the proxy's URL, in P2PCHAT_PROXY or the settings: http://NAME:PASSWORD@HOST:PORT; to go without it: --proxy none"},
	{signaling.ErrProxy, exitServer, "proxy", "check the proxy's address, or go without it: --proxy none"},
	{signaling.ErrForeign, exitServer, "not-p2pchat", "give the address of a p2pchat server with --server, or start one: p2pchat serve"},
	{signaling.ErrTooLarge, exitServer, "too-large", "give the address of a p2pchat server with --server; on a server of your own, lower --max-body and --max-candidates"},
	{signaling.ErrGateway, exitServer, "server-unreachable", "start the server behind the proxy, p2pchat serve, or wait until its operator has"},
	{signaling.ErrUnreachable, exitServer, "server-unreachable", "check the address, or start a server there: p2pchat serve"},
	{errNoLAN, exitServer, "no-network", "connect to a network, or use a server: p2pchat call --server URL"},
	{signaling.ErrGuesses, exitServer, "guesses", "wait a few minutes; or run p2pchat call here, and let the other side answer"},
	{signaling.ErrTooManyRooms, exitServer, "too-many-rooms", "wait a few minutes, or let the other side call; the server's operator can raise --max-client-rooms and --max-rooms"},
	{signaling.ErrTooMany, exitServer, "too-many", "wait a moment; the server's log names the limit, which its operator can raise"},
	{errNotBack, exitAbsent, "nobody-came", "start the call again on both sides: it goes on where it was, or with --resume if no one can be asked"},
	{errAbsent, exitAbsent, "nobody-came", "check that both sides use the same code and server, or wait longer: --wait 10m"},
	{peer.ErrReplaced, exitFailed, "replaced", "both sides run call: one of them must run p2pchat answer. To keep two calls apart, name them: p2pchat call standup"},
	{peer.ErrNoRelay, exitNoPath, "no-relay", "leave --relay-only out, or name a relay: --ice-server turn:user:password@host:port; p2pchat serve --relay runs one"},
	{peer.ErrNoPath, exitNoPath, "no-path", "use a server with a relay that both sides can reach: p2pchat serve --relay; 'p2pchat doctor' shows what a network allows"},
	{errConfined, exitNoPath, "confined", ""},
	{peer.ErrLost, exitFailed, "lost", "start the call again on both sides"},
	{chat.ErrDeclined, exitAbsent, "declined", "call again later"},
	{chat.ErrUnanswered, exitAbsent, "unanswered", "call again later"},
	{chat.ErrSilent, exitFailed, "silent", "use the same version on both sides: p2pchat version"},
	{chat.ErrPurpose, exitFailed, "other-purpose", "to chat, have the other side run p2pchat call or answer; to measure, run p2pchat bench on both sides"},
	{bench.ErrConversation, exitFailed, "other-purpose", "to measure, have the other side run p2pchat bench, too; to chat, run p2pchat call or answer"},
	{bench.ErrSilent, exitFailed, "other-purpose", "to measure, have the other side run p2pchat bench, too, in the same version"},
	{bench.ErrOther, exitFailed, "other-purpose", "run the same on both sides: p2pchat bench message, or p2pchat bench transfer"},
	{chat.ErrUnsaid, exitFailed, "unsaid", "look at what the other program reports; its channel has to stay open"},
	{peer.ErrNoChannel, exitFailed, "no-channel", "have it announce the channel: createDataChannel without negotiated and id"},
	{errStuck, exitFailed, "output-stuck", ""},
	{syscall.EADDRINUSE, exitFailed, "address-in-use", "another program listens there: stop it, or choose another address"},
	{syscall.EADDRNOTAVAIL, exitFailed, "no-such-address", "this machine does not have that address; without one, as in --listen :3000, the server listens on all that it has"},
	{screen.ErrBinary, exitFailed, "not-text", "send it as a file: --send FILE"},
	{screen.ErrOutputClosed, exitPipe, "output-closed", ""},
}

// broken has the system errors that no flag causes, and what to do about each.
var broken = []struct {
	err  error
	hint string
}{
	{syscall.ENOSPC, noSpaceHint},
	{syscall.EDQUOT, noSpaceHint},
	{syscall.EMFILE, "raise the number of files that this program may open: ulimit -n, or LimitNOFILE in a systemd unit"},
	{syscall.ENFILE, "this machine has no more files to open: end other programs, or raise its limit"},
	{syscall.EROFS, "that disk can only be read: name a place that can be written to"},
}

const noSpaceHint = "make room on that disk, then run the same command again"

// brokenHint returns the hint for a system error of that table, or "" for other errors: an interruption and a chat.Incomplete have their own.
func brokenHint(err error) string {
	if errors.Is(err, errInterrupted) || errors.As(err, new(*chat.Incomplete)) {
		return ""
	}
	for _, row := range broken {
		if errors.Is(err, row.err) {
			return row.hint
		}
	}
	return ""
}

// ending returns the row of err, with the hint of a hintedError. An unknown error has the code "failed".
func ending(err error) (exit int, code, hint string) {
	if hint := brokenHint(err); hint != "" {
		return exitFailed, "machine", hint
	}
	if u := (*usageError)(nil); errors.As(err, &u) {
		return exitUsage, "usage", u.hint
	}
	if badCertificate(err) {
		return exitServer, "certificate", "check the address; for a server with a certificate of your own, name the authority's file in SSL_CERT_FILE"
	}
	var own hintedError
	errors.As(err, &own)
	for _, row := range endings {
		if errors.Is(err, row.err) {
			return row.exit, row.code, cmp.Or(own.hint, row.hint)
		}
	}
	if p := (signaling.Problem{}); errors.As(err, &p) {
		return exitServer, "refused", own.hint
	}
	if u := (*chat.Undelivered)(nil); errors.As(err, &u) {
		if alone := errors.As(err, &aloneError{}); alone && errors.Is(err, errKept) {
			return exitFailed, "undelivered", "" // the error says where they are
		} else if alone {
			return exitFailed, "undelivered", "leave after the other side has joined"
		}
		return exitFailed, "undelivered", map[bool]string{true: "the other side never saw it", false: "the other side never saw them"}[u.Messages <= 1]
	}
	if i := (*chat.Incomplete)(nil); errors.As(err, &i) {
		return exitFailed, "incomplete", "the lines above say why"
	}
	if r := (*screen.Refused)(nil); errors.As(err, &r) {
		if r.Objects {
			return exitFailed, "refused", "the objects of type error on stdout say why"
		}
		return exitFailed, "refused", "a message can only be UTF-8 text; send other data as a file: --send FILE"
	}
	return exitFailed, "failed", ""
}

// badCertificate reports whether err is that of a server whose certificate is refused.
func badCertificate(err error) bool { return errors.As(err, new(*tls.CertificateVerificationError)) }

// flatten returns the text of an error on one line. errors.Join puts each error on a line of its own. A whole sentence of a server stays one,
// and so does what comes after it.
func flatten(err error) string {
	lines := strings.Split(strings.ReplaceAll(err.Error(), "., and ", ".\n"), "\n")
	text := lines[0]
	for _, next := range lines[1:] {
		if strings.HasSuffix(text, ".") || strings.HasSuffix(next, ".") {
			text = strings.TrimSuffix(text, ".") + ". " + screen.Capital(next)
		} else {
			text += ", and " + next
		}
	}
	return screen.Clean(strings.TrimSuffix(text, "."))
}

// only reports whether err is target, or a list of nothing but target.
func only(err, target error) bool {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(many.Unwrap(), func(err error) bool { return !only(err, target) })
	}
	return err == target //nolint:errorlint // it is not wrapped
}

// dieOfPipe ends the program by SIGPIPE, like other programs whose output is closed. It returns on Windows.
func dieOfPipe() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // interruptible has ignored it
	signal.Reset(syscall.SIGPIPE)
	_, _ = os.Stdout.Write([]byte("\n"))
}

// An aloneError is that of a conversation which the other side never joined.
type aloneError struct{ error }

func (e aloneError) Unwrap() error { return e.error }

// A noteError is told without the word error: the person left as intended. The exit code says that something is not delivered.
type noteError struct{ error }

func (e noteError) Unwrap() error { return e.error }

// An interruptedError is what a conversation has come to that the person interrupted, who knows that.
type interruptedError struct{ error }

func (e interruptedError) Unwrap() []error { return []error{errInterrupted, e.error} }

// shownError marks an error that the screen has shown.
type shownError struct{ error }

func (e shownError) Unwrap() error { return e.error }

// onScreen marks the error of a conversation whose screen has ended.
func onScreen(err error) error {
	if err == nil {
		return nil
	}
	return shownError{err}
}

// speaksJSON reports whether errors are written as JSON. It reads args, because the flags of c are not parsed if
// the error is about one of them.
func speaksJSON(c *cobra.Command, args []string, getenv func(string) string) bool {
	for i := len(args) - 1; i >= 0; i-- {
		switch {
		case args[i] == "--ui" && i+1 < len(args):
			return args[i+1] == "json"
		case strings.HasPrefix(args[i], "--ui="):
			return args[i] == "--ui=json"
		}
	}
	f := c.Flags().Lookup("ui")
	return f != nil && (getenv(variable("ui")) == "json" || f.Value.String() == "json")
}

// report writes how the program ended: on stderr, in two lines at most, and if inJSON as an object on stdout,
// unless a screen has shown err. The hint is what correct makes of it. It returns the exit code.
func report(std stdio, err error, inJSON bool, correct func(hint string) string) int {
	if err == nil {
		return 0
	}
	onScreen := shownError{}
	shown := errors.As(err, &onScreen)
	if shown {
		err = onScreen.error
	}
	exit, code, hint := ending(err)
	if inJSON && !shown {
		_ = screen.Encode(std.out, screen.Failed{Code: code, Message: flatten(err)}) // stderr has it, too
	}
	if errors.Is(err, context.Canceled) && exit == exitFailed {
		exit = exitInterrupted
	}
	if only(err, screen.ErrOutputClosed) || errors.Is(err, syscall.EPIPE) { // the reader of the output has enough, which is no failure
		dieOfPipe()
		return exit
	}
	if err == errInterrupted || only(err, errConfined) { //nolint:errorlint // alone: a person who interrupts the program knows; doctor's verdict is on stdout
		return exit
	}
	if _, isNote := err.(noteError); isNote { //nolint:errorlint // alone: what has failed besides is an error
		fmt.Fprintf(std.err, "p2pchat: %s\n", screen.Capital(flatten(err)))
		return exit
	}
	fmt.Fprintf(std.err, "p2pchat: error: %s\n", flatten(err))
	if hint != "" {
		fmt.Fprintf(std.err, "p2pchat: hint: %s\n", correct(hint))
	}
	return exit
}
