package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/user"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"p2pchat/chat"
	"p2pchat/chat/screen"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// Where call and answer look for a server, and where call starts one.
var (
	defaultServer = "http://localhost:3000"
	defaultServe  = defaultListen
)

// talkOptions are what call and answer share.
type talkOptions struct {
	meet     func(signaling.Store, peer.Code, peer.Config) *peer.Session // peer.Call or peer.Answer
	other    string                                                      // the other side's command
	patience time.Duration                                               // with a server that was never reached
	outage   func(begins bool)                                           // told when requests begin to fail, and when they are answered again; may be nil

	server     string
	name       string
	ui         string
	wait       time.Duration
	iceServers []string
	relayOnly  bool
	leaveOnEOF bool
	outbox     string
	download   string
	accept     bool
	send       []string
	keyFile    string
	qr         bool
	noNotify   bool
	log        logOptions

	// made of them by prepare:
	serverGiven bool
	code        peer.Code
	screen      screen.Screen
	declines    string // why it accepts no files
	full        bool   // the screen is a whole terminal
	drain       time.Duration
	unit        string // what a message is called
	key         string // for o.server only
	logger      *slog.Logger
	asked       bool // for the code, at the terminal
	prompts     bool // the person can be asked for another one
	kept        kept
}

func (o *talkOptions) register(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVar(&o.server, "server", defaultServer, "`URL` of the signaling server; without a scheme it means https://")
	f.StringVar(&o.name, "name", "", "your `NAME`, as the other side sees it (default your login name)")
	f.StringVar(&o.ui, "ui", "auto", "`SCREEN`: tui (full terminal), line (for pipes), json (for programs), or auto (tui on a terminal, else line)")
	f.BoolVar(&o.qr, "qr", false, "also draw the link as a QR code")
	f.BoolVar(&o.noNotify, "no-notify", false, "no bell and no notification when a message arrives in the background")
	f.DurationVar(&o.wait, "wait", 0, "how long to wait for the other side, at first and after a lost connection; 0 means for ever")
	f.StringArrayVar(&o.iceServers, "ice-server", nil, "`URL` of a STUN or TURN server to use instead of the server's own: stun:host:port, turn:user:password@host:port?transport=udp (repeatable); any: all that the server names, on other hosts too")
	f.BoolVar(&o.relayOnly, "relay-only", false, "never reveal this machine's addresses to the other side")
	f.BoolVar(&o.leaveOnEOF, "leave-on-eof", false, "leave when the input has ended and the other side has received all of it")
	f.StringVar(&o.outbox, "outbox", "", "`FILE` that keeps undelivered messages and how to reconnect: run the same command again to continue the conversation")
	f.StringVar(&o.download, "download-dir", "", "`FOLDER` for accepted files (default the working directory)")
	f.BoolVar(&o.accept, "accept-files", false, "accept all offered files without asking")
	f.StringArrayVar(&o.send, "send", nil, "offer this `FILE` or folder; with --leave-on-eof, leave when the other side has it (repeatable)")
	o.log.plain = true
	o.log.register(f)
}

// prepare checks the flags, and completes them.
func (o *talkOptions) prepare(c *cobra.Command, args []string, std stdio) (err error) {
	o.serverGiven = c.Flags().Changed("server")
	if o.logger, err = o.log.logger(std.err); err != nil {
		return err
	}
	if _, _, err := chosenICEServers(o.iceServers, ""); err != nil {
		return err
	}
	if err := o.checkServer(); err != nil {
		return err
	}
	if err := o.refusePaths(args); err != nil {
		return err
	}
	if o.wait < 0 {
		return &usageError{err: errors.New("--wait must not be negative")}
	}
	if err := o.chooseScreen(std); err != nil {
		return err
	}
	if o.name == "" {
		o.name = loginName()
	}
	if err := o.checkFiles(); err != nil {
		return err
	}
	if err = o.kept.open(o.outbox, o.other); err != nil {
		return err
	}
	text, named := cmp.Or(strings.Join(args, " "), os.Getenv("P2PCHAT_CODE")), o.server
	if o.kept.with != nil {
		err = o.continueCode(text)
	} else {
		o.code, err = o.findCode(c.Context(), text, std)
	}
	if err != nil {
		return err
	}
	return o.findKey(named, std)
}

// findKey reads the access key that a caller sends. It is for the server that the person named: the
// server of a pasted link must not learn it.
func (o *talkOptions) findKey(named string, std stdio) (err error) {
	if o.other == "call" { // only callers open rooms
		return nil
	}
	if o.key, err = accessKey(o.keyFile); err != nil || o.key == "" || o.server == named {
		return err
	}
	o.key = ""
	fmt.Fprintf(std.err, "p2pchat: %s does not get the access key, because --server does not name it\n", o.server)
	return nil
}

// checkFiles checks the download folder before the call, if the flags say that it is needed. Otherwise
// an error comes when a file is accepted.
func (o *talkOptions) checkFiles() error {
	if o.download == "" && !o.accept {
		return nil
	}
	if err := chat.CheckFolder(o.download); err != nil {
		return &usageError{err: fmt.Errorf("--download-dir: %w", err), hint: "name a folder that you can write to; a missing folder is created"}
	}
	return nil
}

