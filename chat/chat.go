// Package chat is a conversation over any pipe that carries whole messages.
//
//	Say ─▶ outbox ─▶ message ───────────────▶ Events ─▶ reader
//	Delivered ◀───────── ack ◀──────────────── (the reader asks for the next)
//
// What was said stays in the outbox until the other program has handed it to its
// reader. When a pipe breaks, Run asks for the next one, the two say in their hellos
// what they have heard, and go on from there: nothing is lost, nothing comes twice.
package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"p2pchat/chat/reliable"
	"p2pchat/chat/transfer"
)

// A Pipe carries whole messages, in order, without loss until it breaks.
type Pipe interface {
	// Send hands one message over; it waits while the pipe is full.
	Send(ctx context.Context, message []byte) error
	// Recv waits for the next message. The error is io.EOF when the other side has
	// closed the pipe, and another one when it broke.
	Recv(ctx context.Context) ([]byte, error)
	// Flush waits until the other machine has everything that was sent.
	Flush(ctx context.Context) error
	// Open makes a further channel to the other side, for which each Write is a message,
	// and each Read. Close ends it on both sides, and a Read or Write that waits.
	Open(ctx context.Context) (io.ReadWriteCloser, error)
	// Accept waits for a channel that the other side has opened.
	Accept(ctx context.Context) (io.ReadWriteCloser, error)
	// Expect says whether the other side may open channels: else they are closed.
	Expect(channels bool)
}

// A Link is a Pipe, the details of its connection, and how to meet the other side again.
type Link struct {
	Pipe
	Details
	Again string // how to meet the other side again, for the Journal
}

// Details are what is known of a connection. They have the fields of peer.Details, so that one converts to the
// other.
type Details struct {
	Foreign     bool // the other side speaks no frames, only plain text
	Verified    bool
	SafetyWords []string
	Path        string
	Took        time.Duration
}

// What a Conversation answers.
var (
	ErrTooLong = fmt.Errorf("a message holds at most %d bytes", MaxMessage)
	ErrNotText = errors.New("a message must be UTF-8")
	ErrOver    = errors.New("the conversation is over")
	ErrLate    = fmt.Errorf("%w: the other side has left", ErrOver) // and Run counts it: see Config.Drain
	ErrUnkept  = errors.New("the outbox cannot be written")
	ErrSilent  = errors.New("the other side connected, but sent nothing that p2pchat understands")
)

var errHungUp = errors.New("the connection dropped")

// Undelivered says that the other side's reader was not handed all of this side's input.
type Undelivered struct { //nolint:errname // chat.Undelivered says it
	Messages int    // 0 if the other side left before the input had ended
	What     string // Config.Input
}

func (u *Undelivered) Error() string {
	switch u.Messages {
	case 0:
		return "the other side left before the input had ended"
	case 1:
		return fmt.Sprintf("1 %s was not delivered", u.What)
	}
	return fmt.Sprintf("%d %ss were not delivered", u.Messages, u.What)
}

// Incomplete is how a conversation ends in which files were to be sent or received that
// did not get through.
type Incomplete struct{ Files int } //nolint:errname // chat.Incomplete says it

func (i *Incomplete) Error() string {
	if i.Files == 1 {
		return "1 file did not get through"
	}
	return fmt.Sprintf("%d files did not get through", i.Files)
}

// How long a goodbye waits for what is still to be sent, and for the other one's.
const farewell = 2 * time.Second

// How long the other side's hello may take.
const patience = 10 * time.Second

// Config tunes a Conversation.
type Config struct {
	Name          string       // how the other side sees this one; Stranger if it is none, or the program's own
	LeaveWhenSaid bool         // leave once Finish was called and everything was delivered
	Journal       *Journal     // goes on with the conversation that it has, and keeps it up to date
	DownloadDir   string       // where accepted files go, made if it is not there; the working directory if empty
	AcceptFiles   bool         // take what is offered; with LeaveWhenSaid, leave after the first of it at the earliest
	DeclineFiles  string       // why nothing is taken, unless AcceptFiles; empty: the reader is asked
	Log           *slog.Logger // slog.Default() if nil

	// Drain is how long Run goes on counting what Say is given once the other side has left,
	// until Finish is called: it is undelivered. Zero is for input that a person types, and sees refused.
	Drain time.Duration
	Input string // what errors call a message: "message" if empty
}

