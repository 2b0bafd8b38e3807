package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

const (
	connectLimit  = 15 * time.Second      // from both descriptions to an open channel
	connectNotice = 3 * time.Second       // until a person is told what is being tried
	forceInterval = 50 * time.Millisecond // between the first checks (RFC 8445, section 14, has 50 ms, too)
	forcedChecks  = 40
	deferredWait  = relayWait / 2 // delays unlikely candidates, until before a relay is taken
)

// errRoomClosed is ErrWrongCode where the caller may also have hung up.
var errRoomClosed = fmt.Errorf("%w, or the caller has just hung up: the room is closed", ErrWrongCode)

// A clock says when an attempt is due for something. Its channels are nil before both descriptions are there.
type clock struct {
	limit, notice, force, deferred <-chan time.Time
	forced                         int              // checks
	reply                          <-chan time.Time // the answer has waited for candidates long enough
}

func (c *clock) start() {
	c.limit, c.notice, c.deferred = time.After(connectLimit), time.After(connectNotice), time.After(deferredWait)
	c.force = time.Tick(forceInterval)
}

// A post is what a callback of pion, or a goroutine that reads or writes at the Store, has for run.
type post interface {
	// handle returns the Pipe if the two are connected, or an error if the attempt has failed.
	handle(ctx context.Context, a *attempt) (*Pipe, error)
}

// run handles posts until the channel is open, a newer offer is there to answer
// instead, or the attempt has failed. Some errors come with a newer offer.
func (a *attempt) run(ctx context.Context, newer <-chan offer, closed <-chan struct{}) (*Pipe, *offer, error) {
	for {
		p, err := a.step(ctx, newer, closed)
		switch {
		case p != nil:
			return p, nil, nil // a newer offer came too late
		case err != nil || a.superseded:
			return nil, a.newer, err
		}
		a.queueBatch()
		if !a.begun.IsZero() && a.bothProven() {
			a.phases.end(phaseTrust)
		}
	}
}

// step waits for one thing, and handles it.
func (a *attempt) step(ctx context.Context, newer <-chan offer, closed <-chan struct{}) (*Pipe, error) {
	if !a.published || !a.unproven() {
		closed = nil // it says nothing about the code
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case o := <-newer:
		a.replaced(ctx, o)
	case <-closed:
		return nil, a.roomLost(ctx, signaling.ErrClosed)
	case <-a.clock.notice:
		a.report(Trying{This: a.local.kinds.String(), Other: a.remote.kinds.String()})
		if a.published && a.unproven() {
			a.wg.Go(func() { a.lookAgain(ctx) })
		}
	case <-a.clock.limit:
		return nil, a.unmet()
	case <-a.clock.force:
		a.forceChecks()
	case <-a.clock.deferred:
		a.releaseDeferred()
	case <-a.clock.reply:
		a.sendReply()
	case p := <-a.posts:
		return p.handle(ctx, a)
	}
	return nil, nil
}

// replaced handles a newer offer. If the caller has not proven yet that it knows the code, the answer was turned
// down, or came too late: only the token tells the two apart.
func (a *attempt) replaced(ctx context.Context, o offer) {
	o.handled()
	first := a.newer == nil
	a.newer = &o
	switch {
	case !a.unproven():
		a.superseded = true
	case first && a.published:
		a.wg.Go(func() { a.lookAgain(ctx) })
	}
}

// published is posted when this side's description was written.
type published struct{ err error }

func (p published) handle(ctx context.Context, a *attempt) (*Pipe, error) {
	switch {
	case p.err != nil:
		return nil, p.err
	case a.ticket.Side == signaling.Caller:
		a.report(Waiting{a.code, a.resumption})
		a.wg.Go(func() { a.readAnswer(ctx) })
		a.wg.Go(func() { a.readCandidates(a.life, a.ticket) })
	case a.newer != nil:
		a.wg.Go(func() { a.lookAgain(ctx) })
	}
	a.published = true
	if a.closed != nil {
		return nil, a.roomLost(ctx, a.closed)
	}
	return nil, nil
}

