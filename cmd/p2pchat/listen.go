package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"p2pchat/chat/disk"
	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/signaling"
)

// listenOptions are the options of listen.
type listenOptions struct {
	talkOptions        // of each call
	program     string // that has the calls; empty: the screen has them
}

func listenCommand(std stdio) *cobra.Command {
	o := listenOptions{talkOptions: talkOptions{side: signaling.Callee}}
	c := &cobra.Command{
		Use:   "listen",
		Short: "Wait for calls of all contacts, and ring",
		Long: `Wait for all contacts at once, at the servers where you kept each other. When one of them
calls, listen rings: a answers, d declines. A call rings only once the
contact has proven who it is. While a server does not answer, listen also looks for its
contacts on your local network.

'p2pchat contacts ring' says for each contact whether listen asks, accepts or refuses.

With --exec, each accepted call runs PROGRAM, which speaks the JSON of 'answer --ui json' on its
stdin and stdout; P2PCHAT_CONTACT has the name of the contact. Several calls can run at once.

Letters that contacts have left at a server (serve --mail) are shown as they come, and their
writers see that they were read. On a full terminal and with --exec, listen only says that letters
wait: 'p2pchat answer @NAME' reads them.

With --ui json, {"type":"answer"}, {"type":"decline"} and {"type":"leave"} are the input while no
call is up; 'p2pchat help answer' lists that of a call.

listen ends when you leave with q or Ctrl-C, with exit code 0.`,
		Example: `  p2pchat listen
  p2pchat contacts ring @ben accept --folder ~/inbox
  p2pchat listen --exec ./bot`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.prepareListen(c, std); err != nil {
				return err
			}
			return listen(c.Context(), o, std)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.server, "server", defaultServer, "`URL` of the server that the access key is for: listen waits at the servers where you kept each other")
	f.StringVar(&o.keyFile, "access-key-file", "", "`FILE` with the access key of --server, if it needs one to tell contacts that you have read their letters (or P2PCHAT_ACCESS_KEY)")
	f.StringVar(&o.program, "exec", "", "`PROGRAM` that has each accepted call, in JSON on its stdin and stdout")
	f.StringVar(&o.name, "name", "", "your `NAME`, as the other side sees it (default your login name)")
	f.StringVar(&o.ui, "ui", "auto", "`SCREEN`: tui (full terminal), line (for pipes), json (for programs), or auto (tui on a terminal, else line)")
	f.BoolVar(&o.noNotify, "no-notify", false, "no bell and no notification when a call or a message comes")
	f.DurationVar(&o.wait, "wait", 5*time.Minute, "how long a call waits for the contact after a lost connection; 0 means for ever")
	f.StringArrayVar(&o.iceServers, "ice-server", nil, "`URL` of a STUN or TURN server to use instead of the server's own (repeatable)")
	f.BoolVar(&o.relayOnly, "relay-only", false, "never reveal this machine's addresses to the other side")
	o.mapping.register(f)
	o.proxy.register(f)
	f.StringVar((*string)(&o.lan), "lan", auto, "`WHEN` to look on the local network for contacts who call there without a server: auto (while their server does not answer), always or never")
	f.BoolVar(&o.noOutbox, "no-outbox", false, "keep undelivered messages only while this program runs")
	f.StringVar(&o.download, "download-dir", "", "`FOLDER` for accepted files of contacts without one of their own (default the working directory)")
	f.StringVar((*string)(&o.stripes), "stripes", auto, "`WHEN` to send a file over four more connections: auto, always or never")
	o.log.sentences = true
	o.log.register(f)
	return c
}

