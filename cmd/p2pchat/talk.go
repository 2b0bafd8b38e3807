package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/user"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"unicode"

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
	rescue   func()                                                      // for when there is none any more; may be nil

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

	// made of them by complete:
	serverGiven bool
	code        peer.Code
	screen      screen.Screen
	declines    string // why it takes no files
	full        bool   // it is that of a whole terminal
	servers     []signaling.ICEServer
	key         string
	logger      *slog.Logger
	asked       bool // for the code, at the terminal
	kept        kept
}

func (o *talkOptions) register(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVar(&o.server, "server", defaultServer, "the signaling server")
	f.StringVar(&o.name, "name", "", "how the other side sees you (default the login name)")
	f.StringVar(&o.ui, "ui", "auto", "tui (a whole terminal), line (for pipes), json (for programs), or auto: tui where there is a terminal, else line")
	f.BoolVar(&o.qr, "qr", false, "also draw the link as a QR code")
	f.BoolVar(&o.noNotify, "no-notify", false, "never ring the bell or notify when something arrives while you look elsewhere")
	f.DurationVar(&o.wait, "wait", 0, "how long to wait for the other side, at first and whenever it was lost; 0 is for ever")
	f.StringArrayVar(&o.iceServers, "ice-server", nil, "STUN or TURN server instead of the server's own: stun:host:port, turn:user:password@host:port?transport=udp (repeatable)")
	f.BoolVar(&o.relayOnly, "relay-only", false, "never reveal this machine's addresses to the other side")
	f.BoolVar(&o.leaveOnEOF, "leave-on-eof", false, "leave once the input has ended and all of it was delivered")
	f.StringVar(&o.outbox, "outbox", "", "file that keeps what is not delivered, and how to meet again: started anew with it, the program goes on with the same conversation")
	f.StringVar(&o.download, "download-dir", "", "where accepted files go (default the working directory)")
	f.BoolVar(&o.accept, "accept-files", false, "take the files that the other side offers without asking")
	f.StringArrayVar(&o.send, "send", nil, "offer this file or folder; with --leave-on-eof, leave once the other side has it (repeatable)")
	o.log.register(f)
}

// prepare completes the options. A program that speaks JSON is told in JSON what they lack.
func (o *talkOptions) prepare(c *cobra.Command, args []string, std stdio) error {
	err := o.complete(c, args, std)
	if err == nil || o.ui != "json" {
		return err
	}
	_, code, _ := ending(err)
	nobody := chat.New(chat.Config{})
	nobody.Tell(chat.Failed{Code: code, Message: flatten(err)})
	nobody.Close()
	return errors.Join(err, screen.JSON(c.Context(), nobody, screen.Streams{In: io.NopCloser(strings.NewReader("")), Out: std.out, Notes: std.err}))
}

