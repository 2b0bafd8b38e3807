// Command p2pchat joins two people who type one command each, machine to machine.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func main() {
	std := stdio{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		inTerminal: term.IsTerminal(int(os.Stdin.Fd())), outTerminal: term.IsTerminal(int(os.Stdout.Fd())), errTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	if std.inTerminal && std.errTerminal {
		std.raw, std.size = raw, func() (width, height int, err error) { return term.GetSize(int(os.Stderr.Fd())) }
	}
	signal.Ignore(syscall.SIGPIPE) // a write to a closed pipe returns an error instead
	ctx := context.Background()
	if !endsAtOnce(os.Args[1:]) {
		ctx = interruptible()
	}
	os.Exit(run(ctx, os.Args[1:], std))
}

// endsAtOnce reports whether the command only prints something. It needs no handler of signals, for which Go starts threads: a sixth of a start.
func endsAtOnce(args []string) bool {
	return len(args) == 0 || slices.Contains([]string{"version", "--version", "-v", "help", "--help", "-h", "completion"}, args[0]) || completes(args)
}

// completes reports whether a shell asks for completions.
func completes(args []string) bool {
	return len(args) > 0 && slices.Contains([]string{cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}, args[0])
}

// raw switches the terminal on stdin to raw mode until restore.
func raw() (restore func(), err error) {
	before, err := term.MakeRaw(int(os.Stdin.Fd()))
	if err != nil {
		return nil, err
	}
	return func() { _ = term.Restore(int(os.Stdin.Fd()), before) }, nil // nothing can be done about a failure
}

// interruptible returns a context that ends at the first signal to stop. The second signal ends the process.
func interruptible() context.Context {
	signals := slices.DeleteFunc([]os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}, signal.Ignored) // nohup, and a shell's &
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	return ctx
}

// A stdio has the standard streams, and says which of them are terminals.
type stdio struct {
	in                      io.Reader
	out, err                io.Writer
	inTerminal, outTerminal bool
	errTerminal             bool
	raw                     func() (restore func(), err error)    // switches the terminal to raw mode; nil if stdin or stderr is no terminal
	size                    func() (width, height int, err error) // of the terminal on stderr; nil if there is none
	warnings                *warnings                             // for the screen of the command; nil: they are written to err
}

// run runs the program, and returns its exit code.
func run(ctx context.Context, args []string, std stdio) int {
	log.SetOutput(io.Discard)           // libraries write there, but not for people
	std.err = &notesWriter{to: std.err} // notes and logs come from several goroutines
	std.warnings = &warnings{}
	root := rootCommand(std)
	if completes(args) {
		completeFlags(root) // only a shell that completes needs it, and it takes 2 % of a start
	}
	root.SetArgs(args)
	out := &checkedWriter{to: std.out} // of cobra's own output, such as help
	root.SetOut(out)
	c, err := root.ExecuteContextC(ctx)
	err = cmp.Or(nameOrigin(c, err), out.err)
	if std.inTerminal && errors.Is(err, errInterrupted) {
		fmt.Fprintln(std.err) // the terminal shows ^C on the current line
	}
	writeNotices(std.err, std.warnings.take()...) // of a command that has failed before its screen began
	return report(std, err, speaksJSON(c, args, os.Getenv), func(hint string) string { return correctOrigin(c, hint) })
}

func rootCommand(std stdio) *cobra.Command {
	root := &cobra.Command{
		Use:   "p2pchat",
		Short: "Chat and send files directly between two machines",
		Long: `p2pchat joins two people who type one command each. They chat and send files directly
from machine to machine (WebRTC); a small signaling server only helps the two machines
find each other.

On one machine, in two terminals:

  p2pchat call
  p2pchat answer

An environment variable can set each flag of a command: P2PCHAT_ and the flag's name in
capitals, with _ for -. 'p2pchat config set' saves a flag in a file for every run. A flag on
the command line wins over a variable, and a variable over the file.

Exit codes: 0 the conversation ended as one side wished; 1 failed, or not all was
delivered; 2 wrong usage; 3 wrong code; 4 the other side did not come; 5 the server
cannot be reached, or refused; 6 the machines cannot reach each other; 130 interrupted;
141, of a shell, if the reader of the output closed it, as head does (SIGPIPE). An
interrupt is how serve and listen end: with 0.`,
		Example: `  p2pchat call
  p2pchat answer 417-falcon-zebra --server https://chat.example.org`,
		Version:       about(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if err := environment(c, os.Environ(), std); err != nil {
				return err
			}
			return applySettings(c, settingsPath())
		},
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(serveCommand(std), callCommand(std), answerCommand(std), doctorCommand(std), demoCommand(std), benchCommand(std), configCommand(std), contactsCommand(std), listenCommand(std), readyCommand(), versionCommand(std))
	hangHelp(root, std.out)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	checkArguments(root)
	return root
}
