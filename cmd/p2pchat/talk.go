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
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

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

// talkOptions are the options of call and answer.
type talkOptions struct {
	side     signaling.Side
	meet     func(signaling.Store, peer.Code, peer.Config) *peer.Session // peer.Call or peer.Answer
	patience time.Duration                                               // with a server that was never reached
	onOutage func(begins bool)                                           // told when requests begin to fail, and when they are answered again; may be nil

	server      string
	name        string
	ui          string
	wait        time.Duration
	iceServers  []string
	relayOnly   bool
	mapping     portMappingOption
	proxy       proxyOption
	lan         choice
	leaveOnEOF  bool
	leaveAtOnce bool // with leaveOnEOF: also while the other side still has input
	outboxPath  string
	noOutbox    bool
	resume      bool
	keepAs      string
	download    string
	accept      bool
	send        []string
	stripes     choice
	keyFile     string
	qr          bool
	noNotify    bool
	log         logOptions

	// derived by prepare:
	serverGiven bool // not the default one
	serverSaved bool // given by the settings file: a link may name another one
	code        peer.Code
	ownCode     string // what a caller should know of a code of own words
	screen      screen.Screen
	declines    string // why the screen accepts no files; empty if it does
	full        bool   // the screen is a full terminal
	drain       time.Duration
	unit        string // what a message is called: line; empty for a message
	key         string // access key, for o.server only
	logger      *slog.Logger
	asked       bool // the person was asked for the code
	prompts     bool // the person can be asked for another code
	outbox      outbox
	closeOutbox func() error  // of talk
	keeper      *keeper       // nil without a place for contacts
	incoming    *incomingCall // the call of a contact that listen has received; nil otherwise
	own         *ownServer    // of a caller; nil otherwise
	notices     []string      // for the screen, from before it opens
	home        string        // the server before a move to the local network; empty before
	moved       bool          // the call goes on at another server

	joined func(*chat.Conversation) // is given the conversation before it begins; may be nil
	over   func()                   // is called when the conversation is over, and before the screen has shown its end; may be nil
	ended  func(screen.Rest)        // is called when the contact can call again, though the screen may stay, see screen.Streams; may be nil
}

func (o *talkOptions) register(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVar(&o.server, "server", defaultServer, "`URL` of the signaling server; without a scheme it means https://")
	f.StringVar(&o.name, "name", "", "your `NAME`, as the other side sees it, also in a conversation that goes on (default the last name that you took there with /name, else your login name)")
	f.StringVar(&o.ui, "ui", "auto", "`SCREEN`: tui (full terminal), line (for pipes), json (for programs), or auto (tui on a terminal, else line)")
	f.BoolVar(&o.qr, "qr", false, "also draw the link as a QR code")
	f.BoolVar(&o.noNotify, "no-notify", false, "no bell and no notification when a message arrives in the background")
	f.DurationVar(&o.wait, "wait", 0, "how long to wait for the other side, also while it rings there, at first and after a lost connection (default 0: for ever)")
	f.StringArrayVar(&o.iceServers, "ice-server", nil, "`URL` of a STUN or TURN server to use instead of the server's own: stun:host:port, turn:user:password@host:port?transport=udp (repeatable); any: all that the server names, on other hosts too")
	f.BoolVar(&o.relayOnly, "relay-only", false, "never reveal this machine's addresses to the other side")
	o.mapping.register(f)
	o.proxy.register(f)
	f.StringVar((*string)(&o.lan), "lan", auto, "`WHEN` the two may meet on one local network without a server, where the caller's program serves: auto (with a contact or a code that has a secret, if no server is named; on a terminal also if nothing answers at the server named), always or never")
	f.BoolVar(&o.leaveOnEOF, "leave-on-eof", false, "leave when the input has ended and the other side has received all of it; if both sides have this flag, when both inputs have ended")
	f.StringVar(&o.outboxPath, "outbox", "", "`FILE` that keeps undelivered messages and how to reconnect, instead of one in the state folder: name it again to continue the conversation, and to say more")
	f.BoolVar(&o.noOutbox, "no-outbox", false, "keep undelivered messages only while this program runs")
	f.BoolVar(&o.resume, "resume", false, "go on with the last conversation that was not ended")
	f.StringVar(&o.keepAs, "keep", "", "keep the other side as a contact, `NAME`, to call it without a code; it must keep you, too (or type /keep)")
	f.StringVar(&o.download, "download-dir", "", "`FOLDER` for accepted files (default the working directory)")
	f.BoolVar(&o.accept, "accept-files", false, "accept all offered files without asking")
	f.StringArrayVar(&o.send, "send", nil, "offer this `FILE` or folder; with --leave-on-eof, leave when the other side has it (repeatable)")
	f.StringVar((*string)(&o.stripes), "stripes", auto, "`WHEN` to send a file over four more connections, which is faster where packets are lost: auto (large files, on a direct path of 10 ms or more), always (on any direct path, and never QUIC), or never, in either direction")
	o.log.sentences = true
	o.log.register(f)
}

