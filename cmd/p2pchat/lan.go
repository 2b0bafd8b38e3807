package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/lan"
)

// A choice is the value of --lan or --stripes: one of the following.
type choice string

const (
	auto   = "auto"
	always = "always"
	never  = "never"
)

// forFiles returns what a value of --stripes means for files.
func (c choice) forFiles() chat.Stripes {
	switch c {
	case always:
		return chat.StripesAlways
	case never:
		return chat.StripesNever
	default:
		return chat.StripesAuto
	}
}

const (
	lanPause    = time.Second      // between two servers of the local network that are tried
	lanAgain    = 10 * time.Second // before one of them is tried again
	lanHeard    = 5 * time.Second  // how long a server that was heard of may be tried: the next search hears of it again
	maxLANTried = 64               // how many of them are remembered
	lanLate     = 8 * time.Second  // without an answer of the server that the person named, until an answerer looks there, and a caller serves: after signaling.Config.Patience
	visitEnds   = 3 * time.Second  // without an answer of a contact's server, until this program waits at its own again
)

// checkLANChoice checks --lan, and turns it off where a person hides this machine's address.
func (o *talkOptions) checkLANChoice() error {
	if err := checkChoice("lan", string(o.lan)); err != nil {
		return err
	}
	switch hidesAddress := o.relayOnly || o.proxy.wanted(); {
	case o.lan == always && hidesAddress:
		return &usageError{err: errors.New("--lan always shows this machine's address to the local network, which --relay-only or a proxy is meant to hide"), hint: "leave one of the two out; to go without a proxy: --proxy none"}
	case hidesAddress:
		o.lan = never
	}
	return nil
}

// prepareLAN checks --lan, which names the server if the two always meet on the local network.
func (o *talkOptions) prepareLAN() error {
	if err := o.checkLANChoice(); err != nil || o.lan != always {
		return err
	}
	if o.serverGiven && !o.serverSaved && os.Getenv(variable("server")) == "" {
		return &usageError{err: errors.New("--lan always uses no server, but --server names one"), hint: "leave one of the two out"}
	}
	o.server, o.serverGiven, o.serverSaved = defaultServer, false, false
	return nil
}

// checkLAN returns an error if the two cannot meet as --lan always says, now that the other side is known.
func (o *talkOptions) checkLAN() error {
	newCode := o.side == signaling.Caller && o.code == peer.Code{}
	if o.lan != always || !o.serverGiven && (newCode || o.isRecognised()) {
		return nil
	}
	return &usageError{err: errors.New("--lan always needs a contact, or a code that has a secret, without a server"), hint: "p2pchat call --lan always makes a code"}
}

// named returns the server that the person has named: where the two meet when this program has been started again.
func (o *talkOptions) named() string { return cmp.Or(o.home, o.server) }

// keyHere returns the access key, unless the call goes on at another server than the person has named.
func (o *talkOptions) keyHere() string {
	if o.server != o.named() {
		return ""
	}
	return o.key
}

// isRecognised reports whether the two can recognise each other on a local network, and then prove who they are.
func (o *talkOptions) isRecognised() bool { return o.code.Secret != "" || o.keeper.contact() != "" }

// looksOnLAN reports whether this side looks for the call on the local network: an answerer while it waits for a server, and of two
// contacts who both call the one who answers then.
func (o *talkOptions) looksOnLAN() bool {
	if o.lan == never || !o.isRecognised() {
		return false
	}
	if o.side == signaling.Callee {
		return o.patience == signaling.Forever || o.looksLate()
	}
	return o.keeper.contact() != "" && o.keeper.keys().Side.Yields() && o.own.servesLAN()
}

// looksLate reports whether an answerer looks for the call on the local network once the server that the person named has stopped: that
// is, where fallsBackToLAN would allow it, had the server never answered.
func (o *talkOptions) looksLate() bool {
	return o.lan == auto && o.full && o.serverGiven && !onLoopback(o.server) && o.patience != signaling.Forever
}

// visits reports whether this side calls, and has found the call of its contact at that contact's server, because both call.
func (o *talkOptions) visits() bool {
	return o.side == signaling.Caller && o.moved && o.server != o.named() && !onLoopback(o.server)
}

// fallsBackToLAN reports whether the two may meet on the local network because of err: nothing has ever answered at the server that they
// name, and a person at a terminal sees it. A server whose certificate is refused has answered: going on without it would hide that. A
// program that runs unattended ends instead, as its exit code promises.
func (o *talkOptions) fallsBackToLAN(err error) bool {
	return o.lan == auto && o.full && o.incoming == nil && o.serverGiven && !onLoopback(o.server) && o.patience != signaling.Forever &&
		!o.outbox.met() && errors.Is(err, signaling.ErrNoReply) && (o.side == signaling.Caller || o.isRecognised())
}