// prepareListen checks the flags, and derives the other options from them.
func (o *listenOptions) prepareListen(c *cobra.Command, std stdio) (err error) {
	if o.logger, err = o.log.logger(std.err); err != nil {
		return err
	}
	if err := cmp.Or(o.checkServer(), o.proxy.prepare(c)); err != nil {
		return err
	}
	if o.key, err = accessKey(o.keyFile); err != nil {
		return err
	}
	if _, _, err := chosenICEServers(o.iceServers, ""); err != nil {
		return err
	}
	if err := cmp.Or(checkChoice("stripes", string(o.stripes)), o.checkPairs(c), o.checkLANChoice()); err != nil {
		return err
	}
	if err := checkWait(o.wait); err != nil {
		return err
	}
	if o.program != "" {
		if o.ui == "tui" {
			return &usageError{err: errors.New("--exec has no full screen"), hint: "--ui must be auto, line or json"}
		}
		std.outTerminal = std.outTerminal && o.ui == "json" // notes of programs come between
	}
	if err := o.chooseScreen(std); err != nil {
		return err
	}
	o.chooseName()
	if err := o.findProgram(); err != nil {
		return err
	}
	return o.checkFiles()
}

// findProgram makes the path of --exec absolute. It returns a usageError if there is no such program.
func (o *listenOptions) findProgram() error {
	if o.program == "" {
		return nil
	}
	path, err := exec.LookPath(o.program)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if e := (*exec.Error)(nil); errors.As(err, &e) { // its text begins with exec, too
		err = fmt.Errorf("%q: %w", o.program, e.Err)
	}
	if err != nil {
		return &usageError{err: fmt.Errorf("--exec: %w", err), hint: "give the path of a program that you can run"}
	}
	o.program = path
	return nil
}

// listen waits for calls until the person leaves or the program is interrupted.
func listen(ctx context.Context, o listenOptions, std stdio) error {
	book, err := contactBook()
	if err != nil {
		return &usageError{err: err}
	}
	seed, unlock, err := lockListen()
	if err != nil {
		return err
	}
	defer unlock()
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	s := newSwitchboard(&o, book, seed, std.err, leave)
	if !o.full {
		std.out = &notesWriter{to: std.out} // a call and listen write lines to it
	}
	switch {
	case o.ui == "json":
		s.face = newStreamFace(s, std, jsonListen{std.out})
	case o.full:
		s.face = newFullFace(s, std, o.noNotify)
	default:
		s.face = newStreamFace(s, std, lineListen{std})
	}
	for _, text := range append(std.warnings.take(), o.keyNotice(book)...) {
		s.face.note(text)
	}
	return s.run(ctx)
}

// keyNotice says so if no contact's server gets the access key.
func (o *listenOptions) keyNotice(book *contacts.Book) []string {
	list, _ := book.List() // the switchboard tells of files that cannot be read
	named := slices.ContainsFunc(list, func(c contacts.Contact) bool { return c.Server == o.server })
	if o.key != "" && len(list) > 0 && !named {
		return []string{fmt.Sprintf("no server gets the access key, because you have kept no contact at %s. Name the server with --server", o.server)}
	}
	return nil
}

// at returns the options of what is done at a contact's server. Only the server that the person named gets the access key.
func (o *listenOptions) at(server string) talkOptions {
	at := o.talkOptions
	if server != o.server {
		at.key = ""
	}
	at.server, at.serverGiven = server, server != defaultServer
	return at
}

// seedSize is the size of the seed from which names of rooms follow in which no one calls.
const seedSize = 32

// lockListen keeps other programs from listening for the same contacts until unlock. The locked file has the seed.
func lockListen() (seed []byte, unlock func(), err error) {
	path := statePath("listen")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, &usageError{err: fmt.Errorf("the folder of your contacts cannot be made: %w", err), hint: "set XDG_STATE_HOME to a folder that you can write to"}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // in the user's own folder
	if err != nil {
		return nil, nil, err
	}
	if err := disk.Lock(f); err != nil {
		f.Close()
		if errors.Is(err, disk.ErrLocked) {
			return nil, nil, &usageError{err: errors.New("another p2pchat listen waits for your contacts"), hint: "end that program first"}
		}
		return nil, nil, err
	}
	seed, err = io.ReadAll(io.LimitReader(f, seedSize))
	if err == nil && len(seed) < seedSize {
		seed = make([]byte, seedSize)
		_, _ = rand.Read(seed) // never fails
		_, err = f.WriteAt(seed, 0)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return seed, func() { f.Close() }, nil
}