// prepare checks the flags and the arguments, and derives the other options from them.
func (o *talkOptions) prepare(c *cobra.Command, args []string, std stdio) (err error) {
	o.serverGiven, o.serverSaved = c.Flags().Changed("server"), isFromFile(c, "server")
	if o.logger, err = o.log.logger(std.err); err != nil {
		return err
	}
	if _, _, err := chosenICEServers(o.iceServers, ""); err != nil {
		return err
	}
	if err := cmp.Or(o.checkServer(), o.proxy.prepare(c)); err != nil {
		return err
	}
	if err := o.refusePaths(args); err != nil {
		return err
	}
	if err := cmp.Or(checkChoice("stripes", string(o.stripes)), o.checkPairs(c), o.prepareLAN()); err != nil {
		return err
	}
	if err := checkWait(o.wait); err != nil {
		return err
	}
	if err := o.chooseScreen(std); err != nil {
		return err
	}
	o.chooseName()
	if err := o.checkFiles(); err != nil {
		return err
	}
	text, named := cmp.Or(strings.Join(args, " "), os.Getenv("P2PCHAT_CODE")), o.server
	if err := refuseSeveral(text, o.side); err != nil {
		return err
	}
	if o.outboxPath != "" {
		err = o.openNamed()
	} else {
		err = o.openDefault(c.Context(), text, std)
	}
	if err != nil {
		return err
	}
	if err := o.findPeer(c.Context(), text, std); err != nil {
		return err
	}
	o.keepName(c)
	if err := cmp.Or(o.checkLAN(), o.findKeeper()); err != nil {
		return err
	}
	return o.findKey(named)
}

// findPeer finds out whom the call is with: a contact, or one who has the code.
func (o *talkOptions) findPeer(ctx context.Context, text string, std stdio) (err error) {
	name, isContact := strings.CutPrefix(text, contactMark)
	switch r := o.outbox.resume; {
	case r != nil && r.Contact != "":
		return o.continueContact(ctx, name, isContact, std.err)
	case r != nil && isContact:
		return &usageError{err: fmt.Errorf("--outbox: %s holds a conversation with a code that has not ended", o.outboxPath), hint: "leave the contact out to continue it, or name another file"}
	case r != nil:
		return o.continueCode(text)
	case isContact:
		return o.holdContact(ctx, name, std.err)
	}
	if o.code, err = o.findCode(ctx, text, std); err == nil && o.code.Secret == "" {
		o.mentionContact(text)
	}
	if o.side == signaling.Caller && err == nil {
		o.ownCode = ownCodeNotice(text, o.code)
		if o.code != (peer.Code{}) && o.code.Secret == "" && !onLoopback(o.server) {
			o.ownCode = strings.TrimSpace(o.ownCode + " " + openCodeText)
		}
	}
	return err
}

