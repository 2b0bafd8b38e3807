// Package chat is a conversation over any pipe that carries whole messages.
//
//	Say ─▶ outbox ─▶ message ───────────────▶ Events ─▶ reader
//	Delivered ◀───────── ack ◀──────────────── (the reader asks for the next)
//
// What was said stays in the outbox until the other program has handed it to its reader. When a pipe
// breaks, Run asks for the next one, and goes on where the two were: nothing is lost, nothing comes twice.
// Package reliable does that; package transfer moves the files.
//
// The life of a conversation, for each side:
//
//	      Finish               both inputs have ended,
//	     (its end is read)     or LeaveWhenSaid         all was sent        the other side has left, too
//	open ─────────▶ input ended ─────────▶ leaving ────────────▶ goodbye ─────────────────────────────▶ over
//	 │                  │                     ▲                     ▲           (the reader knows)
//	 ├──────────────────┼─ Leave, or the ─────┘                     │
//	 │                  │  other side has left                      │
//	 └──────────────────┴─ (its goodbye comes, or its page ─────────┘
//	                        stays away)
//
// The steps in parentheses are those of the other side, which is never seen to be leaving. If its program begins from
// nothing, its ended input is open again. A side whose pipe is replaced while it says goodbye is leaving again, and says it
// on the next pipe.
package chat

import (
	"cmp"
	"context"
	"errors"
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
	// OpenApart is Open for a channel whose messages may overtake each other, and that shares nothing with the
	// others: what it loses does not slow them down. It returns an error if the path has no room for one more.
	OpenApart(ctx context.Context) (io.ReadWriteCloser, error)
	// RoundTrip returns how long a packet there and back took of late, or 0 if that is not known.
	RoundTrip() time.Duration
	// Accept waits for a channel that the other side has opened.
	Accept(ctx context.Context) (io.ReadWriteCloser, error)
	// Expect says whether the other side may open channels: else they are closed.
	Expect(channels bool)
}

// A Link is a Pipe, the details of its connection, and how to meet the other side again.
type Link struct {
	Pipe
	Details
	Resumption string    // how to meet the other side again, for the Journal
	ContactKey []byte    // what the keys of a contact would follow from; nil: the two cannot keep each other
	Shows      string    // between contacts: the ID of the keys that this side has stored for this call
	AnswerBy   time.Time // when this side gives up while the other side rings; zero: the other side decides

	// Replaced is closed once another link takes the place of this one, which works for a second more: Run goes on with the
	// next one, and the reader is told Moved, not of a loss. It may be nil.
	Replaced <-chan struct{}
	// Relayed delivers the Route, once, if Path turns out to be a relay's. It may be nil.
	Relayed <-chan string

	before *Link // whose place this one takes
	since  time.Time
	path   *shownPath
}

// Details are what is known of a connection. They have the fields of peer.Details, so that one converts to the
// other.
type Details struct {
	Foreign     bool // the other side speaks no frames, only plain text
	Verified    bool
	SafetyWords []string
	Path        string
	Route       string
	Took        time.Duration
	Reason      string // why it has taken another one's place; empty if that is not known
	Theirs      bool   // the other side has moved it
	Renewed     bool   // this pipe takes the place of the last one on the same path: a reader need not know
}

// Config tunes a Conversation.
type Config struct {
	Name          string       // this side's name; Stranger if it is not a proper one, or the program's
	LeaveWhenSaid bool         // leave once Finish was called and everything is delivered
	AwaitsEnd     bool         // with LeaveWhenSaid: if the other side leaves likewise and awaits, too, first wait for the end of its input
	Journal       *Journal     // the conversation that it holds is continued, and it is kept up to date; nil: nothing is kept
	GoOn          string       // what a person does to go on with the conversation in the Journal, as "run p2pchat call @ben"; may be empty
	MoreInput     bool         // this run has input, though that of an earlier run with the Journal has ended
	DownloadDir   string       // where accepted files go; made if it does not exist; the working directory if empty
	AcceptFiles   bool         // accept every file; with LeaveWhenSaid, wait for the first one before leaving
	Keeper        Keeper       // stores contacts; nil: the two cannot keep each other
	KeepAs        string       // keep the other side as a contact of that name, as soon as a verified pipe allows it
	Contact       string       // the other side is this contact, whatever name it gives itself; empty: it is none
	DeclineFiles  string       // why every file is declined, unless AcceptFiles; empty: the reader is asked
	Stripes       Stripes      // which files are spread over several connections
	Log           *slog.Logger // slog.Default() if nil

	// Drain is how long Run waits for Finish once the other side has left: what Say is given until then counts as
	// undelivered. Zero is for input that a person types, and sees refused.
	Drain time.Duration
	Input string // what errors call a message: "message" if empty

	unbundled bool // every frame is a message of its own, both ways, as with sides that know no bundles: for tests
}

