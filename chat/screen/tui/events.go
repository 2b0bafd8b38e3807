package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

// event folds an event into what is shown.
func (m *model) event(e chat.Event) tea.Cmd {
	switch e := e.(type) {
	case screen.Told:
		m.addNote(alarm, e.Text)
		return m.alert(e.Rings)
	case screen.Event:
		m.ownEvent(e)
	case chat.Connected:
		m.connected(e)
	case chat.Ringing:
		m.ringing = true
		m.addNote(note, screen.RingingText(m.other()))
	case chat.Message:
		return m.heard(e)
	case chat.Queued, chat.Delivered, chat.Mailed:
		m.ownMessage(e)
	case chat.Renamed:
		was := m.other()
		m.link.Peer = e.To
		m.addNote(note, was+" is now "+m.other())
	case chat.InputEnded:
		m.addNote(note, m.other()+" has finished writing, and still reads.")
	case chat.Disconnected:
		m.phase, m.lostAt = lost, m.now()
		m.stallTransfers()
		m.addNote(alarm, "Disconnected: "+e.Reason)
	case chat.Moved, chat.Relayed:
		m.newPath(e)
	case chat.Left:
		return m.peerLeft(e)
	case chat.KeepAsked:
		m.keepAsked = true
		m.addNote(note, screen.KeepAskedText(e, m.other(), "type /keep"))
		return m.ring(m.other() + " wants to keep you as a contact")
	case chat.Kept:
		m.kept(e)
	case chat.Notice:
		m.addNote(note, screen.Capital(e.Text))
	default: // of chat.Reconnected, Connected tells more
		return m.file(e)
	}
	return nil
}

// newPath shows that the connection goes another way, or that its way is a relay's.
func (m *model) newPath(e chat.Event) {
	switch e := e.(type) {
	case chat.Moved:
		m.link.Path, m.link.Route = e.To, e.Route
		m.moved = screen.MovedText(e, m.other())
		m.addNote(note, m.moved)
	case chat.Relayed:
		m.link.Path, m.link.Route = "relay", e.Route
		m.moved = "" // if there was a move, it has led elsewhere than it said
		m.addNote(note, screen.RelayedText)
	}
}

// heard shows a message of the other side.
func (m *model) heard(e chat.Message) tea.Cmd {
	m.received++
	m.copyText, m.copyTheirs = clean(e.Text), true
	m.link.Peer = cmp.Or(m.link.Peer, e.From) // a letter comes before the two are connected
	if !e.Written.IsZero() && !e.Written.Equal(m.written) && !e.Continues {
		m.addNote(note, screen.WrittenText(e)+":")
	}
	m.written = e.Written
	m.addTheirs(&entry{kind: heard, at: m.now(), name: m.other(), lines: tidy(e.Text)})
	return m.ring("message from " + m.other())
}

// ownMessage shows how far messages of this side have come.
func (m *model) ownMessage(e chat.Event) {
	switch e := e.(type) {
	case chat.Queued:
		m.queued(e)
	case chat.Delivered:
		m.delivered = max(m.delivered, e.ID)
	case chat.Mailed:
		m.leftAtServer(e)
	}
}

// leftAtServer marks messages that wait at the server. The first time, a note says what the mark means.
func (m *model) leftAtServer(e chat.Mailed) {
	if m.mailed == 0 {
		m.addNote(note, screen.MailedText(e))
	}
	m.mailed = max(m.mailed, e.ID)
}

// ownEvent folds in an event that only the program knows.
func (m *model) ownEvent(e screen.Event) {
	switch e := e.(type) {
	case screen.Waiting:
		m.showHead()
		m.phase, m.code, m.noCall, m.newCode = waiting, e, "", ""
	case screen.NoCall:
		m.phase, m.noCall, m.hints = waiting, e.Text(m.streams.IsCode != nil), e.Hints
	case screen.CodeWanted:
		m.codeWanted(e)
	case screen.WrongCode:
		if text := e.Text(); text != "" {
			m.addNote(alarm, text)
		}
	case screen.Taken:
		m.phase, m.noCall, m.hints = waiting, e.Text(), nil
	case screen.Connecting:
		if m.phase < up {
			m.phase, m.ringing = connecting, false
		}
	case screen.Stats:
		m.roundTrips = append(m.roundTrips, e.RTT)
		m.roundTrips = m.roundTrips[max(0, len(m.roundTrips)-mostRoundTrips):]
	case screen.StillLost:
		m.addNote(alarm, e.Text(m.other(), map[bool]string{true: "/again"}[m.streams.Again != nil]))
	case screen.StillAway:
		m.addNote(note, e.Text())
	case screen.Failed:
		m.failed = true
		m.addNote(alarm, screen.Capital(e.Message))
	}
}

// peerLeft ends the conversation, unless the other side only answers this side's goodbye.
func (m *model) peerLeft(e chat.Left) tea.Cmd {
	if e.Reply {
		return nil
	}
	m.left, m.phase = true, over
	how := map[bool]string{false: " has left", true: " closed the page"}[e.Closed]
	if e.Overheard {
		m.addNote(alarm, screen.OverheardText(m.other()))
	}
	m.addNote(alarm, m.other()+how+".")
	return m.ring(m.other() + how)
}

// connected shows that there is a connection: the first one, or another after a loss.
func (m *model) connected(e chat.Connected) {
	was, renamed := m.phase, m.link.Peer != e.Peer
	m.dropTyped()
	m.endQuestion()
	m.compared = m.compared && slices.Equal(m.link.SafetyWords, e.SafetyWords)
	m.link, m.phase, m.since, m.reading = e, up, m.now(), false
	if was == lost {
		text := "Reconnected " + screen.PathText(e.Path)
		if gone := m.now().Sub(m.lostAt); gone >= time.Second { // shorter if this program was suspended
			text += " after " + durationText(gone)
		}
		m.addNote(note, text)
		if !renamed {
			return
		}
	}
	m.addNote(note, fmt.Sprintf("Connected with %s %s in %d ms", m.other(), screen.PathText(e.Path), e.Took.Milliseconds()))
	switch {
	case e.Verified:
		m.addNote(note, screen.VerifiedText(e))
	case e.Foreign:
		m.addNote(alarm, "Unverified: the other side is another WebRTC program. It cannot show that nobody is listening in.")
	default:
		m.addNote(alarm, "Unverified: the code has no secret, so the server could listen in. If you both see these words, nobody is listening in: "+strings.Join(e.SafetyWords, " "))
	}
}

// other returns the name of the other side, quoted if it would look like this side's own.
func (m *model) other() string {
	name := tidyLine(cmp.Or(m.link.Peer, m.streams.Contact)) // a contact has a name before the two are connected
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

// addNote shows a note or an alarm.
func (m *model) addNote(k kind, text string) {
	m.history.add(&entry{kind: k, at: m.now(), lines: tidy(text)})
}