// fallBackToLAN makes a caller serve the local network, and an answerer look there as well.
func (c *connector) fallBackToLAN(ctx context.Context) (*codeEntry, error) {
	server := c.o.server
	if c.o.side == signaling.Callee {
		c.conversation.Tell(chat.Notice{Text: c.o.lateText()})
		return &codeEntry{code: c.o.code, same: true}, nil
	}
	own, err := c.o.own.startOnLAN(ctx)
	if err != nil {
		return nil, err
	}
	c.conversation.Tell(chat.Notice{Text: server + servesNowText})
	return &codeEntry{code: c.o.code, server: own, same: true}, nil
}

// servesNowText follows the server that does not answer.
const servesNowText = " does not answer. This program serves your local network for now."

// servesLate reports whether a caller serves the local network once the server that the person named has stopped: that is, where
// fallsBackToLAN would allow it, had the server never answered.
func (o *talkOptions) servesLate() bool {
	return o.side == signaling.Caller && o.lan == auto && o.full && o.incoming == nil && o.serverGiven && o.server == o.named() && !onLoopback(o.server)
}

// lateText says that an answerer looks on the local network because its server does not answer.
func (o *talkOptions) lateText() string {
	return o.server + " does not answer. Looking for the call on your local network, too."
}

// A lanMove says where a call goes on, and what a person should know of it.
type lanMove struct {
	to   codeEntry
	text string
}

// findOnLAN looks for the call on the local network until ctx ends, if this side should look there, and leaves a server of that network at
// which the call is not. It returns nil if the call stays. A contact is looked for after a loss, too: its program may have been started
// again, and serve at another port.
func (c *connector) findOnLAN(ctx context.Context) *lanMove {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	code, onTrial, looks := c.looksOnLAN(ctx)
	if !looks && !onTrial {
		return nil
	}
	found := make(chan lanMove, 1)
	move := func(server, text string) {
		select {
		case found <- lanMove{codeEntry{code: code, server: server, same: true}, text}:
		default: // the other one was faster
		}
		cancel()
	}
	var wg sync.WaitGroup
	if c.o.visits() {
		wg.Go(func() {
			if own, err := c.o.own.startOnLAN(ctx); c.fails(ctx, visitEnds) && err == nil {
				move(own, lanGoneText)
			}
		})
	}
	if onTrial {
		wg.Go(func() {
			if back := c.endTrial(ctx); back != "" {
				move(back, c.unprovenText())
			}
		})
	}
	if looks {
		c.look(ctx, &wg, code, move)
	}
	wg.Wait()
	select {
	case m := <-found:
		return &m
	default:
		return nil
	}
}

// look looks for servers that announce the call until ctx ends, and moves to one to which this side may move.
func (c *connector) look(ctx context.Context, wg *sync.WaitGroup, code peer.Code, move func(server, text string)) {
	heard := make(chan string, maxLANTried)
	wg.Go(func() {
		if server := c.chooseOnLAN(ctx, heard); server != "" {
			move(server, "Found the call on your local network, at "+server+".")
		}
	})
	lan.Find(ctx, c.sought(code), c.o.logger, func(_, at string) {
		select {
		case heard <- at:
		default: // the next search finds it
		}
	})
}

// endTrial waits for as long as a server of the local network has until the other side has proven there that it calls: a neighbour
// may repeat what the other side announces, and have a server that answers. It returns where this side waits again, or "" if ctx ends before.
func (c *connector) endTrial(ctx context.Context) (back string) {
	trial := time.NewTimer(provingOnLAN)
	defer trial.Stop()
	select {
	case <-trial.C:
	case <-ctx.Done():
		return ""
	}
	back = c.o.named()
	if c.o.side == signaling.Caller {
		own, err := c.o.own.startOnLAN(ctx)
		if err != nil {
			return ""
		}
		back = own
	}
	return back
}

// maySeekOnLAN reports whether this side looks for the call on the local network while it waits. After a loss, only a contact is looked for:
// what a caller with a code announces then is another room.
func (c *connector) maySeekOnLAN() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return (!c.connected || c.o.keeper.contact() != "") && c.o.looksOnLAN()
}

