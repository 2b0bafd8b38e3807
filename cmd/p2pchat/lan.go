package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"p2pchat/chat"
	"p2pchat/signaling"
	"p2pchat/signaling/lan"
)

// Values of --lan.
const (
	auto   = "auto"
	always = "always"
	never  = "never"
)

const (
	lanPause    = 10 * time.Second // before a server of the local network is tried again
	maxLANTried = 64               // how many of them are remembered
)

// prepareLAN checks --lan, and turns it off where a person hides this machine's address.
func (o *talkOptions) prepareLAN() error {
	if err := checkChoice("lan", o.lan); err != nil {
		return err
	}
	hides := o.relayOnly || o.proxy.on(o.serverGiven, o.server) != ""
	switch {
	case o.lan == always && o.serverGiven && !o.serverSaved && os.Getenv(variable("server")) == "":
		return &usageError{err: errors.New("--lan always uses no server, but --server names one"), hint: "leave one of the two out"}
	case o.lan == always && hides:
		return &usageError{err: errors.New("--lan always shows this machine's address to the local network, which --relay-only or a proxy is meant to hide"), hint: "leave one of the two out; to go without a proxy: --proxy none"}
	case o.lan == always:
		o.server, o.serverGiven, o.serverSaved = defaultServer, false, false
	case hides:
		o.lan = never
	}
	return nil
}

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

// findOnLAN looks for the call on the local network until ctx ends. It returns nil if there is none.
func (c *connector) findOnLAN(ctx context.Context) *codeEntry {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var found *codeEntry
	c.mu.Lock()
	code := c.o.code
	c.mu.Unlock()
	lan.Find(ctx, code.Room, c.o.logger, func(at string) {
		if found == nil && c.mayMoveTo(at) {
			found = &codeEntry{code: code, server: at, same: true}
			cancel()
		}
	})
	if found != nil {
		c.conversation.Tell(chat.Notice{Text: "Found the call on your local network, at " + found.server + "."})
	}
	return found
}

// mayMoveTo reports whether this side should look for its call at a server of the local network. Neighbours may announce what they
// like, so they cannot draw it away from one that answers, and each of them gets one try in lanPause.
func (c *connector) mayMoveTo(server string) bool {
	fails := false
	c.outage.set(func(t *outage) { fails = t.server != nil })
	c.mu.Lock()
	defer c.mu.Unlock()
	if server == c.o.server || c.o.movedToLAN && !fails || time.Since(c.lanTried[server]) < lanPause {
		return false
	}
	if c.lanTried == nil || len(c.lanTried) >= maxLANTried {
		c.lanTried = map[string]time.Time{}
	}
	c.lanTried[server] = time.Now()
	return true
}

// announce announces the room of a call on the local network, if this program serves it.
func (o *talkOptions) announce(to *chat.Conversation, room string) {
	o.own.announce(room, func(err error) {
		to.Tell(chat.Notice{Text: fmt.Sprintf("The local network cannot be told of this call: %v. The other side needs the command with the address.", err)})
	})
}
