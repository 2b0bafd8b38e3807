package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"p2pchat/chat"
	"p2pchat/chat/screen"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// An outage is what currently keeps the two sides from meeting.
type outage struct {
	mu     sync.Mutex // guards what follows
	server error      // from requests to the server; nil while it answers
	last   error      // the latest of them; nil before the first
	path   error      // of the attempt to connect the two machines; nil without one
	open   bool       // the other side can come: the room is open, or this side watches it
}

func (t *outage) set(update func(*outage)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	update(t)
}

// cause returns the error to report when the time of --wait is over: the current outage, or late if there is
// none.
func (t *outage) cause(o *talkOptions, late error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.path != nil && brokenHint(t.last) != "": // then that is why: the other side's addresses were not read
		return t.last
	case t.path != nil:
		return t.path
	case t.server != nil && o.patience == signaling.Forever:
		return fmt.Errorf("%w: there was no server at %s", errAbsent, o.server)
	case t.server != nil:
		return t.server
	case !t.open:
		return unopenedError{t, o.server}
	}
	return late
}

// serverAway returns the address of the server while it does not answer; else it is empty.
func (t *outage) serverAway(o *talkOptions) (address string) {
	t.set(func(t *outage) {
		if t.server != nil {
			address = o.server
		}
	})
	return address
}

// An unopenedError says why the room could not be opened in time. The server may wait for its store, and say so only when this program
// closes the room: after the time of --wait.
type unopenedError struct {
	outage *outage
	server string
}

func (e unopenedError) Error() string { return e.Unwrap().Error() }

func (e unopenedError) Unwrap() (err error) {
	e.outage.set(func(t *outage) { err = t.last })
	return atServer(e.server, cmp.Or(err, fmt.Errorf("%w: it did not answer in time", signaling.ErrUnreachable)))
}

// report returns a function that tells the screen of the session's events, and notes outages. Two sides that have met need no code.
func (o *talkOptions) report(to *chat.Conversation, now *outage, met func() bool) func(peer.Event) {
	waited := false
	return func(e peer.Event) {
		switch e := e.(type) {
		case peer.Waiting:
			o.announce(to, e.Code)
			if !waited && !met() { // not again after a server was restarted
				to.Tell(o.waitingFor(to, e))
			}
			waited = true
			now.set(func(t *outage) { t.open = true })
		case peer.NoCall:
			o.tellNoCall(to, e.Code)
		case peer.Connecting:
			now.set(func(t *outage) { t.path = cmp.Or(t.path, fmt.Errorf("%w in time", peer.ErrNoPath)) })
			to.Tell(screen.Connecting{})
		case peer.Taken:
			now.set(func(t *outage) { t.path = nil })
			to.Tell(screen.Taken{})
		case peer.WrongCode:
			now.set(func(t *outage) { t.path = nil })
			to.Tell(screen.WrongCode{Left: e.Left})
		case peer.Burnt:
			to.Tell(chat.Notice{Text: "Three wrong codes were tried, so the code no longer works. The program that you were connected to can still come back."})
		case peer.Retrying:
			now.set(func(t *outage) {
				if t.path = nil; errors.Is(e.Err, peer.ErrNoPath) {
					t.path = e.Err
				}
			})
			to.Tell(chat.Notice{Text: e.Err.Error() + ". Trying again."})
		case peer.Trying:
			to.Tell(chat.Notice{Text: "Still connecting. This side offers " + e.This + "; the other side " + e.Other + "."})
		case peer.Stats:
			theProcessors.look()
			to.Tell(screen.Stats{RTT: e.RTT})
		}
	}
}

// tellNoCall tells that nobody is calling with a code, and where the call may be.
func (o *talkOptions) tellNoCall(to *chat.Conversation, code peer.Code) {
	if o.keeper.contact() != "" {
		return // a contact mistypes no code
	}
	to.Tell(o.noCall(code))
}

// waitingFor returns what a person should know while the other side can come, and notes in the outbox how to go on waiting.
func (o *talkOptions) waitingFor(to *chat.Conversation, e peer.Waiting) screen.Waiting {
	if name := o.keeper.contact(); name != "" {
		return screen.Waiting{Contact: name, Answering: o.side == signaling.Callee}
	}
	to.Keep(resumePoint{Server: o.named(), Again: e.Resumption}.String())
	return o.waiting(e.Code)
}

// waiting returns what a person should know while the other side can come.
func (o *talkOptions) waiting(code peer.Code) screen.Waiting {
	w := screen.Waiting{Code: code.String(), Command: o.invite(code), Answering: o.side == signaling.Callee, Lobby: code == peer.Code{Room: signaling.Lobby}, Here: onLoopback(o.shared())}
	if !w.Answering { // the link opens the page, which answers
		w.Link = strings.TrimRight(o.shared(), "/") + "/#" + code.String()
	}
	return w
}