// A Conversation is one side of a talk between two. Its methods may be called from any
// goroutine. The goroutine that ranges over Events may call those that wait (Say, SayPart, Finish, and those about
// files) only with a context that ends: they can wait for the next events to be read.
type Conversation struct {
	config  Config
	events  chan Event
	parting chan struct{} // closed when either side leaves
	closed  chan struct{} // closed by Close
	deaf    chan struct{} // closed by stopEvents
	quit    chan struct{} // closed by Leave
	ended   chan struct{} // closed by Finish
	wake    chan struct{} // wakes send
	confirm chan struct{} // wakes confirmPlain

	// owned by receive:
	strange  uint64    // messages of a foreign side
	partial  bool      // the other side's last message goes on with its next one
	dropped  uint64    // frames that were not handled
	told     bool      // the reader knows that the two are connected: Connected
	answerBy time.Time // Link.AnswerBy of the first pipe on which the other side rings; zero once it has answered

	away *time.Duration // how long to wait for the other side's page; owned by receive, and by run between two pipes

	stream    *reliable.Stream
	queued    []Queued // owned by the reader of Events: what an earlier run left
	transfers *transfer.Manager

	saying sync.Mutex // puts what is said in order, the end of the input last

	noting     sync.Mutex // held while the Journal is written; guards what follows
	resumption string     // that of the last Link,
	confirmed  bool       // on which the other side was heard

	agreeing sync.Mutex // held while the Keeper stores; guards what follows
	keeping  keeping

	mu          sync.Mutex // guards what follows
	life        life
	peer        hello  // the other side's last hello
	greeted     bool   // a hello came on the current pipe
	gaveUp      bool   // the other side has not answered by Link.AnswerBy
	known       uint64 // the last acknowledgement that the other side had when it said goodbye
	goodbyeText string // the text of this side's goodbye
	repeats     bool   // the other side may say goodbye again: the pipe on which it did was replaced
	renamed     bool   // the other side does not know this side's new name
	begun       bool   // something was said
	early       bool   // this side leaves before it has read the end of the other side's input
	putting     bool   // tryPut is putting something into the outbox: no goodbye is said before it
	late        int    // messages that were refused because the other side had left,
	counted     bool   // of which Run has told
	unsaid      bool   // a foreign side closed its channel before either side said anything

	ran    chan struct{} // closed when the Run of Start has returned; nil without Start
	runErr error         // what it returned, once ran is closed
}

// New returns a conversation that the other side has not joined.
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
		DownloadDir: config.DownloadDir, AcceptFiles: config.AcceptFiles, DeclineFiles: config.DeclineFiles, Resumable: config.Journal != nil, Stripes: config.Stripes, Unattended: c.life.is(ours, inputEnded), Log: config.Log,
	}, host{c}, c.stream.ID(), c.stream.Peer(), earlier)
	return c
}

// Say sends text to the other side, now or as soon as there is one, and returns the
// ID that Delivered will name. It waits while too much is on its way. It returns
// ErrTooLong, ErrNotText, ErrOver (or ErrLate), the context's error or, with a Journal, ErrUnkept.
func (c *Conversation) Say(ctx context.Context, text string) (id uint64, err error) {
	return c.say(ctx, kindMessage, text)
}

// SayPart is Say for a part of a message of any length, which goes on with what is said next.
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
	case errors.Is(err, ErrOver) && c.config.Drain > 0 && c.life.past(theirs, goodbye) && !isClosed(c.ended) && !isClosed(c.quit) && !c.counted:
		if k == kindMessage { // a part is not a message yet
			c.late++
		}
		err = ErrLate
	}
	return id, err
}

// SetName changes this side's name, and returns what the other side sees: Stranger if name is not a
// proper one, or the program's.
func (c *Conversation) SetName(name string) string {
	name = properName(name)
	c.noted(entry{Own: name})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.config.Name = name
	c.renamed = true
	c.wakeSender()
	return name
}

// Finish tells the other side that this side's input has ended. When both have, and no file
// is on its way, the conversation is over. Offers without an answer are declined.
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

// put queues a message, or the end of the input, as soon as the outbox has room.
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
	ended := c.life.past(ours, inputEnded)
	c.putting = !ended && room == nil
	c.mu.Unlock()
	switch {
	case ended:
		return 0, nil, ErrOver
	case room != nil:
		return 0, room, nil
	}
	seq, err = c.enqueue(k, text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && k == kindEnd {
		c.life.move(ours, inputEnded) // or this side leaves by now
	}
	c.putting = false
	c.wakeSender() // which may have waited to say goodbye
	return seq, nil, err
}

// enqueue puts a frame into the outbox, and makes send look again.
func (c *Conversation) enqueue(k kind, text string) (uint64, error) {
	defer c.wakeSender()
	seq, err := c.stream.Put(k, text)
	return seq, c.unkept(err)
}

// wakeSender makes send look again.
func (c *Conversation) wakeSender() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Close ends Events once the reader has read the last. Call it when Run has returned.
func (c *Conversation) Close() {
	c.stopEvents()
	close(c.closed)
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