// A Conversation is one side of a talk between two. Its methods may be called from any
// goroutine, but whoever ranges over Events must not also say, finish or do anything with
// files, or it would wait for itself once both sides are full.
type Conversation struct {
	config  Config
	events  chan Event
	parting chan struct{} // closed when either side wants to go
	closed  chan struct{} // closed by Close
	deaf    chan struct{} // closed when there is no reader to wait for any more
	quit    chan struct{} // closed by Leave
	ended   chan struct{} // closed by Finish
	wake    chan struct{} // tells send that there may be something to do
	confirm chan struct{} // and confirmPlain

	// owned by receive:
	strange uint64 // messages of a foreign side
	partial bool   // the other side's last message goes on with its next one
	dropped uint64 // what was not handled

	away *time.Duration // how long to wait for the other side's page; owned by receive, and between two pipes by run

	stream    *reliable.Stream
	transfers *transfer.Manager

	saying sync.Mutex // puts what is said in order, the end of the input last

	keeping   sync.Mutex // held while the Journal is written; guards what follows
	again     string     // Link.Again of the last pipe,
	confirmed bool       // on which the other side was heard

	mu       sync.Mutex // guards what follows
	peer     hello      // the other side's last one
	known    uint64     // the last one that the other side's goodbye knows to be
	renamed  bool       // and the other side was not told yet
	begun    bool       // something was said
	late     int        // messages that came when the other side had left
	finished bool       // this side's input has ended
	quiet    bool       // the other side's has, and the reader knows
	leaving  bool       // nothing more is said here
	goodbye  bool       // this side has said it
	farewell string     // its text
	first    bool       // before the other one did
	greeted  bool       // the other side has said its hello on the current pipe
	left     bool       // the other side has
	unsaid   bool       // a foreign side closed its channel before either side said anything
	gone     bool       // and the reader knows
}

// New returns a conversation that nobody has joined yet.
func New(config Config) *Conversation {
	config.Name = properName(config.Name)
	config.Input = cmp.Or(config.Input, "message")
	if config.Log == nil {
		config.Log = slog.Default()
	}
	c := &Conversation{
		config:  config,
		events:  make(chan Event, 64),
		parting: make(chan struct{}),
		closed:  make(chan struct{}),
		deaf:    make(chan struct{}),
		quit:    make(chan struct{}),
		ended:   make(chan struct{}),
		confirm: make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
	}
	earlier := c.resume()
	c.transfers = transfer.New(transfer.Config{
		DownloadDir: config.DownloadDir, AcceptFiles: config.AcceptFiles, DeclineFiles: config.DeclineFiles, Resumable: config.Journal != nil, Unattended: c.finished, Log: config.Log,
	}, host{c}, c.stream.ID(), c.stream.Peer(), earlier)
	return c
}

// Say sends text to the other side, now or as soon as there is one, and returns the
// ID that Delivered will name. It waits while too much is on its way. The error is
// ErrTooLong, ErrNotText, ErrOver (or ErrLate), the context's or, with a Journal, ErrUnkept.
func (c *Conversation) Say(ctx context.Context, text string) (id uint64, err error) {
	return c.say(ctx, kindMessage, text)
}

// SayPart says text as Say does, and that the message goes on with what is said next. So one
// may be of any length.
func (c *Conversation) SayPart(ctx context.Context, text string) (id uint64, err error) {
	return c.say(ctx, kindPart, text)
}

func (c *Conversation) say(ctx context.Context, k kind, text string) (id uint64, err error) {
	switch {
	case len(text) > MaxMessage:
		return 0, ErrTooLong
	case !utf8.ValidString(text):
		return 0, ErrNotText
	}
	id, err = c.put(ctx, k, text)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.begun = true
	case errors.Is(err, ErrOver) && !c.finished && c.config.Drain > 0 && c.left && !isClosed(c.quit):
		if k == kindMessage { // or else it goes on
			c.late++
		}
		err = ErrLate
	}
	return id, err
}

// SetName changes how the other side sees this one, and returns that: Stranger if name is no
// proper one, or the program's own.
func (c *Conversation) SetName(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.config.Name = properName(name)
	c.renamed = true
	c.wakeSender()
	return c.config.Name
}

// Finish tells the other side that this one's input has ended. When both have, and no file
// is on its way, the conversation is over. Offers that nobody has answered are declined.
func (c *Conversation) Finish(ctx context.Context) error {
	defer c.endInput()
	_, err := c.put(ctx, kindEnd, "")
	if err == nil {
		c.transfers.EndInput()
	}
	return err
}

func (c *Conversation) endInput() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !isClosed(c.ended) {
		close(c.ended)
	}
}

