package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// stillLost is the time after which the screen explains what a connection that stays lost can mean.
var stillLost = 30 * time.Second

var (
	errNoQuestion = errors.New("no code is needed now")
	errNotLost    = errors.New("there is no lost connection to wait for")
)

// A connector supplies the pipes of one conversation. It has one Session at a time: if the person enters
// another code before the two sides have met, the next Session replaces it.
type connector struct {
	o            *talkOptions
	conversation *chat.Conversation
	outage       outage
	codes        codeReader
	entered      chan codeEntry // from the screen
	ahead        int            // how many messages the person knows to go to the person with the code that is entered

	mu        sync.Mutex // guards what follows
	session   *peer.Session
	client    *signaling.Client
	mail      *mailbox         // nil without one
	lanTried  serverLog        // when servers of the local network were tried
	lanLast   time.Time        // when the last one was tried
	lanTrial  string           // the server of the local network to which this side has moved, until the two have met there
	lanMet    string           // the neighbour's server at which the two have met last; empty before
	latest    *peer.Resumption // what the Session has saved last: a code's guesses count at all servers together
	last      *peer.Pipe       // of two with a code; nil before they have met
	deadline  time.Time        // of --wait; zero before the wait begins
	connected bool             // there was a connection
	waiting   bool             // for the next one
	unheard   string           // of an outage of the server that began while the two were connected
	awayTold  bool             // the person knows what it can mean that the contact does not come
	typed     peer.Code        // with which the two sides met
	room      string           // of the last wrong code
	tried     int              // wrong codes in room
	leftBy    error            // for which the person was asked for a code, and left instead
}

func newConnector(o *talkOptions, conversation *chat.Conversation) *connector {
	c := &connector{o: o, conversation: conversation, entered: make(chan codeEntry, 1), connected: o.outbox.met()}
	if c.connected {
		c.typed = o.outbox.resume.Again.Typed
	}
	return c
}

// open starts the Session of the current code.
func (c *connector) open() error {
	at := signaling.Config{Patience: c.o.patience, Key: c.o.keyHere(), OnOutage: func(err error) {
		c.outage.set(func(t *outage) { t.server, t.last = err, cmp.Or(err, t.last) })
		if c.o.onOutage != nil {
			c.o.onOutage(err != nil)
		}
		c.tellOutage(c.o.serverNotice(err, c.maySeekOnLAN(), c.hasMet()), err != nil)
	}}
	if c.o.keeper.contact() != "" {
		at.OnClock = func(ahead time.Duration) {
			if text := clockNotice(c.o.server, ahead); text != "" {
				c.conversation.Tell(chat.Notice{Text: text})
			}
		}
	}
	c.outage.set(func(t *outage) { t.server, t.last, t.path, t.open = nil, nil, nil, false }) // of the server before
	if r := c.o.incoming; r != nil {
		r.follow(c.o.report(c.conversation, &c.outage, c.hasMet), at.OnOutage)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.client, c.session, c.mail = r.client, r.session, c.o.newMailbox(c.conversation, r.client)
		return nil
	}
	client, config, err := c.o.clientAt(at)
	if err != nil {
		return err
	}
	if r := c.resumption(); r != nil && c.o.moved {
		config.Resume = r
	}
	config.Save = func(a peer.Resumption) error {
		c.mu.Lock()
		c.latest = &a
		c.mu.Unlock()
		return c.o.outbox.save(c.conversation, resumePoint{Server: c.o.named(), Again: a})
	}
	config.Report = c.o.report(c.conversation, &c.outage, c.hasMet)
	var session *peer.Session
	if k := c.o.keeper; k.contact() != "" {
		session = peer.Meet(client, peer.Contact{Keys: k.keys, Calls: c.o.side == signaling.Caller, Met: c.hasMet()}, config)
	} else {
		k.at(c.o.named())
		session = c.o.meet(client, c.o.code, config)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.client, c.session, c.mail = client, session, c.o.newMailbox(c.conversation, client)
	return nil
}

// clientAt returns a client of o.server, and what a Session there needs, without Save and Report.
func (o *talkOptions) clientAt(at signaling.Config) (*signaling.Client, peer.Config, error) {
	config := peer.Config{
		Resume: o.outbox.again(), RelayOnly: o.relayOnly, MapPorts: o.mapping.useful(o.server), Log: o.logger,
		Moves:            true,
		DataChannelsOnly: o.stripes == always, // over QUIC, a file has no stripes
	}
	if err := o.proxy.connect(o.serverGiven, o.server, &at, &config); err != nil {
		return nil, config, err
	}
	at.Log, at.Control = o.logger, peer.AvoidDeadLink
	client, err := signaling.NewClient(o.server, at)
	if err != nil {
		return nil, config, &usageError{err: err}
	}
	config.Discover = client.ICEServers
	config.ICEServers, config.Host, err = chosenICEServers(o.iceServers, o.server)
	return client, config, err
}

// resumption returns how two with a code go on at another server: in the room of their rendezvous once they have met, where the other side,
// if it was started again, waits as well. It is nil before the Session has saved anything.
func (c *connector) resumption() *peer.Resumption {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		return c.latest
	}
	r := c.last.Resumption()
	if c.latest != nil {
		r.Spent = max(r.Spent, c.latest.Spent)
	}
	return &r
}

