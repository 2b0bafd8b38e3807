package screen

import (
	"time"

	"p2pchat/chat"
)

// An Event is what only the program knows. A screen shows it in its place among the events of the
// conversation: pass it to chat.Conversation.Tell.
type Event interface{ event() }

type (
	// Waiting says that the other side can join now.
	Waiting struct {
		Code    string // what the two share
		Command string // what the other side types
		Link    string // what the other side opens in a browser; empty for a call that this side answers

		Contact   string // the contact that this side calls, or that may call it, instead of a code
		Answering bool   // this side answers
		Lobby     bool   // in the lobby, without a code
		Here      bool   // Command and Link work on this machine only
	}
	// NoCall says that this side answers, and that no call is open in the room.
	NoCall struct {
		Room    string
		Command string   // what the caller types, where that needs no code of the caller's
		Here    bool     // Command works on this machine only
		Hints   []string // sentences that say where else the call may be, until there is a connection
	}
	// CodeWanted asks the person for another code; a caller is offered a new one. Streams.Code takes
	// the answer.
	CodeWanted struct {
		Why     string
		Calling bool
	}
	// WrongCode says that an answer without the right code has come, and that the code takes Left
	// more of them; or, if Left is negative, that this side has given a wrong code.
	WrongCode struct{ Left int }
	// Taken says that another person has answered the call, who has the code, too. This side waits for the next one.
	Taken struct{}
	// Connecting says that the other side has joined, and that the two machines look for a path.
	Connecting struct{}
	// Stats tells the round-trip time of the connection.
	Stats struct{ RTT time.Duration }
	// StillLost says, some time after chat.Disconnected, that the other side has not come back. If its
	// program was started again, it knows only Code.
	StillLost struct {
		After  time.Duration
		Code   string
		Server string // that does not answer, so that the two cannot meet; empty if it does
	}
	// StillAway says that a contact has not come for some time, or not come back if Lost. The contact may have forgotten this side, which
	// nothing tells.
	StillAway struct {
		After     time.Duration
		Contact   string
		Answering bool // this side waits for a call
		Lost      bool
	}
	// Listening says that these contacts may call.
	Listening struct{ Contacts []string }
	// IncomingCall says that a contact calls, who has proven who it is.
	IncomingCall struct{ Contact string }
	// IncomingEnded says that a call rings no more: it was answered, declined or missed.
	IncomingEnded struct{ Contact, How string }
	// FromLetter is an event that a letter of a contact brings, outside of a call.
	FromLetter struct {
		Contact string
		Event   chat.Event
	}
	// Told is a sentence for a person about something outside of the conversation. A full terminal rings for the reason Rings,
	// wherever the person looks, unless that is empty.
	Told struct{ Text, Rings string }
	// Failed says what ended the conversation, or which input was refused.
	Failed struct {
		Code    string // short and stable, for programs
		Message string
	}
)

func (Waiting) event()    {}
func (NoCall) event()     {}
func (CodeWanted) event() {}
func (WrongCode) event()  {}
func (Taken) event()      {}
func (Connecting) event() {}
func (Stats) event()      {}
func (StillLost) event()  {}
func (StillAway) event()  {}
func (Failed) event()     {}

func (Listening) event()     {}
func (IncomingCall) event()  {}
func (IncomingEnded) event() {}
func (FromLetter) event()    {}
func (Told) event()          {}