// put puts what is said into the outbox as soon as there is room.
func (c *Conversation) put(ctx context.Context, k kind, text string) (uint64, error) {
	for {
		seq, room, err := c.tryPut(k, text)
		if room == nil {
			return seq, err
		}
		select {
		case <-room:
		case <-c.parting:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// tryPut is put without waiting: room is not nil if the outbox is full, and is closed when it may have room.
func (c *Conversation) tryPut(k kind, text string) (seq uint64, room <-chan struct{}, err error) {
	c.saying.Lock()
	defer c.saying.Unlock()
	room = c.stream.Room()
	c.mu.Lock()
	over := c.leaving || c.finished
	c.mu.Unlock()
	switch {
	case over:
		return 0, nil, ErrOver
	case room != nil:
		return 0, room, nil
	}
	if seq, err = c.enqueue(k, text); err == nil && k == kindEnd {
		c.mu.Lock()
		c.finished = true
		c.mu.Unlock()
	}
	return seq, nil, err
}

// enqueue puts a frame into the outbox, and makes send look again.
func (c *Conversation) enqueue(k kind, text string) (uint64, error) {
	defer c.wakeSender()
	seq, err := c.stream.Put(k, text)
	return seq, c.unkept(err)
}

// Leave says goodbye once what was said has gone out, and ends Run. It does not wait.
func (c *Conversation) Leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !isClosed(c.quit) {
		close(c.quit)
	}
	c.beginLeave()
}

// beginLeave begins the end, under mu.
func (c *Conversation) beginLeave() {
	if c.leaving {
		return
	}
	c.leaving = true
	c.transfers.Leave()
	close(c.parting)
	c.wakeSender()
}

// wakeSender makes send look again.
func (c *Conversation) wakeSender() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Close ends Events once what was told has been read. Call it when Run has returned.
func (c *Conversation) Close() {
	c.stopEvents()
	close(c.closed)
}

// parted tells, under mu, that the other side has left, and the reader knows or is
// gone, too.
func (c *Conversation) parted() bool { return c.left && (c.gone || isClosed(c.deaf)) }

// Run holds the conversation: over the pipe that next brings and, when that breaks,
// over the one that next brings then. It returns nil when both inputs have ended or
// somebody left, else ErrSilent, ErrUnsaid or the error of next or of the context. The error is,
// or wraps, Undelivered if something that was said did not get through, and Incomplete if a
// file did not that was to be taken without asking.
func (c *Conversation) Run(ctx context.Context, next func(context.Context) (Link, error)) error {
	talking, hangUp := context.WithCancel(ctx)
	awaiting, stop := context.WithCancel(talking)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer hangUp()
	defer context.AfterFunc(talking, c.stopEvents)() // a reader that is stuck holds up nothing then
	wg.Go(func() {
		defer stop()
		select {
		case <-c.parting:
		case <-talking.Done():
			return
		}
		stop() // nobody needs another pipe
		select {
		case <-time.After(farewell):
			hangUp()
		case <-talking.Done():
		}
	})
	c.transfers.Resume(ctx)
	err := c.run(talking, awaiting, next)
	c.mu.Lock()
	c.beginLeave() // whatever is said from now on would not arrive
	c.mu.Unlock()
	unended := c.drain(ctx)
	c.endFiles()
	c.saying.Lock() // what is being said is counted
	left := c.stream.Count(kindMessage)
	c.saying.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := left + c.late; n > 0 || unended {
		err = and(err, &Undelivered{n, c.config.Input})
	}
	if n := c.transfers.Missed(); n > 0 {
		err = and(err, &Incomplete{n})
	}
	if c.unsaid && err == nil {
		err = ErrUnsaid
	}
	return err
}

// drain waits, where the other side has left, for the end of the input: what still comes of it is not
// delivered. It is true if Run was to deliver all of an input that has not ended.
func (c *Conversation) drain(ctx context.Context) (unended bool) {
	c.mu.Lock()
	theyLeft, begun := c.left && !c.first, c.begun
	c.mu.Unlock()
	if !theyLeft || c.config.Drain == 0 || !begun && !c.config.LeaveWhenSaid {
		return false
	}
	late := time.NewTimer(c.config.Drain)
	defer late.Stop()
	select {
	case <-c.ended:
	case <-c.quit:
	case <-ctx.Done():
	case <-late.C:
		return c.config.LeaveWhenSaid
	}
	return false
}

func and(err, also error) error {
	if err == nil {
		return also
	}
	return fmt.Errorf("%w, and %w", err, also)
}

func (c *Conversation) run(ctx, awaiting context.Context, next func(context.Context) (Link, error)) error {
	for pipes := 0; ; pipes++ {
		link, err := c.awaitLink(awaiting, next)
		switch {
		case err != nil && c.isParting():
			return nil
		case err != nil:
			return err
		}
		err = c.talk(ctx, link, pipes > 0)
		switch {
		case c.isParting():
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrSilent): // and would be on the next pipe, if one came
			return err
		case errors.Is(err, io.EOF):
			err = errHungUp
		}
		c.Tell(Disconnected{Reason: c.lossOf(err)})
	}
}

func (c *Conversation) isParting() bool { return isClosed(c.parting) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
