package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/lan"
)

// A when is the value of --lan or --stripes: one of the following.
type when string

const (
	auto   = "auto"
	always = "always"
	never  = "never"
)

// forFiles returns what a value of --stripes means for files.
func (w when) forFiles() chat.Stripes {
	switch w {
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
	maxLANTried = 64               // how many of them are remembered
)

// prepareLAN checks --lan, and turns it off where a person hides this machine's address.
func (o *talkOptions) prepareLAN() error {
	if err := checkChoice("lan", string(o.lan)); err != nil {
		return err
	}
	hidesAddress := o.relayOnly || o.proxy.wanted()
	switch {
	case o.lan == always && o.serverGiven && !o.serverSaved && os.Getenv(variable("server")) == "":
		return &usageError{err: errors.New("--lan always uses no server, but --server names one"), hint: "leave one of the two out"}
	case o.lan == always && hidesAddress:
		return &usageError{err: errors.New("--lan always shows this machine's address to the local network, which --relay-only or a proxy is meant to hide"), hint: "leave one of the two out; to go without a proxy: --proxy none"}
	case o.lan == always:
		o.server, o.serverGiven, o.serverSaved = defaultServer, false, false
	case hidesAddress:
		o.lan = never
	}
	return nil
}

// checkLAN returns an error if the two cannot meet as --lan always says, now that the other side is known.
func (o *talkOptions) checkLAN() error {
	newCode := o.side == signaling.Caller && o.code == peer.Code{}
	if o.lan != always || !o.serverGiven && o.keeper.contact() == "" && (newCode || o.code.Secret != "") {
		return nil
	}
	return &usageError{err: errors.New("--lan always needs a code that has a secret, without a server or a contact"), hint: "p2pchat call --lan always makes a code"}
}

// named returns the server that the person has named: where the two meet when this program has been started again.
func (o *talkOptions) named() string { return cmp.Or(o.home, o.server) }

// looksOnLAN reports whether an answerer looks for the call on the local network while it waits for a server.
func (o *talkOptions) looksOnLAN() bool {
	return o.lan != never && o.side == signaling.Callee && o.patience == signaling.Forever && o.code.Secret != ""
}

// fallsBackToLAN reports whether the two may meet on the local network because of err: the server that they name
// has never answered, and a person at a terminal sees it. A program that runs unattended ends instead, as its exit code promises.
func (o *talkOptions) fallsBackToLAN(err error) bool {
	return o.lan == auto && o.full && o.serverGiven && !onLoopback(o.server) && o.patience != signaling.Forever &&
		o.keeper.contact() == "" && !o.outbox.met() && errors.Is(err, signaling.ErrUnreachable) && (o.side == signaling.Caller || o.code.Secret != "")
}

// fallBackToLAN makes a caller serve the local network, and an answerer look there as well.
func (c *connector) fallBackToLAN(ctx context.Context) (*codeEntry, error) {
	server := c.o.server
	if c.o.side == signaling.Callee {
		c.conversation.Tell(chat.Notice{Text: server + " does not answer. Looking for the call on your local network, too."})
		return &codeEntry{code: c.o.code, same: true}, nil
	}
	own, err := c.o.own.startOnLAN(ctx)
	if err != nil {
		return nil, err
	}
	c.conversation.Tell(chat.Notice{Text: server + " does not answer. This program serves your local network until you leave."})
	return &codeEntry{code: c.o.code, server: own, same: true}, nil
}

// findOnLAN looks for the call on the local network until ctx ends, if this side should look there. It returns nil if there is none.
func (c *connector) findOnLAN(ctx context.Context) *codeEntry {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var found *codeEntry
	c.mu.Lock()
	code, looks := c.o.code, !c.connected && c.o.looksOnLAN()
	c.mu.Unlock()
	if !looks {
		return nil
	}
	lan.Find(ctx, code.Room, c.o.logger, func(at string) {
		if found == nil && c.mayMoveTo(at) {
			found = &codeEntry{code: code, server: at, same: true}
			cancel()
		}
	})
	return found
}

// mayMoveTo reports whether this side should look for its call at a server of the local network. Neighbours may announce what they
// like, so they cannot draw it away from a server that answers, and get one try in lanPause together.
func (c *connector) mayMoveTo(server string) bool {
	fails := false
	c.outage.set(func(t *outage) { fails = t.server != nil })
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.o.moved && c.o.lan == always // there is no other server
	if server == c.o.server || !fails && !first || time.Since(c.lanTried[server]) < lanAgain || time.Since(c.lanLast) < lanPause {
		return false
	}
	if c.lanTried == nil || len(c.lanTried) >= maxLANTried {
		c.lanTried = map[string]time.Time{}
	}
	c.lanLast = time.Now()
	c.lanTried[server] = c.lanLast
	return true
}

// announce announces the room of a call on the local network, if this program serves it.
func (o *talkOptions) announce(to *chat.Conversation, room string) {
	o.own.announce(room, func(err error) {
		to.Tell(chat.Notice{Text: fmt.Sprintf("The local network cannot be told of this call: %v. The other side needs the command with the address.", err)})
	})
}