// complete checks the flags, and finds out what they leave open.
func (o *talkOptions) complete(c *cobra.Command, args []string, std stdio) (err error) {
	o.serverGiven = c.Flags().Changed("server")
	if o.logger, err = o.log.logger(std.err); err != nil {
		return err
	}
	if o.servers, err = iceServers(o.iceServers); err != nil {
		return err
	}
	if err := o.checkServer(); err != nil {
		return err
	}
	if o.key, err = accessKey(o.keyFile); err != nil {
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
	if err = o.kept.open(o.outbox, o.other); err != nil {
		return err
	}
	text := cmp.Or(strings.Join(args, " "), os.Getenv("P2PCHAT_CODE"))
	if o.kept.with == nil {
		o.code, err = o.findCode(c.Context(), text, std)
		return err
	}
	if !o.serverGiven {
		o.server, o.serverGiven = o.kept.with.Server, o.kept.with.Server != defaultServer
	}
	was := o.kept.with.Again.Typed
	if o.code, err = o.parse(cmp.Or(text, was.String())); err == nil && o.code != was {
		err = &usageError{err: fmt.Errorf("--outbox: %s has a conversation with another code, and that is not over", o.outbox), hint: "leave the code out to go on with it, or name another file"}
	}
	return err
}

func (o *talkOptions) checkServer() error {
	if _, err := signaling.NewClient(o.server, signaling.Config{}); err != nil {
		return &usageError{err: fmt.Errorf("--server: %q is not the address of a server", o.server), hint: "an address looks like https://chat.example.org or http://localhost:3000"}
	}
	return nil
}

// findCode reads the code, or asks the person for it. It is zero for a caller who wants a
// new one.
func (o *talkOptions) findCode(ctx context.Context, text string, std stdio) (peer.Code, error) {
	switch {
	case text != "":
	case onLoopback(o.server):
		text = signaling.Lobby
	case o.other == "answer":
		return peer.Code{}, nil
	case std.raw == nil:
		return peer.Code{}, errNoCode
	default:
		o.asked = true
		return askCode(ctx, std, o.parse)
	}
	return o.parse(text)
}

// parse reads a code, or what the other side's program shows with it: the command to
// type, or the link to the page. These may name the server, too.
func (o *talkOptions) parse(text string) (peer.Code, error) {
	text, server := invitation(text)
	switch {
	case server == "" || strings.TrimRight(server, "/") == strings.TrimRight(o.server, "/"):
	case o.serverGiven:
		return peer.Code{}, &usageError{err: fmt.Errorf("that call is at %s, and this program was told to use %s", server, o.server), hint: "--server " + quoted(server)}
	default:
		o.server, o.serverGiven = server, true
	}
	if err := o.checkServer(); err != nil {
		return peer.Code{}, err
	}
	return peer.ParseCode(text)
}

// invitation takes apart what one may paste instead of a code: a link, or a line with the
// command that the other side's program shows. The code of a command without one is the
// lobby's.
func invitation(text string) (code, server string) {
	if u, err := url.Parse(strings.TrimSpace(text)); err == nil && u.Host != "" && u.Fragment != "" {
		return u.Fragment, u.Scheme + "://" + u.Host + strings.TrimRight(u.Path, "/")
	}
	found := shown.FindStringSubmatch(text)
	if found == nil {
		return text, ""
	}
	words := strings.Fields(found[1])
	var parts []string
	flags := false
	for i := 0; i < len(words); i++ {
		switch {
		case words[i] == "--server" && i+1 < len(words):
			i++
			server = strings.Trim(words[i], "'")
		case strings.HasPrefix(words[i], "--"):
			flags = true // and what follows is their values
		case !flags:
			parts = append(parts, words[i])
		}
	}
	return cmp.Or(strings.Trim(strings.Join(parts, " "), "'"), signaling.Lobby), server
}

// shown is what the other side types, wherever it stands in a line.
var shown = regexp.MustCompile(`(?:^|\s)p2pchat (?:answer|call)((?:\s.*)?)$`)

// talk meets the other side and holds the conversation.
func talk(ctx context.Context, o talkOptions, std stdio) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300) // a connection keeps little, and makes much garbage: a file takes a quarter less of the processor
	}
	conversation := chat.New(chat.Config{
		Name: o.name, LeaveWhenSaid: o.leaveOnEOF, Journal: o.kept.journal,
		DownloadDir: o.download, AcceptFiles: o.accept, DeclineFiles: o.declines, Log: o.logger,
	})
	apart := &trouble{}
	client, err := signaling.NewClient(o.server, signaling.Config{Patience: o.patience, Key: o.key, Trouble: func(err error) {
		apart.set(func(t *trouble) { t.server = err })
		if err != nil && o.rescue != nil {
			o.rescue()
		}
		conversation.Tell(chat.Notice{Text: o.news(err)})
	}})
	if err != nil {
		return &usageError{err: err}
	}
	defer client.CloseIdle()
	ctx, interrupt := context.WithCancel(ctx)
	defer interrupt()
	shown, feed := o.show(ctx, conversation, std, interrupt)
	offered, err := o.offer(ctx, conversation)
	if err != nil {
		conversation.Tell(chat.Failed{Code: "usage", Message: flatten(err)})
		conversation.Close()
		return errors.Join(err, ended(ctx, shown))
	}
	feed()
	defer context.AfterFunc(ctx, conversation.Leave)()

	if news := o.kept.news(); news != "" {
		conversation.Tell(chat.Notice{Text: news})
	}
	o.keep(conversation)
	session := o.meet(client, o.code, peer.Config{
		Again: o.kept.again(), ICEServers: o.servers, RelayOnly: o.relayOnly, Loopback: onLoopback(o.server), Log: o.logger,
		Discover: client.ICEServers,
		Report:   o.reporter(conversation, apart),
	})
	err = conversation.Run(context.WithoutCancel(ctx), func(ctx context.Context) (chat.Link, error) {
		if o.wait > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, o.wait, errNobody)
			defer cancel()
		}
		return o.next(ctx, session, apart)
	})
	session.Close()
	if n := missing(conversation, offered); n > 0 {
		err = errors.Join(err, &chat.Incomplete{Files: n})
	}
	switch {
	case ctx.Err() == nil:
	case err == nil:
		err = errInterrupted
	default:
		err = errors.Join(errInterrupted, err)
	}
	err = o.kept.explain(conversation, err)
	if err != nil {
		_, code, _ := ending(err)
		conversation.Tell(chat.Failed{Code: code, Message: flatten(err)})
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

// keep notes whom the conversation is for, before anything is said: what was typed for one
// person must not be delivered to another.
func (o *talkOptions) keep(c *chat.Conversation) {
	if o.kept.with == nil && o.code != (peer.Code{}) {
		side := map[string]signaling.Side{"answer": signaling.Caller, "call": signaling.Callee}[o.other]
		c.Keep(appointment{o.server, peer.Again{Side: side, Typed: o.code}}.String())
	}
}

// offer offers the files of --send, before there is any input: whoever answers may leave
// when that has ended.
func (o *talkOptions) offer(ctx context.Context, c *chat.Conversation) (ids []uint64, err error) {
	for _, path := range o.send {
		id, err := c.SendFile(ctx, path)
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("--send: %w", err), hint: "give the path of a file or folder that can be read"}
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// missing counts the files that the other side does not have.
func missing(c *chat.Conversation, offered []uint64) (n int) {
	for _, id := range offered {
		if !c.Sent(id) {
			n++
		}
	}
	return n
}

// ended waits for the screen; whoever interrupts the program waits a moment only,
// because nobody may read what it writes.
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

// trouble is what keeps the two apart, at the moment.
type trouble struct {
	mu     sync.Mutex // guards what follows
	server error      // does not answer
	path   error      // the two machines have not reached each other yet
	open   bool       // the room is, or is watched: the other side can come
}

func (t *trouble) set(update func(*trouble)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	update(t)
}

// why is what nobody-came means: somebody did, or could not.
func (t *trouble) why(o *talkOptions) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.path != nil:
		return t.path
	case t.server != nil && o.patience == signaling.Forever:
		return fmt.Errorf("%w: there was no server at %s", errNobody, o.server)
	case t.server != nil:
		return t.server
	case !t.open:
		return fmt.Errorf("%w: it did not answer in time", signaling.ErrUnreachable)
	}
	return errNobody
}

