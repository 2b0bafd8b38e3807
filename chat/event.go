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
	// Connected says that what is said arrives from now on.
	Connected struct {
		Peer        string // how the other side calls itself, or Stranger
		Foreign     bool   // a plain WebRTC program: it tells nothing but texts
		Verified    bool   // nobody can be in the middle
		SafetyWords []string
		Path        string // host, srflx, prflx or relay
		Took        time.Duration
	}
	// Message says that the other side said Text. It counts as read, and is acknowledged,
	// when the reader asks for the next event.
	Message struct {
		ID   uint64 // counts the other side's messages, from 1
		From string
		Text string // UTF-8, not cleaned of anything

		GoesOn    bool // with the Text of the next Message: it was too long for one
		Continues bool // what the Message before began

		at reliable.Place
	}
	// Delivered says that the other side's reader was handed the message of that ID.
	Delivered struct{ ID uint64 }
	// Renamed says that the other side is called otherwise now.
	Renamed struct{ From, To string }
	// InputEnded says that the other side will say no more; it still listens.
	InputEnded struct{ at reliable.Place }
	// Disconnected says that the pipe broke; the next one is awaited.
	Disconnected struct{ Reason string }
	// Reconnected says that the next pipe is there.
	Reconnected struct{}
	// Left says that the other side said goodbye, or closed its page.
	Left struct {
		Reply  bool // to this side's own goodbye
		Closed bool // the page did not come back in time

		Overheard bool // it said that the safety words differ
	}
)

// The events of files are those of their Manager.
type (
	FileOffered  = transfer.Offered
	FileOffering = transfer.Offering
	FileProgress = transfer.Progress
	FileReceived = transfer.Received
	FileSent     = transfer.Sent
	FileLeftOut  = transfer.LeftOut
	FileFailed   = transfer.Failed
	Notice       = transfer.Notice
)

// consumed says, to no reader, that all before it was read: a frame stood there that is
// acknowledged, and is no event.
type consumed struct{ at reliable.Place }
