package chat

import "time"

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

		at place
	}
	// Delivered says that the other side's reader was handed the message of that ID.
	Delivered struct{ ID uint64 }
	// Renamed says that the other side is called otherwise now.
	Renamed struct{ From, To string }
	// InputEnded says that the other side will say no more; it still listens.
	InputEnded struct{ at place }
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
	// FileOffered says that the other side would send a file, or a folder: answer with Accept
	// or Decline. Every offer, of either side, ends in one FileReceived, FileSent or FileFailed.
	FileOffered struct {
		ID     uint64 // counted by the other side
		From   string
		Name   string // fit for a file: no path, nothing hidden
		Called string // what the other side calls it, if no file may be called so here
		Size   int64  // bytes
		Folder bool
		Files  int // in the folder
	}
	// FileOffering says that this side offers a file, or a folder, since SendFiles.
	FileOffering struct {
		ID     uint64
		Name   string
		Size   int64
		Folder bool
		Files  int
	}
	// FileProgress says how far an accepted file is: when it begins, or goes on after a loss,
	// and then a few times a second at most. Outgoing: this side sends it, and ID is of its
	// own count.
	FileProgress struct {
		ID          uint64
		Outgoing    bool
		Name        string
		Bytes, Size int64 // Bytes are what the receiver has
	}
	// FileReceived says that a file is whole and in its place.
	FileReceived struct {
		ID     uint64
		Name   string // as it was offered
		Path   string // where it is now; ./NAME where NAME begins with a dash, and would be a flag
		Called string // what the other side calls it, if it is called otherwise now
		Size   int64
		SHA256 [32]byte

		Renamed int    // names in the folder that had to be changed, as Example
		Example string // OLD is now NEW
	}
	// FileSent says that the other side has a file, and found it whole.
	FileSent struct {
		ID     uint64
		Name   string
		Size   int64
		SHA256 [32]byte

		As      string // what it is called there, if it had to be called otherwise
		Renamed int    // names in the folder that had to be changed there
	}
	// FileLeftOut says, before FileReceived or FileSent, of a file in a folder that it could not be sent as
	// it was offered, and why.
	FileLeftOut struct {
		ID         uint64 // the folder's
		Outgoing   bool
		Name, File string // the folder's, and the file's in it
		Reason     string
		Kept       bool // as much of it as was offered has arrived
	}
	// FileFailed says that a file was declined or given up, by either side, and why.
	FileFailed struct {
		ID           uint64
		Outgoing     bool
		Name, Reason string
	}
	// Notice says something a person should know, in a sentence.
	Notice struct{ Text string }
)

// heeded says, to no reader, that all before it was read: a frame stood there that is
// acknowledged, and is no event.
type heeded struct{ at place }

// A place is where something stood that the other side said.
type place struct {
	of  string // its conversation: another one after its program was started anew
	seq uint64
}
