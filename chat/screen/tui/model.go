package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

// A phase is the state of the conversation.
type phase int

const (
	starting   phase = iota
	waiting          // for the other side
	connecting       // the two machines look for a path
	up               // messages arrive
	lost             // the pipe broke, and the next one is awaited
	over             // no message can be sent any more
)

// A model is all that the screen knows. Its methods run in Bubble Tea's loop.
type model struct {
	terminal
	talk   talk
	outbox chan<- *entry                      // messages for the conversation, in order
	work   func(func(context.Context) answer) // runs a function in a goroutine, and its answer in the loop

	// what the person does:
	history    history
	input      editor
	reading    bool      // the history has the rows of its head: it did not fit below
	finding    *search   // nil unless the person searches
	asking     *question // nil unless the person is to type the code of a call
	notCommand string    // the last draft that began like a command: it is now sent if the person enters it again
	notCode    string    // the last line that may have been a code: it is now sent if the person enters it again
	leaveAsked string    // how the person asked to leave before: the same again leaves
	unsaid     []string  // drafts that were cleared to close the screen of a call that was over
	leaving    bool      // the person leaves
	typed      bool      // the person has pressed a key
	missed     int       // messages that came while the person looked elsewhere
	copyText   string    // what /copy copies
	copyTheirs bool      // it is a message of the other side
	written    time.Time // when the last message of the other side was written, if it had to wait

	// the conversation:
	phase          phase
	code           screen.Waiting
	qrLink         string   // the link that qr was made of
	qr             []string // the rows of a QR code
	noCall         string   // what an answerer is told while no call is open
	hints          []string // where else the call may be then
	newCode        string   // why a caller can have a new code; empty if not
	link           chat.Connected
	moved          string // how, last; empty: not yet
	compared       bool   // the person has compared the safety words, and they are the same
	keepAsked      bool   // the other side has said that it keeps this one
	keptAs         string // the name under which this side has kept the other one in this call
	acceptRest     bool   // /accept all has accepted as many files as there are offered at a time: more may follow
	refused        bool   // this side has ended the call, because they differ
	ringing        bool   // the other side is being asked whether to answer
	since          time.Time
	lostAt         time.Time
	roundTrips     []time.Duration // newest last
	delivered      uint64          // own messages up to this ID were read
	mailed         uint64          // own messages up to this ID are at the server, or were read
	pending        []*entry        // own messages, oldest first; those up to delivered are dropped late
	sent, received int             // messages
	unanswered     int             // own messages that the conversation has not answered yet
	saved          chan<- struct{} // of the overMsg; nil before, and once it is closed
	transfers      []*transfer
	files          int               // how many were ever shown
	ended          map[string]string // how those that are no transfers any more have ended, by number
	left           bool              // the other side has
	failed         bool              // the conversation has, and a note says why
}

// talk is the part of a conversation that the model uses. Other goroutines call Say and Events.
type talk interface {
	SetName(name string) string
	KeepPeer(name string, compared bool) error
	SendFiles(ctx context.Context, paths ...string) (ids []uint64, err error)
	Accept(id uint64) error
	Decline(id uint64) error
	Cancel(id uint64, outgoing bool) error
	Leave()
	LeaveOverheard()
}

type (
	// An eventMsg is an event. The model closes taken when it has handled the event.
	eventMsg struct {
		event chat.Event
		taken chan<- struct{}
	}
	// An overMsg says that no event follows. The model closes saved when the conversation has answered all that was said.
	overMsg struct{ saved chan<- struct{} }
	// A lateMsg is a sentence that comes after the last event; rings says why it rings, if it does. If closes is not nil, it gets the
	// draft, and the screen ends.
	lateMsg struct {
		text, rings string
		closes      func(draft string)
	}
	// A saidMsg says whether the conversation took an entry.
	saidMsg struct {
		entry *entry
		id    uint64
		err   error
		taken chan<- struct{}
	}
	// An answer shows in the loop what a goroutine has done.
	answer func(*model)
)

func (m *model) Init() tea.Cmd {
	return m.retitle(m.title, tea.RequestBackgroundColor)
}

func (m *model) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	var next tea.Cmd
	switch t := message.(type) {
	case tea.KeyPressMsg, tea.PasteMsg, tea.MouseWheelMsg:
		next = m.personInput(t)
	case eventMsg:
		next = m.event(t.event)
		close(t.taken)
	case saidMsg:
		m.said(t)
		close(t.taken)
		m.tellSaved()
	case overMsg:
		next = m.finish()
		m.saved = t.saved
		m.tellSaved()
	case lateMsg:
		next = m.late(t)
	case answer:
		t(m)
	default:
		next = m.report(t)
		if _, looks := t.(tea.FocusMsg); looks {
			m.markSeen()
		}
	}
	switch message.(type) {
	case tea.WindowSizeMsg, tea.ModeReportMsg, eventMsg, lateMsg:
		m.history.reflow(m.historyRows())
	}
	return m, m.retitle(m.title, next)
}

// personInput handles what the person does with the keyboard or the mouse.
func (m *model) personInput(message tea.Msg) (next tea.Cmd) {
	switch t := message.(type) {
	case tea.KeyPressMsg:
		m.lastKey, m.typed = m.now(), true
		next = m.key(t)
	case tea.PasteMsg:
		m.lastKey, m.typed = m.now(), true
		m.hint = ""
		m.otherKey("")
		m.input.insert(t.Content)
		if m.finding != nil {
			m.refind()
		}
	case tea.MouseWheelMsg:
		m.wheel(t)
	}
	m.markSeen()
	return next
}
