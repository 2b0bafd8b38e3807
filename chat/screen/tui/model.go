package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

// A phase is how far the conversation is.
type phase int

const (
	starting   phase = iota
	waiting          // for the other side
	connecting       // the two machines look for a way
	up               // what is said arrives
	lost             // the pipe broke, the next one is awaited
	over             // nothing will be said any more
)

// A model is all that the screen knows. Its methods run in Bubble Tea's loop.
type model struct {
	talk    talk
	outbox  chan<- *entry                      // what is to be said, in order
	work    func(func(context.Context) answer) // does it elsewhere, and sends what it returns
	streams screen.Streams
	now     func() time.Time
	notify  notifier
	jobs    *jobs // nil where no shell could continue the program

	width, height  int
	method         ansi.Method
	style          style
	history        history
	input          editor
	hint           string       // why the last key did not do what it could, or what Tab could mean
	blurred        bool         // the terminal said that another window has the focus
	tellsFocus     bool         // it says so at all
	news           int          // messages that came while the person looked elsewhere
	titled         string       // the window's title
	measuring      bool         // since withoutScreen, until the terminal's size has arrived
	afterMeasuring func() error // for withoutScreen
	resumes        int          // attempts to take the terminal again that failed
	finding        *search      // nil unless the person searches
	last           string       // what /copy copies
	heard          bool         // it is a message of the other side
	lastKey        time.Time
	asking         *question // nil unless the person is to type the code of a call
	noCall         string    // what an answerer is told while no call is open
	newCode        string    // why a caller can have a new code; empty if not

	phase      phase
	code       screen.Waiting
	link       chat.Connected
	compared   bool // the person has compared the safety words
	since      time.Time
	lostAt     time.Time
	trips      []time.Duration // round trips, newest last
	delivered  uint64          // own messages up to this ID were read
	unread     []*entry        // own messages, oldest first; those up to delivered are dropped late
	sent, read int             // messages
	transfers  []*transfer
	left       bool // the other side has
	refused    bool // this side has ended the call, because the safety words differ
	leaving    bool // this side wants to
	warned     bool // that leaving drops messages or files
	armed      bool // the last key was Ctrl-C, so the next one leaves
}

// talk is what the screen asks of a conversation, beside Say and Events.
type talk interface {
	SetName(name string) string
	SendFiles(ctx context.Context, paths ...string) (ids []uint64, err error)
	Accept(id uint64) error
	Decline(id uint64) error
	Cancel(id uint64, outgoing bool) error
	Leave()
	LeaveOverheard()
}

type (
	// An eventMsg is an event; taken is closed when it is in the history.
	eventMsg struct {
		event chat.Event
		taken chan<- struct{}
	}
	// An overMsg says that no event follows.
	overMsg struct{}
	// A saidMsg says what became of an entry that was to be said.
	saidMsg struct {
		entry *entry
		id    uint64
		err   error
		taken chan<- struct{}
	}
	// An answer is what work elsewhere leads to, in the loop.
	answer func(*model)
)

func (m *model) Init() tea.Cmd {
	return m.retitle(tea.RequestBackgroundColor)
}

func (m *model) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	var next tea.Cmd
	switch t := message.(type) {
	case tea.KeyPressMsg:
		m.lastKey = m.now()
		next = m.key(t)
		m.looked()
	case tea.PasteMsg:
		m.lastKey = m.now()
		m.hint = ""
		m.input.insert(t.Content)
		if m.finding != nil {
			m.refind()
		}
		m.looked()
	case tea.MouseWheelMsg:
		m.wheel(t)
		m.looked()
	case tea.WindowSizeMsg:
		m.width, m.height = t.Width, t.Height
		next = m.measured()
	case tea.FocusMsg:
		m.tellsFocus, m.blurred = true, false
		m.looked()
	case tea.BlurMsg:
		m.tellsFocus, m.blurred = true, true
	case tea.BackgroundColorMsg:
		m.style = newStyle(t.IsDark(), m.style.plain)
	case tea.ColorProfileMsg:
		m.style = newStyle(m.style.dark, t.Profile <= colorprofile.ASCII)
	case tea.ModeReportMsg:
		if t.Mode == ansi.ModeUnicodeCore && (t.Value == ansi.ModeReset || t.Value == ansi.ModeSet || t.Value == ansi.ModePermanentlySet) {
			m.method = ansi.GraphemeWidth // as Bubble Tea measures from now on
		}
	case eventMsg:
		next = m.event(t.event)
		close(t.taken)
	case saidMsg:
		m.said(t)
		close(t.taken)
	case answer:
		t(m)
	case stopMsg:
		next = m.suspend()
	case wokenMsg:
		next = m.withoutScreen(func() error { return nil })
	case resumedMsg:
		next = m.resumed(t.err)
	case overMsg:
		next = m.finish()
	}
	switch message.(type) {
	case tea.WindowSizeMsg, tea.ModeReportMsg, eventMsg:
		m.history.reflow(m.room())
	}
	return m, m.retitle(next)
}