// leastSecret is how many letters a caller's own secret needs, or call warns: a stranger has peer.Guesses attempts.
const leastSecret = 4

// openCodeText tells a caller of a code without a secret, while the caller can still choose another one. On this machine, no one listens in.
const openCodeText = "This code has no secret: anyone who knows it can join, and the server could listen in. To add one, put words that only the two of you know after a dash."

// ownCodeNotice returns what a caller should know of a code of the caller's own words, or "".
func ownCodeNotice(text string, code peer.Code) (notice string) {
	if peer.TrimMarks(text) != strings.TrimSpace(text) {
		notice = fmt.Sprintf("The code is %s, without the marks around it. ", code)
	}
	if n := utf8.RuneCountInString(code.Secret); n > 0 && n < leastSecret {
		notice += fmt.Sprintf("The secret of this code is so short that a stranger may guess it: %d attempts are allowed. Use at least %d letters that a stranger would not think of.", peer.Guesses, leastSecret)
	}
	return strings.TrimSpace(notice)
}

// mentionContact notes that a room has the name of a contact, whom the person may have meant.
func (o *talkOptions) mentionContact(room string) {
	book, err := contactBook()
	if err != nil || room == "" {
		return
	}
	if c, err := book.Find(room); err == nil {
		o.warn("This call is in the room %s, which anyone can enter. To reach your contact: p2pchat %s %s%s", screen.Clean(room), command(o.side), contactMark, c.Name)
	}
}

// findKey reads the access key that a caller sends, and each of two contacts: it opens rooms, and leaves mail. Only the server that the
// person named gets it: the server of a pasted link must not learn it.
func (o *talkOptions) findKey(named string) (err error) {
	if o.side == signaling.Callee && o.keeper.contact() == "" {
		return nil
	}
	if o.key, err = accessKey(o.keyFile); err != nil || o.key == "" || o.server == named {
		return err
	}
	o.key = ""
	o.warn("%s does not get the access key, because --server does not name it.", o.server)
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
	if strings.HasPrefix(server, "-") {
		return "", &usageError{err: fmt.Errorf("--server needs an address before %s", server), hint: "an address looks like https://chat.example.org or http://localhost:3000"}
	}
	if _, at := pasted(server, ""); at != "" {
		return "", &usageError{err: errors.New("--server takes an address, and this is the link of a call"), hint: "give the link in place of the code: p2pchat answer LINK"}
	}
	if !strings.Contains(server, "://") {
		whole = "https://" + server
	}
	if _, err := signaling.NewClient(whole, signaling.Config{}); err != nil {
		return "", &usageError{err: fmt.Errorf("--server: %q is not the address of a server", server), hint: "an address looks like https://chat.example.org or http://localhost:3000"}
	}
	return whole, nil
}

// jsonHelp belongs to the help of the commands that take --ui json.
const jsonHelp = `With --ui json, each line of the output is a JSON object, and so is each line of the input:

    {"type":"message","text":"hi"}
    {"type":"send-file","path":"report.pdf"}
    {"type":"accept","id":3} or {"type":"decline","id":3}, the id of a file-offered
    {"type":"cancel","id":3,"direction":"in"}, or "out" for a file of your own
    {"type":"keep","name":"ben"}, {"type":"again"} or {"type":"leave"}`