func (o *talkOptions) checkServer() (err error) {
	o.server, err = serverURL(o.server)
	return err
}

// serverURL checks the value of --server. Without a scheme it is an https address.
func serverURL(server string) (string, error) {
	whole := server
	if !strings.Contains(server, "://") {
		whole = "https://" + server
	}
	if _, err := signaling.NewClient(whole, signaling.Config{}); err != nil {
		return "", &usageError{err: fmt.Errorf("--server: %q is not the address of a server", server), hint: "an address looks like https://chat.example.org or http://localhost:3000"}
	}
	return whole, nil
}

// talk meets the other side and holds the conversation.
func talk(ctx context.Context, o talkOptions, std stdio) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300) // a connection keeps little, and makes much garbage: a file takes a quarter less of the processor
	}
	conversation := chat.New(chat.Config{
		Name: o.name, LeaveWhenSaid: o.leaveOnEOF, Journal: o.kept.journal,
		DownloadDir: o.download, AcceptFiles: o.accept, DeclineFiles: o.declines, Log: o.logger,
		Drain: o.drain, Input: o.unit,
	})
	m := newRendezvous(&o, conversation)
	o.keep(conversation)
	ctx, interrupt := context.WithCancel(ctx)
	defer interrupt()
	shown, feed := o.show(ctx, m, std, interrupt)
	defer func() {
		if mistake := recover(); mistake != nil { // the screen gives the terminal back first
			interrupt()
			_ = ended(ctx, shown)
			panic(mistake)
		}
	}()
	if err := o.offer(ctx, conversation); err != nil {
		conversation.Tell(screen.Failed{Code: "usage", Message: flatten(err)})
		conversation.Close()
		return errors.Join(err, ended(ctx, shown), o.kept.end(conversation))
	}
	feed()
	defer context.AfterFunc(ctx, conversation.Leave)()

	if news := o.kept.news(); news != "" {
		conversation.Tell(chat.Notice{Text: news})
	}
	if news := swept(o.download); news != "" {
		conversation.Tell(chat.Notice{Text: news})
	}
	err := m.open()
	if err == nil {
		err = conversation.Run(context.WithoutCancel(ctx), m.next)
	}
	m.close()
	switch {
	case ctx.Err() == nil:
		err = errors.Join(m.abandoned(), err)
	case err == nil:
		err = errInterrupted
	default:
		err = errors.Join(errInterrupted, err)
	}
	err = o.kept.explain(conversation, err)
	if err != nil {
		_, code, _ := ending(err)
		conversation.Tell(screen.Failed{Code: code, Message: flatten(err)})
	}
	conversation.Close()
	if end := ended(ctx, shown); end != nil {
		err = errors.Join(err, end)
	}
	if end := o.kept.end(conversation); end != nil {
		err = errors.Join(err, end)
	}
	return err
}

// keep notes in the outbox whom the conversation is for, before the first message: what was typed for
// one person must not be delivered to another.
func (o *talkOptions) keep(c *chat.Conversation) {
	if o.kept.with == nil && o.code != (peer.Code{}) {
		side := map[string]signaling.Side{"answer": signaling.Caller, "call": signaling.Callee}[o.other]
		c.Keep(appointment{o.server, peer.Resumption{Side: side, Typed: o.code}}.String())
	}
}

// offer offers the files of --send before it reads input: the other side may leave when the input
// has ended.
func (o *talkOptions) offer(ctx context.Context, c *chat.Conversation) error {
	if err := c.MustSend(ctx, o.send...); err != nil {
		return &usageError{err: fmt.Errorf("--send: %w", err), hint: "give the path of a file or folder that can be read"}
	}
	return nil
}

// ended waits for the screen, and after an interrupt for 1 s at most: the reader of the output may be
// stuck.
func ended(ctx context.Context, shown <-chan error) error {
	select {
	case err := <-shown:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-shown:
		return err
	case <-time.After(time.Second):
		return errStuck
	}
}

// next waits for the session's next pipe, and makes a chat.Link of it.
func (o *talkOptions) next(ctx context.Context, session *peer.Session, apart *trouble) (chat.Link, *peer.Pipe, error) {
	p, err := session.Pipe(ctx)
	if errors.Is(err, errNobody) {
		err = apart.why(o, err)
	}
	switch {
	case err == nil:
		apart.set(func(t *trouble) { t.path = nil })
		return chat.Link{Pipe: p, Details: chat.Details(p.Details), Again: o.again(p)}, p, nil
	case errors.Is(err, signaling.ErrUnreachable), errors.Is(err, signaling.ErrForeign), errors.As(err, &signaling.Problem{}):
		err = withHint(o.server, fmt.Errorf("%s: %w", o.server, err))
	}
	return chat.Link{}, nil, err
}

// again returns what the outbox keeps to meet the other side of p again.
func (o *talkOptions) again(p *peer.Pipe) string {
	if p.Foreign {
		return ""
	}
	o.kept.guessed = false // they have met
	return appointment{o.server, p.Resumption()}.String()
}

// onLoopback reports whether server is on this machine.
func onLoopback(server string) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	return u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
}

func loginName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return os.Getenv("USER")
}
