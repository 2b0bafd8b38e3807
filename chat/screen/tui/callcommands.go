package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

// verify is /verify: what the safety words are, and what the person says of them.
func (m *model) verify(argument string) (tea.Cmd, string) {
	words := strings.Join(m.link.SafetyWords, " ")
	switch {
	case m.phase < up:
		return nil, "You are not connected yet."
	case argument != "" && argument != "yes" && argument != "no":
		return nil, "/verify shows the safety words. /verify yes: they are the same. /verify no: they differ."
	case m.link.Verified && argument == "no":
		m.showAnswer("This call has no words to compare. " + distrust(m.link))
	case m.link.Verified:
		m.showAnswer(screen.VerifiedText(m.link))
	case m.link.Foreign:
		m.showAnswer("The other side is another WebRTC program. It cannot show that nobody is listening in.")
	case argument == "yes":
		m.compared = true
		m.showAnswer("Noted: you have compared the safety words, and they are the same.")
	case argument == "no":
		return nil, m.refuse()
	default:
		m.showAnswer("The safety words are: "+words,
			"Read them to each other by telephone, or face to face. If both of you see the same words, nobody is listening in: type /verify yes. If not, type /verify no.")
	}
	return nil, ""
}

// distrust says why a call is verified, and what a person does who doubts that.
func distrust(e chat.Connected) string {
	if e.Contact {
		return "Both sides have proved that they kept each other. If you do not trust it, for example because another person may have a copy of the keys, " +
			"leave with /quit, forget each other (p2pchat contacts forget), and keep each other again."
	}
	return "Both sides have proved that they know the secret. If you do not trust it, for example because another person may know the secret, " +
		"leave with /quit, and call again with a new code."
}

// keep is /keep: this side keeps the other one as a contact.
func (m *model) keep(argument string) (tea.Cmd, string) {
	compared := m.compared
	m.work(func(context.Context) answer {
		err := m.talk.KeepPeer(argument, compared) // writes to the disk
		return func(m *model) { m.keepSaid(err) }
	})
	return nil, ""
}

// keepSaid shows what became of /keep. If the other side has typed it, too, chat.Kept says more.
func (m *model) keepSaid(err error) {
	switch {
	case errors.Is(err, chat.ErrKeepUnproven):
		m.addNote(alarm, "First compare the safety words: /verify")
	case err != nil:
		m.addNote(alarm, screen.Capital(tidyLine(err.Error()))+".")
	case !m.keepAsked:
		m.addNote(note, "Noted. You will have kept each other once "+m.other()+" keeps you, too.")
	}
}

// kept tells that the two have kept each other, or that another /keep has renamed the contact.
func (m *model) kept(e chat.Kept) {
	text := screen.KeptText(e)
	if m.keptAs != "" && m.keptAs != e.Name {
		text = fmt.Sprintf("The contact is now called %s. From now on: p2pchat call @%s, or p2pchat answer @%s", e.Name, e.Name, e.Name)
	}
	m.keepAsked, m.keptAs = true, e.Name
	m.addNote(note, text)
}

// refuse ends a call whose safety words differ. What was not delivered stays undelivered.
func (m *model) refuse() (hint string) {
	if m.phase == over {
		return "The call has already ended."
	}
	m.phase, m.refused = over, true
	m.addNote(alarm, "Someone may be listening. The call has been ended. Everything you wrote in it may have been read or changed. Call again with a code that has a secret: p2pchat call")
	m.history.bottom()
	m.talk.LeaveOverheard()
	return ""
}

func completeAnswer(begun string) (choice []string) {
	for _, a := range []string{"yes", "no"} {
		if strings.HasPrefix(a, begun) {
			choice = append(choice, a)
		}
	}
	return choice
}

// stats is /stats. While there is no connection it says so, and shows the last values.
func (m *model) stats(string) (tea.Cmd, string) {
	if m.link.Path == "" {
		return nil, "You are not connected yet."
	}
	lines := []string{"with\t" + m.other()}
	last, now := "last ", ""
	switch m.phase {
	case up:
		last, now = "", " now"
		lines = append(lines, "connected for\t"+durationText(m.now().Sub(m.since)))
	case lost:
		lines = append(lines, "disconnected for\t"+durationText(m.now().Sub(m.lostAt)))
	default:
		lines = append(lines, "ended\tthere is no connection any more")
	}
	lines = append(lines, last+"path\t"+pathMeaning(m.link.Path), "connecting took\t"+fmt.Sprintf("%d ms", m.link.Took.Milliseconds()))
	if m.link.Route != "" {
		lines = append(lines, last+"route\t"+screen.RouteText(m.link.Route, m.other()))
	}
	if m.moved != "" {
		lines = append(lines, "last move\t"+m.moved)
	}
	if n := len(m.roundTrips); n > 0 {
		var sum time.Duration
		for _, t := range m.roundTrips {
			sum += t
		}
		lines = append(lines, fmt.Sprintf("%sround trip\t%s%s, lately %s to %s, %s on average", last, rttText(m.roundTrips[n-1]), now,
			rttText(slices.Min(m.roundTrips)), rttText(slices.Max(m.roundTrips)), rttText(sum/time.Duration(n))))
	}
	m.showAnswer(append(lines, fmt.Sprintf("messages\t%d sent, %d received, %d not delivered yet", m.sent, m.received, m.undelivered()))...)
	return nil, ""
}
