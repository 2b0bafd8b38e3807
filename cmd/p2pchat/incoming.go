package main

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"p2pchat/chat"
	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/peer"
	"p2pchat/signaling"
)

const (
	provingLimit = 20 * time.Second // how long it may take a contact to prove who it is
	provingOnLAN = 5 * time.Second  // at a server of the local network, which a neighbour may have announced
	movedLimit   = 5 * time.Second  // how long a connection that rings may be lost
)

// An incomingCall is a call of a contact who has proven who it is, and whom no other program holds. The Conversation that follows
// continues with its Session.
type incomingCall struct {
	keeper  *keeper
	client  *signaling.Client
	server  string // where it is
	session *peer.Session
	first   *peer.Pipe // owned by ring while it rings
	rung    chat.Pipe  // first, with what came while it rang

	mu     sync.Mutex // guards what follows
	taken  bool       // first is
	report func(peer.Event)
	outage func(error)
}

// receiveCall meets the contact who may have made an offer at a server: empty means where the two kept each other. It returns
// contacts.ErrInUse if another program is in a call with that contact, and errAbsent if the contact does not prove who it is in time.
func (o *listenOptions) receiveCall(ctx context.Context, book *contacts.Book, id, server string) (*incomingCall, error) {
	held, err := book.Hold(ctx, id)
	if err != nil {
		return nil, err
	}
	k := &keeper{book: book, side: signaling.Callee, server: held.Server, held: held}
	r := &incomingCall{keeper: k, server: cmp.Or(server, held.Server)}
	if err := r.meet(ctx, o); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *incomingCall) meet(ctx context.Context, o *listenOptions) (err error) {
	at := o.at(r.server)
	client, config, err := at.clientAt(signaling.Config{Key: at.key, OnOutage: func(err error) {
		if f := r.followed(); f.outage != nil {
			f.outage(err)
		}
	}})
	if err != nil {
		return err
	}
	r.client = client
	config.Report = func(e peer.Event) {
		if f := r.followed(); f.report != nil {
			f.report(e)
		}
	}
	r.session = peer.Meet(r.client, peer.Contact{Keys: r.keeper.keys}, config)
	limit := provingLimit
	if r.server != r.keeper.server {
		limit = provingOnLAN
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errAbsent)
	defer cancel()
	r.first, err = r.session.Pipe(ctx)
	return err
}

// ring tells the contact that it rings, until ctx ends. It returns an error if the contact hangs up, or is lost before and not back within
// movedLimit.
func (r *incomingCall) ring(ctx context.Context) (err error) {
	for {
		ringing, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() {
			defer stop()
			select {
			case <-r.first.Ended():
			case <-r.first.Replaced():
			case <-ringing.Done():
			}
		})
		r.rung, err = chat.Ring(ringing, r.first)
		stop()
		wg.Wait()
		switch {
		case errors.Is(err, chat.ErrHungUp):
			return err
		case err == nil && !isClosed(r.first.Ended()) && !isClosed(r.first.Replaced()):
			return nil
		}
		if r.first, err = r.next(ctx); err != nil {
			return err
		}
	}
}

// next returns the pipe that takes the place of the first one, over which the contact says all of it again. It does not end with ctx: the
// person may answer while the connection moves, and one that is renewed may end before its successor is there.
func (r *incomingCall) next(ctx context.Context) (*peer.Pipe, error) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), movedLimit, errNotBack)
	defer cancel()
	p, err := r.session.Pipe(ctx)
	if err != nil {
		return r.first, err
	}
	return p, nil
}

// A follower is told what happens to the Session.
type follower struct {
	report func(peer.Event)
	outage func(error)
}

func (r *incomingCall) followed() follower {
	r.mu.Lock()
	defer r.mu.Unlock()
	return follower{r.report, r.outage}
}

// follow sets who is told what happens to the Session.
func (r *incomingCall) follow(report func(peer.Event), outage func(error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report, r.outage = report, outage
}

// pipe returns the Session's next pipe: at first the one with which the contact called.
func (r *incomingCall) pipe(ctx context.Context) (*peer.Pipe, error) {
	r.mu.Lock()
	first := !r.taken
	r.taken = true
	r.mu.Unlock()
	if first {
		return r.first, nil
	}
	return r.session.Pipe(ctx)
}

// isThere reports whether the next pipe is the one with which the contact called: nothing is left for a contact who is there.
func (r *incomingCall) isThere() bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.taken
}

// link returns the Link of a pipe, with what came over it while it rang.
func (r *incomingCall) link(l chat.Link, p *peer.Pipe) chat.Link {
	if r != nil && p == r.first {
		l.Pipe = r.rung
	}
	return l
}

// close ends the call, and lets other programs call the contact.
func (r *incomingCall) close() {
	if r.session != nil {
		r.session.Close()
	}
	if r.client != nil {
		r.client.CloseIdle()
	}
	r.keeper.release()
}

// isUnproven reports whether err of receiveCall says nothing about the contact: the server may have made the offer.
func isUnproven(err error) bool { return !errors.Is(err, contacts.ErrInUse) }

// isClosed reports whether a channel on which nothing is sent is closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
