package chat

import (
	"time"

	"p2pchat/chat/reliable"
	"p2pchat/chat/transfer"
)

// An Event is what the reader of a conversation is told: one of the types below, or a value that
// the program has passed to Tell.
type Event any

type (
	// Connected says that a pipe to the other side is up, and what is known of it.
	Connected struct {
		Peer        string // the other side's name, or Stranger
		Foreign     bool   // a plain WebRTC program: it sends nothing but text
		Verified    bool   // the key exchange has proven that no third party is in between
		SafetyWords []string
		Contact     bool   // the two have kept each other
		Path        string // host, srflx, prflx or relay
		Route       string // see Details
		Took        time.Duration
	}
	// Ringing says that the other side's person is being asked whether to answer.
	Ringing struct{}
	// Message says that the other side said Text. It counts as read, and is acknowledged,
	// when the reader asks for the next event.
	Message struct {
		ID   uint64 // counts the other side's messages, from 1
		From string
		Text string // UTF-8, as it was sent: a screen has to clean it

		GoesOn    bool // the next Message continues the Text, which was too long for one
		Continues bool // the Text of the Message before

		Written time.Time // by the clock of the other side, if it was in a letter, or waited for a pipe for more than a minute; else zero

		at reliable.Place
	}
	// Queued says that the message of that ID, which an earlier run of this program put into the Journal, is not delivered yet. These
	// events come first.
	Queued struct {
		ID   uint64
		Text string

		GoesOn bool // the next Queued continues the Text

		Written time.Time // zero if the Journal is that of an older program
	}
	// Delivered says that the other side's reader has read the message of that ID.
	Delivered struct{ ID uint64 }
	// Mailed says that the messages up to ID are in letters at a server, which keeps the last one for Kept. The program tells it.
	Mailed struct {
		ID   uint64
		Kept time.Duration
	}
	// Renamed says that the other side has changed its name.
	Renamed struct{ From, To string }
	// InputEnded says that the other side will say no more. It still listens.
	InputEnded struct{ at reliable.Place }
	// KeepAsked says that the other side keeps this one as a contact once this side says so, too: KeepPeer.
	KeepAsked struct {
		From     string
		Verified bool // the call is
	}
	// Kept says that the two have kept each other: both have stored it.
	Kept struct {
		Name  string // what the person calls the other side
		Taken string // the name that it would have, if another contact did not have it; may be empty
	}
	// Disconnected says that the pipe broke. Run waits for the next one.
	Disconnected struct{ Reason string }
	// Reconnected says that the next pipe is up.
	Reconnected struct{}
	// Moved says that the conversation goes on over another path.
	Moved struct {
		From, To string        // host, srflx, prflx or relay
		Route    string        // see Details
		After    time.Duration // for how long it went over the last one
		Reason   string        // see Details
		Theirs   bool
	}
	// Relayed says that the path, which was taken for another one, turned out to be a relay's.
	Relayed struct{ Route string } // see Details
	// Left says that the other side said goodbye, or closed its page.
	Left struct {
		Reply  bool // to this side's own goodbye
		Early  bool // with LeaveWhenSaid, this side left first, and had not read the end of the other side's input
		Closed bool // the page did not come back in time

		Overheard bool // it said that the safety words differ: a third party listened
	}
)

// The events of files come from their Manager.

type (
	// FileOffered is [transfer.Offered].
	FileOffered = transfer.Offered
	// FileOffering is [transfer.Offering].
	FileOffering = transfer.Offering
	// FileProgress is [transfer.Progress].
	FileProgress = transfer.Progress
	// FileReceived is [transfer.Received].
	FileReceived = transfer.Received
	// FileSent is [transfer.Sent].
	FileSent = transfer.Sent
	// FileLeftOut is [transfer.LeftOut].
	FileLeftOut = transfer.LeftOut
	// FileFailed is [transfer.Failed].
	FileFailed = transfer.Failed
	// Notice is [transfer.Notice].
	Notice = transfer.Notice
)

// consumed marks, unseen by the reader, the place of a frame that is no event, so that it is acknowledged
// once the reader has read all before it.
type consumed struct{ at reliable.Place }