// hasMet reports whether there was a connection.
func (c *connector) hasMet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connected
}

// close ends the Session, if there is one.
func (c *connector) close() {
	c.mu.Lock()
	session, client := c.session, c.client
	c.mu.Unlock()
	if session != nil {
		session.Close()
		client.CloseIdle()
	}
}

// next returns the next pipe. Until the two sides have met, it may be the pipe of another code.
func (c *connector) next(ctx context.Context) (chat.Link, error) {
	for {
		link, other, err := c.wait(ctx)
		if question := c.question(err); question != "" && other == nil && ctx.Err() == nil {
			other = c.ask(ctx, question, err)
		}
		if other == nil && ctx.Err() == nil && c.o.fallsBackToLAN(err) {
			if fallback, impossible := c.fallBackToLAN(ctx); impossible == nil {
				other = fallback
			} else {
				err = fmt.Errorf("%w; %w", err, impossible)
			}
		}
		if err == nil || other == nil {
			return link, err
		}
		c.close()
		c.o.incoming = nil // its Session is at the server before
		c.mu.Lock()
		if !other.same {
			c.latest, c.deadline = nil, time.Time{}
		}
		c.o.replaceCode(*other)
		c.mu.Unlock()
		c.o.leaveLAN()
		c.o.recordCode(c.conversation)
		if n := c.conversation.Waiting(); n > c.ahead && !other.same {
			c.ahead = n
			c.conversation.Tell(chat.Notice{Text: typedAhead(n)})
		}
		if err := c.open(); err != nil {
			return chat.Link{}, err
		}
	}
}

// wait waits for the Session's next pipe, or until the person enters another code.
func (c *connector) wait(ctx context.Context) (link chat.Link, other *codeEntry, err error) {
	ctx, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	c.waiting = true
	session, connected, typed, letters := c.session, c.connected, c.typed, c.mail
	c.mu.Unlock()
	c.tellUnheard()
	late, long := errAbsent, make(<-chan time.Time)
	if connected {
		late = errNotBack
	}
	if connected && c.o.keeper.contact() == "" {
		ticker := time.NewTicker(stillLost)
		defer ticker.Stop()
		long = ticker.C
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if other = c.otherCode(ctx, long, typed); other != nil {
			cancel()
		}
	})
	if !c.o.incoming.isThere() {
		wg.Go(func() { letters.run(ctx) })
	}
	wg.Go(func() { c.watchContact(ctx, connected) })
	var found *lanMove
	wg.Go(func() {
		if found = c.findElsewhere(ctx); found != nil {
			cancel()
		}
	})
	link, pipe, err := c.link(ctx, session, late)
	cancel()
	wg.Wait()
	if err != nil && other == nil && found != nil {
		other = &found.to
		c.conversation.Tell(chat.Notice{Text: found.text})
	}
	if c.waited(pipe, err) {
		c.conversation.Tell(chat.Notice{Text: "You are connected, so the code that you typed was not used."})
	}
	return link, other, err
}

