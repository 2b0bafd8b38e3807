package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// connectLimit is how long an attempt may take, from both descriptions to an open channel.
const connectLimit = 15 * time.Second

// connectNotice is after how long a person is told what is being tried.
const connectNotice = 3 * time.Second

// run handles what is posted until the channel is open, a newer offer is there to answer
// instead, or the attempt has failed. Some errors come with a newer offer.
func (a *attempt) run(ctx context.Context, newer <-chan offer, closed <-chan struct{}) (*Pipe, *offer, error) {
	var limit, slow, hurry, far <-chan time.Time
	for {
		if limit == nil && !a.begun.IsZero() {
			timer, notice, ticker, wait := time.NewTimer(connectLimit), time.NewTimer(connectNotice), time.NewTicker(hurryInterval), time.NewTimer(farWait)
			defer timer.Stop()
			defer notice.Stop()
			defer ticker.Stop()
			defer wait.Stop()
			limit, slow, hurry, far = timer.C, notice.C, ticker.C, wait.C
		}
		if a.hurried == hurries {
			hurry = nil
		}
		var p *Pipe
		var err error
		var gone <-chan struct{}
		if a.published && a.unproven() {
			gone = closed
		}
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case o := <-newer:
			if !a.unproven() {
				return nil, &o, nil
			}
			a.replaced(ctx, o)
		case <-gone:
			err = a.lost(signaling.ErrClosed)
		case <-slow:
			a.report(Trying{This: a.ways[0].String(), Other: a.ways[1].String()})
		case <-limit:
			err = a.unmet()
		case <-hurry:
			a.hurry()
		case <-far:
			a.patient = true
			a.tellLate()
			a.tryFar()
		case <-a.enough:
			a.dispatch(ctx)
		case what := <-a.posts:
			p, err = a.take(ctx, what)
			if _, ok := what.(lookedAgain); ok && err == nil {
				return nil, a.newer, nil
			}
		}
		if p != nil {
			return p, nil, nil // a newer offer came too late
		}
		if err != nil {
			return nil, a.newer, err
		}
		a.deliver()
	}
}

// replaced handles a newer offer, for a callee that has not met the caller yet: its answer was
// turned down, or came too late. Only the token tells the two apart.
func (a *attempt) replaced(ctx context.Context, o offer) {
	first := a.newer == nil
	a.newer = &o
	if first && a.published {
		a.wg.Go(func() { a.lookAgain(ctx) })
	}
}

// unproven tells whether a callee still waits for the caller to show that it has the
// same code.
func (a *attempt) unproven() bool {
	return a.ticket.Side == signaling.Callee && !a.forAll() && !a.foreign && (a.trust == nil || !a.trust.proven())
}

// forAll tells whether every client may replace what others wrote in the room, so that a
// replaced document says nothing about the code.
func (a *attempt) forAll() bool { return a.code == Code{Room: signaling.Lobby} }

func (a *attempt) take(ctx context.Context, what any) (*Pipe, error) {
	switch what := what.(type) {
	case published:
		return nil, a.wait(ctx, what.err)
	case described:
		return nil, a.answered(what.Description)
	case localCandidate:
		a.trickle(what.ICECandidate)
		if what.ICECandidate == nil && a.reply != nil {
			a.dispatch(ctx)
		}
	case remoteCandidates:
		if a.begun.IsZero() {
			a.early = append(a.early, what...)
			return nil, nil
		}
		a.add(what)
		return a.openHeld()
	case delivered:
		a.told = true
		return a.openHeld()
	case lookedAgain:
		return nil, a.lost(what.err)
	case roomLost:
		return nil, a.lost(what.err)
	case stateChanged:
		if state := webrtc.PeerConnectionState(what); state == webrtc.PeerConnectionStateFailed || state == webrtc.PeerConnectionStateClosed {
			if ice := a.pc.ICEConnectionState(); ice == webrtc.ICEConnectionStateConnected || ice == webrtc.ICEConnectionStateCompleted {
				return nil, fmt.Errorf("%w: the encryption between them could not be set up", ErrNoPath)
			}
			return nil, fmt.Errorf("%w: none of their addresses answered (%s)", ErrNoPath, a.tried())
		}
	case revealed:
		a.drop(a.hand(webrtc.ICECandidateInit(what)))
	case channelOpened:
		return a.opened(what.DataChannel)
	case firstCandidatesLate:
		a.candidatesLate = true
		return a.openHeld()
	case allOpened:
		return a.choose()
	}
	return nil, nil
}

// wait waits for the other side, once this side's description is there.
func (a *attempt) wait(ctx context.Context, err error) error {
	switch {
	case err != nil:
		return err
	case a.ticket.Side == signaling.Caller:
		a.report(Waiting{a.code, a.again})
		a.wg.Go(func() { a.readAnswer(ctx) })
		a.wg.Go(func() { a.readCandidates(ctx, a.ticket) })
	case a.newer != nil:
		a.wg.Go(func() { a.lookAgain(ctx) })
	}
	a.published = true
	return nil
}

// lost returns the error that it means for the attempt that the room can no longer be read: nil
// if the attempt goes on without it.
func (a *attempt) lost(why error) error {
	switch {
	case a.begun.IsZero():
		return why
	case a.unproven() && errors.Is(why, signaling.ErrTurnedDown):
		return ErrWrongCode
	case a.unproven() && errors.Is(why, signaling.ErrClosed) && a.published && a.code.Secret != "":
		return fmt.Errorf("%w, or the caller has just hung up: the room is closed", ErrWrongCode)
	}
	// With both descriptions there, the two may find each other all the same.
	a.log.Info("connecting without further news from the server", "why", why)
	return nil
}