// noCall returns what an answerer should know while no call is open. The lobby has no code to mistype.
func (o *talkOptions) noCall(code peer.Code) screen.NoCall {
	n := screen.NoCall{Room: code.Room, Here: onLoopback(o.server)}
	if code == (peer.Code{Room: signaling.Lobby}) {
		n.Command = o.invite(code)
	}
	if o.isElsewhere(code) {
		n.Hints = append(n.Hints, elsewhereText)
	}
	if o.mayBeOnLAN(code) {
		n.Hints = append(n.Hints, onLANText+quoted(code.String())+" --lan always")
	}
	return n
}

// elsewhereText tells an answerer who has named no server what a code like 417-falcon-zebra may need.
const elsewhereText = "If the call is on another server, paste the link or the whole command that the caller sees, or name that server: --server URL."

// isElsewhere reports whether the call with the code is probably on another server: only the default server is
// known here, and its calls are in the lobby unless the caller named a room.
func (o *talkOptions) isElsewhere(code peer.Code) bool {
	return !o.serverGiven && code.IsGenerated()
}

// onLANText tells an answerer whose server answers, and who therefore does not look on the local network, how to do so: a neighbour must
// not learn of calls that have a server. The code follows, and --lan always.
const onLANText = "If the caller's program serves your local network (p2pchat call --lan always), leave and run: p2pchat answer "

// mayBeOnLAN reports whether the call with the code may be on the local network, where this side does not look while its server answers,
// and a person is there who can look.
func (o *talkOptions) mayBeOnLAN(code peer.Code) bool {
	return o.prompts && o.lan == auto && o.serverGiven && !o.moved && code.Secret != ""
}

// serverNotice returns the state of the server: err, or that it answers again. looks says whether this side looks on the local network as well, and
// met that the two have been connected.
func (o *talkOptions) serverNotice(err error, looks, met bool) string {
	p := signaling.Problem{}
	switch {
	case err == nil:
		return "the server answers"
	case o.patience == signaling.Forever:
		return o.waitingNotice(looks, met)
	case errors.As(err, &p): // its detail says what a person should do, but this program does it
		err = errors.New(p.Title)
	}
	if isProxyFailure(err) {
		return fmt.Sprintf("%v; trying again", err)
	}
	return fmt.Sprintf("%s: %v; trying again", o.server, err)
}

// waitingNotice returns what a person should know who waits for a server for as long as it takes. looks and met are those of serverNotice.
func (o *talkOptions) waitingNotice(looks, met bool) string {
	text, elsewhere := "waiting for a server at "+o.server, !met && o.isElsewhere(o.code)
	switch {
	case o.lan == always && looks:
		return "looking for the call on your local network"
	case o.server != o.named() && !looks:
		return text + ": the other side's program serves there"
	case elsewhere && looks:
		return text + ", and looking on your local network. " + elsewhereText
	case elsewhere:
		return text + ". " + elsewhereText
	case looks:
		return text + ", and looking on your local network"
	case o.server != defaultServer:
		return text + ": 'p2pchat serve' has to run there"
	}
	return text + " ('p2pchat call' or 'p2pchat serve' starts one)"
}

// tellOutage tells that requests to the server fail, or are answered again. While the two are connected the person needs no server: then
// wait tells of an outage that lasts.
func (c *connector) tellOutage(text string, begins bool) {
	c.mu.Lock()
	held := !c.waiting
	c.unheard = ""
	if held && begins {
		c.unheard = text
	}
	c.mu.Unlock()
	if !held {
		c.conversation.Tell(chat.Notice{Text: text})
	}
}

// tellUnheard tells of an outage that began while the two were connected, if it lasts.
func (c *connector) tellUnheard() {
	c.mu.Lock()
	text := c.unheard
	c.unheard = ""
	c.mu.Unlock()
	if text != "" {
		c.conversation.Tell(chat.Notice{Text: text})
	}
}

// clockNotice returns what a person should know whose clock is so far ahead of the server's that contacts may not be met, or "".
func clockNotice(server string, ahead time.Duration) string {
	way := "ahead of"
	if ahead < 0 {
		way = "behind"
	}
	hours := ahead.Abs().Round(time.Hour).Hours()
	if hours < 2 { // contacts meet if their clocks are in the same hour, or in one and the next
		return ""
	}
	return fmt.Sprintf("this machine's clock is %.0f hours %s that of %s. Contacts meet by the clock: if yours is wrong, set it, or they cannot reach you", hours, way, server)
}

// tell shows a notice, unless it is empty.
func tell(conversation *chat.Conversation, notice string) {
	if notice != "" {
		conversation.Tell(chat.Notice{Text: notice})
	}
}

// sweep removes unfinished files of killed programs from dir, and returns a sentence about them, or "".
func sweep(dir string) string {
	switch n := chat.Sweep(dir); n {
	case 0:
		return ""
	case 1:
		return "Removed 1 unfinished file from the download folder: its program had been killed."
	default:
		return fmt.Sprintf("Removed %d unfinished files from the download folder: their programs had been killed.", n)
	}
}