// talk meets the other side and holds the conversation.
func talk(ctx context.Context, o talkOptions, std stdio) error {
	if os.Getenv("GOGC") == "" && o.incoming == nil { // listen would keep that memory when the call is over
		debug.SetGCPercent(300) // a connection keeps little, and makes much garbage: a file takes a quarter less of the processor
	}
	defer o.keeper.release()
	defer theProcessors.useAll() // for what follows in this process
	o.outbox.with = o.keeper.contact()
	conversation := chat.New(chat.Config{
		KeepAs: o.keepAs, Contact: o.keeper.contact(), Keeper: o.chatKeeper(),
		Name: o.name, LeaveWhenSaid: o.leaveOnEOF, AwaitsEnd: !o.leaveAtOnce && !std.inTerminal, Journal: o.outbox.journal, GoOn: o.outbox.goOn(), MoreInput: true,
		DownloadDir: o.download, AcceptFiles: o.accept, DeclineFiles: o.declines, Stripes: o.stripes.forFiles(), Log: o.logger,
		Drain: o.drain, Input: o.unit,
	})
	if o.joined != nil {
		o.joined(conversation)
	}
	o.closeOutbox = sync.OnceValue(func() error { return o.outbox.close(conversation, o.keeper) })
	c := newConnector(&o, conversation)
	o.recordCode(conversation)
	ctx, interrupt := context.WithCancel(ctx)
	defer interrupt()
	shown, feed := o.show(ctx, c, std, interrupt)
	defer func() {
		if mistake := recover(); mistake != nil { // the screen gives the terminal back first
			interrupt()
			_ = waitForScreen(ctx, shown)
			panic(mistake)
		}
	}()
	for _, notice := range slices.Concat(std.warnings.take(), o.notices, []string{o.ownCode, o.outbox.notice()}) {
		tell(conversation, notice)
	}
	// Offers before input: the other side may leave when the input has ended.
	if err := conversation.MustSend(ctx, o.send...); err != nil {
		return o.end(ctx, conversation, shown, &usageError{err: fmt.Errorf("--send: %w", err), hint: "give the path of a file or folder that can be read"})
	}
	feed()
	defer context.AfterFunc(ctx, conversation.Leave)()

	err := c.open()
	tell(conversation, sweep(o.download)) // a large folder takes a while, in which the two already meet
	if err == nil {
		err = conversation.Run(context.WithoutCancel(ctx), c.next)
		err = c.mail.last(ctx, err)
	}
	c.close()
	if o.over != nil {
		o.over()
	}
	return o.end(ctx, conversation, shown, c.ended(ctx, err))
}

// end tells the screen why the conversation failed, if err is not nil, and waits until the screen has ended
// and the outbox is closed. It adds their errors to err.
func (o *talkOptions) end(ctx context.Context, conversation *chat.Conversation, shown <-chan error, err error) error {
	if err != nil {
		_, code, _ := ending(err)
		conversation.Tell(screen.Failed{Code: code, Message: flatten(err)})
	}
	conversation.Close()
	for _, also := range []error{waitForScreen(ctx, shown), o.closeOutbox()} {
		if also != nil { // or else err stays as it is: report compares it
			err = errors.Join(err, also)
		}
	}
	return err
}

// recordCode notes in the outbox for which code the conversation is, before the first message: what was typed
// for one person must not be delivered to another.
func (o *talkOptions) recordCode(c *chat.Conversation) {
	switch {
	case o.outbox.resume != nil:
	case o.keeper.contact() != "":
		c.Keep(resumePoint{Server: o.named(), Contact: o.keeper.id()}.String())
	case o.code != (peer.Code{}):
		c.Keep(resumePoint{Server: o.named(), Again: peer.Resumption{Side: o.side, Typed: o.code}}.String())
	}
}

// resumeText returns what the outbox keeps to meet the other side of p again.
func (o *talkOptions) resumeText(p *peer.Pipe) string {
	if p.Foreign {
		return ""
	}
	o.outbox.guessed = false // the two sides have met
	if o.keeper.contact() != "" {
		return resumePoint{Server: o.named(), Contact: o.keeper.id()}.String()
	}
	return resumePoint{Server: o.named(), Again: p.Resumption()}.String()
}

// command returns the program's command for that side.
func command(side signaling.Side) string {
	if side == signaling.Caller {
		return "call"
	}
	return "answer"
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