// next is the session's next pipe, as the conversation wants it.
func (o *talkOptions) next(ctx context.Context, session *peer.Session, apart *trouble) (chat.Link, error) {
	p, err := session.Pipe(ctx)
	if errors.Is(err, errNobody) {
		err = apart.why(o)
	}
	switch {
	case err == nil:
		apart.set(func(t *trouble) { t.path = nil })
		return chat.Link{Pipe: p, Foreign: p.Foreign, Verified: p.Verified, SafetyWords: p.SafetyWords, Path: p.Path, Took: p.Took, Again: o.again(p)}, nil
	case errors.Is(err, signaling.ErrUnreachable), errors.Is(err, signaling.ErrForeign), errors.As(err, &signaling.Problem{}):
		err = fmt.Errorf("%s: %w", o.server, err)
	}
	return chat.Link{}, err
}

// again is how to meet the other side of p once more.
func (o *talkOptions) again(p *peer.Pipe) string {
	if p.Foreign {
		return ""
	}
	return appointment{o.server, p.Again()}.String()
}

// reporter tells the conversation's reader what the session does.
func (o *talkOptions) reporter(to *chat.Conversation, apart *trouble) func(peer.Event) {
	waited := o.kept.met() // or else nobody but the other side can come
	return func(e peer.Event) {
		switch e := e.(type) {
		case peer.Waiting:
			if !waited { // not again after a server was restarted
				to.Keep(appointment{o.server, e.Again}.String())
				to.Tell(chat.Waiting{Code: e.Code.String(), Command: o.command(e.Code), Link: strings.TrimRight(o.server, "/") + "/#" + e.Code.String()})
			}
			waited = true
			apart.set(func(t *trouble) { t.open = true })
		case peer.Connecting:
			apart.set(func(t *trouble) { t.path = cmp.Or(t.path, fmt.Errorf("%w in time", peer.ErrNoPath)) })
			to.Tell(chat.Connecting{})
		case peer.Taken:
			apart.set(func(t *trouble) { t.path = nil })
			to.Tell(chat.Notice{Text: "this call is taken: somebody else has answered it; waiting for the next one"})
		case peer.WrongCode:
			apart.set(func(t *trouble) { t.path = nil })
			to.Tell(chat.WrongCode{Left: e.Left})
		case peer.Retrying:
			apart.set(func(t *trouble) {
				if t.path = nil; errors.Is(e.Err, peer.ErrNoPath) {
					t.path = e.Err
				}
			})
			to.Tell(chat.Notice{Text: e.Err.Error() + "; waiting for a new " + map[string]string{"call": "offer", "answer": "answer"}[o.other]})
		case peer.Trying:
			to.Tell(chat.Notice{Text: "still connecting: this side gave " + e.This + "; the other side " + e.Other})
		case peer.Stats:
			to.Tell(chat.Stats{RTT: e.RTT})
		}
	}
}

// command is what the other side types, in a shell.
func (o *talkOptions) command(code peer.Code) string {
	c := "p2pchat " + o.other
	if code != (peer.Code{Room: signaling.Lobby}) || !onLoopback(o.server) {
		c += " " + quoted(code.String())
	}
	if o.server != defaultServer {
		c += " --server " + quoted(o.server)
	}
	return c
}

// quoted is a word as a shell takes it: one may paste what is not one's own.
func quoted(word string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-._~:/%@", r)
	}
	if word != "" && word[0] != '~' && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// news says what became of the server, or that it is back.
func (o *talkOptions) news(err error) string {
	p := signaling.Problem{}
	switch {
	case err == nil:
		return "the server answers"
	case o.patience == signaling.Forever:
		return fmt.Sprintf("waiting for a server at %s ('p2pchat call' or 'p2pchat serve' starts one)", o.server)
	case errors.As(err, &p): // its detail says what a person had to do, but this program does it
		err = errors.New(p.Title)
	}
	return fmt.Sprintf("%s: %v; trying again", o.server, err)
}

// onLoopback tells whether server is on this machine.
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