// lookedAgain is posted when the Store has said whether this side was turned down, or the room was closed.
type lookedAgain struct{ err error }

func (l lookedAgain) handle(ctx context.Context, a *attempt) (*Pipe, error) {
	if l.err != nil {
		if err := a.roomLost(ctx, l.err); err != nil {
			return nil, err
		}
	}
	a.superseded = a.newer != nil
	return nil, nil
}

// roomLost is posted when this side can no longer read or write in the room.
type roomLost struct{ err error }

func (l roomLost) handle(ctx context.Context, a *attempt) (*Pipe, error) {
	return nil, a.roomLost(ctx, l.err)
}

// roomLost returns why the attempt has failed without the room, or nil if it goes on without it.
func (a *attempt) roomLost(ctx context.Context, why error) error {
	switch {
	case a.begun.IsZero():
		return why
	case a.unproven() && errors.Is(why, signaling.ErrTurnedDown):
		return a.turnedDown(ctx)
	case a.unproven() && a.code.Secret != "" && (errors.Is(why, signaling.ErrClosed) || errors.Is(why, signaling.ErrNoRoom)):
		// ErrNoRoom: the room was closed before this side's reads were there, which wait for a room to appear. The write
		// of its candidates shows that, or lookAgain.
		if !a.published { // the Store has the answer, perhaps, and its reply is on the way
			a.closed = why
			return nil
		}
		return errRoomClosed
	}
	// With both descriptions, the two may find each other all the same.
	a.log.Info("connecting without further news from the server", "why", why)
	return nil
}

// turnedDown returns why the caller has replaced its offer: ErrWrongCode, or errUnread if the newer offer says so. It returns nil if
// that offer has to be read first.
func (a *attempt) turnedDown(ctx context.Context) error {
	if a.newer == nil {
		a.wg.Go(func() { a.readNewer(ctx) })
		return nil
	}
	return whyReplaced(a.newer.description)
}

// newerRead is posted when the offer was read that has replaced the one that this side has answered.
type newerRead struct{ signaling.Description }

func (n newerRead) handle(context.Context, *attempt) (*Pipe, error) {
	return nil, whyReplaced(n.Description)
}

func whyReplaced(newer signaling.Description) error {
	var d document
	if len(newer) <= maxDescription && json.Unmarshal(newer, &d) == nil && d.P2PChat != nil && d.P2PChat.Unread {
		return errUnread
	}
	return ErrWrongCode
}

// stateChanged is posted when the PeerConnection has another state.
type stateChanged webrtc.PeerConnectionState

func (s stateChanged) handle(_ context.Context, a *attempt) (*Pipe, error) {
	switch webrtc.PeerConnectionState(s) {
	case webrtc.PeerConnectionStateConnected:
		a.first.Stop()
		return nil, nil
	case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
	default:
		return nil, nil
	}
	switch a.pc.ICEConnectionState() {
	case webrtc.ICEConnectionStateConnected, webrtc.ICEConnectionStateCompleted:
		return nil, fmt.Errorf("%w: the encryption between them could not be set up", ErrNoPath)
	default:
		return nil, a.noAnswer("none of their addresses answered")
	}
}

// noAnswer returns ErrNoPath with what happened. It wraps the error of the sockets that were to be the addresses of this side, too.
func (a *attempt) noAnswer(what string) error {
	if a.noSocket != nil {
		return fmt.Errorf("%w: this side has no address: %w", ErrNoPath, a.noSocket)
	}
	return fmt.Errorf("%w: %s (%s)", ErrNoPath, what, a.tried())
}

// tried says which addresses an attempt had.
func (a *attempt) tried() string {
	return fmt.Sprintf("this side gave %s; the other side %s", a.local.kinds, a.remote.kinds)
}