// event folds what happened into what is shown.
func (m *model) event(e chat.Event) tea.Cmd {
	switch e := e.(type) {
	case screen.Waiting:
		m.phase, m.code, m.noCall, m.newCode = waiting, e, "", ""
	case screen.NoCall:
		m.phase, m.noCall = waiting, e.Text(m.streams.IsCode != nil)
	case screen.CodeWanted:
		m.wanted(e)
	case screen.StillLost:
		m.happened(alarm, capital(e.Text(m.other(), map[bool]string{true: "/again"}[m.streams.Again != nil])))
	case screen.WrongCode:
		if text := e.Text(); text != "" {
			m.happened(alarm, capital(text))
		}
	case screen.Connecting:
		if m.phase < up {
			m.phase = connecting
		}
	case chat.Connected:
		m.connected(e)
	case chat.Message:
		m.read++
		m.last, m.heard = clean(e.Text), true
		m.hear(&entry{kind: heard, at: m.now(), name: m.other(), lines: tidy(e.Text)})
		return m.ring("message from " + m.other())
	case chat.Delivered:
		m.delivered = max(m.delivered, e.ID)
	case screen.Stats:
		m.trips = append(m.trips, e.RTT)
		m.trips = m.trips[max(0, len(m.trips)-mostTrips):]
	case chat.Renamed:
		was := m.other()
		m.link.Peer = e.To
		m.happened(note, was+" is now "+m.other())
	case chat.InputEnded:
		m.happened(note, m.other()+" has finished writing, and still reads.")
	case chat.Disconnected:
		m.phase, m.lostAt = lost, m.now()
		m.stall()
		m.happened(alarm, "Disconnected: "+e.Reason)
	case chat.Reconnected: // Connected follows
	case chat.Left:
		if !e.Reply {
			m.left, m.phase = true, over
			how := map[bool]string{false: " has left", true: " closed the page"}[e.Closed]
			if e.Overheard {
				m.happened(alarm, screen.Overheard(m.other()))
			}
			m.happened(alarm, m.other()+how+".")
			return m.ring(m.other() + how)
		}
	case chat.Notice:
		m.happened(note, capital(e.Text))
	case screen.Failed:
		m.happened(alarm, capital(e.Message))
	default:
		return m.file(e)
	}
	return nil
}

// connected tells of a pipe: the first one, or another after a loss.
func (m *model) connected(e chat.Connected) {
	was, renamed := m.phase, m.link.Peer != e.Peer
	m.unask()
	m.compared = m.compared && slices.Equal(m.link.SafetyWords, e.SafetyWords)
	m.link, m.phase, m.since = e, up, m.now()
	if was == lost {
		text := "Reconnected " + screen.Way(e.Path)
		if gone := m.now().Sub(m.lostAt); gone >= time.Second { // one that was suspended itself has hardly noticed
			text += " after " + span(gone)
		}
		m.happened(note, text)
		if !renamed {
			return
		}
	}
	m.happened(note, fmt.Sprintf("Connected with %s %s in %d ms", m.other(), screen.Way(e.Path), e.Took.Milliseconds()))
	switch {
	case e.Verified:
		m.happened(note, "Verified: both sides know the code, so nobody is listening in.")
	case e.Foreign:
		m.happened(alarm, "Unverified: the other side is another WebRTC program. It cannot show that nobody is listening in.")
	default:
		m.happened(alarm, "Unverified: the code has no secret, so the server could listen in. If you both see these words, nobody is listening in: "+strings.Join(e.SafetyWords, " "))
	}
}

// capital is a text that begins with a capital letter, unless it begins with an address or a path.
func capital(text string) string {
	first, _, _ := strings.Cut(text, " ")
	if strings.ContainsAny(first, "/.@") {
		return text
	}
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}

// other is the name of the other side; it cannot be taken for this side's.
func (m *model) other() string {
	name := tidyLine(m.link.Peer)
	switch {
	case name == "":
		return "the other side"
	case strings.EqualFold(name, you):
		return "“" + name + "”"
	}
	return name
}

// you is this side's name on its own screen.
const you = "you"

// happened shows an event that is not a message.
func (m *model) happened(k kind, text string) {
	m.history.add(&entry{kind: k, at: m.now(), lines: tidy(text)})
}

// say puts a text on its way.
func (m *model) say(text string) bool {
	switch {
	case m.phase == over:
		m.hint = "The conversation is over, so this cannot be sent."
		return false
	case len(text) > chat.MaxMessage:
		m.hint = fmt.Sprintf("This has %d bytes, and a message holds at most %d. Send it as a file, or in parts.", len(text), chat.MaxMessage)
		return false
	}
	e := &entry{kind: said, at: m.now(), name: you, lines: tidy(text), text: text}
	select {
	case m.outbox <- e:
	default:
		m.hint = "Too many messages are waiting. Try again after some have been delivered."
		return false
	}
	m.history.add(e)
	m.history.bottom()
	m.sent++
	if !m.heard {
		m.last = clean(text)
	}
	if !m.link.Foreign {
		m.unread = append(m.unread, e)
	}
	m.warned = false
	return true
}

func (m *model) said(t saidMsg) {
	if t.err != nil {
		m.unread = slices.DeleteFunc(m.unread, func(e *entry) bool { return e == t.entry })
		m.happened(alarm, "Not sent: "+t.err.Error()+": "+strings.Join(t.entry.lines, " "))
		return
	}
	t.entry.id, t.entry.text = t.id, ""
	t.entry.sent = m.link.Foreign
}

// mark says how far a message of this side's has come.
func (m *model) mark(e *entry) string {
	switch {
	case e.id != 0 && e.id <= m.delivered:
		return m.style.delivered.Render("✓✓")
	case e.id != 0 && (m.phase == up || e.sent):
		return m.style.dim.Render(" ✓")
	}
	return m.style.warn.Render(" ○")
}

// ring notifies the person if they look elsewhere.
func (m *model) ring(why string) tea.Cmd {
	now := m.now()
	if m.streams.Quiet || !m.away() || now.Sub(m.notify.last) < 2*time.Second {
		return nil
	}
	m.notify.last = now
	return tea.Raw(m.notify.sequence(why))
}
