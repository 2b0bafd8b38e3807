package main

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
)

const (
	homeAfter = 2 * time.Second  // without an answer of the local network's server, until the server of the call is tried: before visitEnds
	homeAgain = 10 * time.Second // between two tries of a side whose current server does not fail
)

// isAway reports whether the call has moved to the local network from a server that this side can ask whether it answers again. A server
// on loopback is another one on each machine, so the two cannot agree on it.
func (o *talkOptions) isAway() bool {
	return o.moved && o.server != o.named() && !onLoopback(o.named())
}

// findElsewhere looks until ctx ends for a server where the call goes on: on the local network, or the one from which it has moved there,
// or back from that one. It returns nil if there is none.
func (c *connector) findElsewhere(ctx context.Context) (found *lanMove) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var again string
	var late *lanMove
	wg.Go(func() {
		if late = c.serveLate(ctx); late != nil {
			cancel()
		}
	})
	wg.Go(func() {
		if again = cmp.Or(c.findHome(ctx), c.findBack(ctx)); again != "" {
			cancel()
		}
	})
	if found = c.findOnLAN(ctx); found != nil {
		cancel()
	}
	wg.Wait()
	switch {
	case found != nil:
		return found
	case again != "":
		return &lanMove{codeEntry{code: c.o.code, server: again, same: true}, again + " answers again. The call goes on there."}
	}
	return late
}

// serveLate waits until the server that the person named has not answered for a while, and then serves the local network, where the other
// side looks by then. It returns nil if ctx ends before, or this side serves no one.
func (c *connector) serveLate(ctx context.Context) *lanMove {
	c.mu.Lock()
	goesOn := c.connected && c.o.keeper.contact() == "" // in a room that the other side does not look for: see maySeekOnLAN
	c.mu.Unlock()
	if goesOn || !c.o.servesLate() || !c.fallsSilent(ctx) {
		return nil
	}
	own, err := c.o.own.startOnLAN(ctx)
	if err != nil {
		c.o.logger.Info("the local network cannot be served", "why", err)
		return nil
	}
	return &lanMove{codeEntry{code: c.o.code, server: own, same: true}, c.o.server + servesNowText}
}

// findHome waits until the call should go on at the server from which it has moved to the local network, and returns that server: it
// answers again, and the local network's does not. The one who serves the local network goes back, too: the other side may wait at the
// server, because it has the code without this program's address, was started again, or could not reach this one for a while. It returns ""
// if ctx ends before.
func (c *connector) findHome(ctx context.Context) string {
	if !c.o.isAway() {
		return ""
	}
	home := c.o.named()
	for ctx.Err() == nil {
		if onLoopback(c.o.server) {
			select {
			case <-time.After(homeAgain):
			case <-ctx.Done():
			}
		} else if !c.fails(ctx, homeAfter) {
			return ""
		}
		if c.answers(ctx, home) {
			return home
		}
	}
	return ""
}

// findBack waits until the call should go on again at the server of the local network at which the two have met, and which this side has
// left for the call's own: it answers, so the other side has not left it. It returns "" if ctx ends before.
func (c *connector) findBack(ctx context.Context) string {
	c.mu.Lock()
	met := c.lanMet
	c.mu.Unlock()
	for met != "" && c.o.server == c.o.named() && ctx.Err() == nil {
		select {
		case <-time.After(homeAgain):
		case <-ctx.Done():
		}
		if c.answers(ctx, met) {
			c.mu.Lock()
			c.lanTrial = met // a stranger may serve there by now
			c.mu.Unlock()
			return met
		}
	}
	return ""
}

// leaveLAN ends what this side did for its call on the local network, if the call does not go on at its own server.
func (o *talkOptions) leaveLAN() {
	switch {
	case o.visits():
		o.own.stopAnnouncing()
	case o.moved && o.server == o.named():
		o.own.retire() // the other side, if it waits there, goes back, too
	}
}

// fallsSilent waits until nothing has answered at the server for lanLate, and returns false if ctx ends before. Requests may fail for long
// at a server that answers: with a certificate that is refused, or a proxy whose server has stopped.
func (c *connector) fallsSilent(ctx context.Context) bool {
	for c.fails(ctx, lanLate) {
		if errors.Is(c.ping(ctx, c.o.server), signaling.ErrNoReply) {
			return true
		}
	}
	return false
}

// answers reports whether a server answers.
func (c *connector) answers(ctx context.Context, server string) bool {
	return c.ping(ctx, server) == nil
}

// ping asks a server, whatever the Session's requests have met there.
func (c *connector) ping(ctx context.Context, server string) error {
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	at, unused := signaling.Config{Patience: pingPatience, Log: c.o.logger, Control: peer.AvoidDeadLink}, peer.Config{}
	if err := c.o.proxy.connect(c.o.serverGiven, server, &at, &unused); err != nil {
		return err
	}
	client, err := signaling.NewClient(server, at)
	if err != nil {
		return err
	}
	defer client.CloseIdle()
	_, err = client.Ping(ctx)
	return err
}