// looksOnLAN returns the code of the call, whether this side has moved to a server where it is not proven that the call is there, and
// whether to look for the call on the local network, perhaps after its server has stopped.
func (c *connector) looksOnLAN(ctx context.Context) (code peer.Code, onTrial, looks bool) {
	looks = c.maySeekOnLAN()
	c.mu.Lock()
	code, onTrial = c.o.code, c.lanTrial != "" && c.lanTrial == c.o.server
	c.mu.Unlock()
	if looks && c.o.looksLate() {
		if looks = c.fallsSilent(ctx); looks {
			c.conversation.Tell(chat.Notice{Text: c.o.lateText()})
		}
	}
	return code, onTrial, looks
}

// chooseOnLAN waits for a server that was heard of and to which this side may move, perhaps later than it was heard of: this side's own
// server may not have failed then. It returns "" if ctx ends before.
func (c *connector) chooseOnLAN(ctx context.Context, heard <-chan string) string {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	servers := map[string]time.Time{}
	for {
		select {
		case s := <-heard:
			if _, known := servers[s]; known || len(servers) < maxLANTried {
				servers[s] = time.Now()
			}
		case <-tick.C:
		case <-ctx.Done():
			return ""
		}
		maps.DeleteFunc(servers, func(_ string, at time.Time) bool { return time.Since(at) > lanHeard })
		if s := c.longestUntried(servers); s != "" && c.mayMoveTo(s) {
			return s
		}
	}
}

// longestUntried returns that server which was not tried for the longest time, or "" if there is none: no neighbour can
// push the other side's server aside by being heard more often.
func (c *connector) longestUntried(servers map[string]time.Time) (best string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range servers {
		if s != c.o.server && (best == "" || c.lanTried.last(s).Before(c.lanTried.last(best))) {
			best = s
		}
	}
	return best
}

// A serverLog has times, by the URLs of servers on the local network. Hosts alone would not do: a neighbour may announce the other side's own
// address with a port of its choice.
type serverLog struct{ at map[string]time.Time }

// note notes that something was now. Of too many servers, it forgets the oldest.
func (l *serverLog) note(server string) {
	if l.at == nil {
		l.at = map[string]time.Time{}
	}
	l.at[server] = time.Now()
	if len(l.at) <= maxLANTried {
		return
	}
	oldest := server
	for s, at := range l.at {
		if at.Before(l.at[oldest]) {
			oldest = s
		}
	}
	delete(l.at, oldest)
}

// last returns when that was, or the zero Time.
func (l *serverLog) last(server string) time.Time { return l.at[server] }

func (l *serverLog) forget(server string) { delete(l.at, server) }

// sought returns what returns the beacons of the call that this side looks for.
func (c *connector) sought(code peer.Code) func() []string {
	if k := c.o.keeper; k.contact() != "" {
		return func() []string { return k.keys().Beacons(time.Now()) }
	}
	return func() []string { return []string{code.Room} }
}

// fails waits until the server has not answered for so long, and returns false if ctx ends before.
func (c *connector) fails(ctx context.Context, long time.Duration) bool {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for answered := time.Now(); time.Since(answered) < long; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
		c.outage.set(func(t *outage) {
			if t.server == nil {
				answered = time.Now()
			}
		})
	}
	return true
}

const lanGoneText = "The call on your local network is gone. This program serves your local network for now."

// unprovenText says that a server of the local network does not have the call.
func (c *connector) unprovenText() string {
	text := "The other side does not call at " + c.o.server + ". "
	if c.o.side == signaling.Caller {
		return text + "This program serves your local network for now."
	}
	return text + "Looking for the call again."
}

// mayMoveTo reports whether this side should look for its call at a server of the local network. Neighbours may announce what they
// like, so they cannot draw it away from a server that answers, unless it is this program's own, and get one try in lanPause together.
func (c *connector) mayMoveTo(server string) bool {
	fails := false
	c.outage.set(func(t *outage) { fails = t.server != nil })
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.o.moved && c.o.lan == always // there is no other server
	own := c.o.side == signaling.Caller && !c.o.visits()
	if server == c.o.server || !fails && !first && !own || time.Since(c.lanTried.last(server)) < lanAgain || time.Since(c.lanLast) < lanPause {
		return false
	}
	c.lanLast, c.lanTrial = time.Now(), server
	c.lanTried.note(server)
	return true
}

// announce announces a call on the local network, if this program serves it, and the call is there.
func (o *talkOptions) announce(to *chat.Conversation, code peer.Code) {
	if o.visits() {
		return
	}
	call, beacons := code.Room, func() []string { return []string{code.Room} }
	if k := o.keeper; k.contact() != "" {
		call, beacons = contactMark, func() []string { return k.keys().OwnBeacons(time.Now()) }
	}
	o.own.announce(call, beacons, func(err error) {
		to.Tell(chat.Notice{Text: fmt.Sprintf("The local network cannot be told of this call: %v. The other side needs the command with the address.", err)})
	})
}