// waited notes the end of a wait, and reports whether the person entered a code that came too late for it.
func (c *connector) waited(pipe *peer.Pipe, err error) (late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = err != nil
	if err != nil {
		return false
	}
	c.connected, c.awayTold, c.typed, c.deadline = true, false, pipe.Resumption().Typed, time.Time{}
	c.o.own.stopAnnouncing()
	if c.o.keeper.contact() == "" && !pipe.Foreign {
		c.last = pipe
	}
	c.lanTrial = ""
	c.lanTried.forget(c.o.server)
	if c.o.server != c.o.named() && !onLoopback(c.o.server) {
		c.lanMet = c.o.server
	}
	select {
	case <-c.entered:
		return true
	default:
		return false
	}
}

// link waits for the Session's next pipe, and makes a chat.Link of it. After --wait, it returns the cause of
// the outage, or late.
func (c *connector) link(ctx context.Context, session *peer.Session, late error) (chat.Link, *peer.Pipe, error) {
	if c.o.wait > 0 {
		if c.deadline.IsZero() { // a move to another server must not make the wait longer
			c.deadline = time.Now().Add(c.o.wait)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, c.deadline, late)
		defer cancel()
	}
	pipe := session.Pipe
	if c.o.incoming != nil {
		pipe = c.o.incoming.pipe
	}
	theProcessors.useAll() // to meet
	p, err := pipe(ctx)
	theProcessors.useAll() // until the first look
	if errors.Is(err, errAbsent) {
		err = c.outage.cause(c.o, err)
	}
	if c.o.keeper.contact() != "" && errors.Is(err, errAbsent) && !errors.Is(err, errNotBack) {
		err = hintedError{err, c.absentHint()}
	}
	if err != nil {
		return chat.Link{}, nil, atServer(c.o.server, err)
	}
	c.outage.set(func(t *outage) { t.path = nil })
	link := c.linkOver(p)
	link.AnswerBy = c.deadline
	return c.o.incoming.link(link, p), p, nil
}

// linkOver returns the Link of a pipe. The keys that follow from a call with a contact are on disk then.
func (c *connector) linkOver(p *peer.Pipe) chat.Link {
	link := chat.Link{Pipe: busyPipe{p, theProcessors}, Details: chat.Details(p.Details), Resumption: c.o.resumeText(p), ContactKey: p.ContactKey(), Replaced: p.Replaced(), Relayed: p.Relayed()}
	if k := c.o.keeper; k.contact() != "" {
		c.o.own.stopAnnouncing() // or it would announce the new keys
		var err error
		if link.Shows, err = k.roll(p); err != nil {
			c.conversation.Tell(chat.Notice{Text: fmt.Sprintf("The new keys of %s%s could not be saved: %v. The next call uses the old ones.", contactMark, k.contact(), err)})
		}
	}
	return link
}

// reopen implements screen.Streams.Again: the other side's program, if it was started again, knows only the
// code that was typed.
func (c *connector) reopen() error {
	c.mu.Lock()
	session, lost, typed := c.session, c.connected && c.waiting, c.typed
	c.mu.Unlock()
	if !lost || session == nil {
		return errNotLost
	}
	if err := session.Reopen(); err != nil {
		return err
	}
	c.conversation.Tell(chat.Notice{Text: "Also waiting with the code " + typed.String() + ". The other side types: " + c.o.invite(typed)})
	return nil
}

// ended returns the error with which talk ends; err is that of the conversation.
func (c *connector) ended(ctx context.Context, err error) error {
	left, _ := err.(leftError)                                          //nolint:errorlint // alone
	waits := left.messages != nil && left.error == error(left.messages) //nolint:errorlint // alone
	switch {
	case ctx.Err() == nil:
		err = errors.Join(c.unanswered(), err)
	case err == nil:
		err = errInterrupted
	case waits:
		err = interruptedError{err}
	default:
		err = errors.Join(errInterrupted, err)
	}
	err = c.explain(c.o.outbox.explain(c.conversation, err))
	if waits && c.unanswered() == nil {
		return noteError{err}
	}
	return err
}

// explain adds to err that the other side never joined, if that is why messages were not delivered.
func (c *connector) explain(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if u := (*chat.Undelivered)(nil); !c.connected && errors.As(err, &u) {
		return aloneError{err}
	}
	return err
}

// unanswered returns the error for which the person was asked for a code, and left instead.
func (c *connector) unanswered() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leftBy
}
