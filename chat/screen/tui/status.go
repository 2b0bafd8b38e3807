package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// A part of the status. Where the room is too small, the part with the highest rank is shortened, if it
// can be, and then dropped.
type part struct {
	text     string
	rank     int
	paint    lipgloss.Style
	shortest int // cells; 0 if it cannot be shortened
}

// status is the line above the box: who is there, whether the call is verified, the path, the round trip.
func (m *model) status() string {
	parts := m.fitParts(m.statusParts())
	var b strings.Builder
	b.WriteString(m.style.bar.Render(" "))
	for i, p := range parts {
		between := ""
		switch {
		case i > 1:
			between = " · "
		case i == 1:
			between = " "
		}
		b.WriteString(m.style.bar.Render(between) + p.paint.Inherit(m.style.bar).Render(p.text))
	}
	row := fit(b.String(), m.width, m.method)
	return row + m.style.bar.Render(strings.Repeat(" ", max(0, m.width-m.method.StringWidth(row))))
}

// fitParts drops parts until the rest has room: one is always left.
func (m *model) fitParts(parts []part) []part {
	for len(parts) > 1 {
		wide := 2 + 3*(len(parts)-2) // spaces before the first two, dots before the others
		for _, p := range parts {
			wide += m.method.StringWidth(p.text)
		}
		if wide <= m.width {
			break
		}
		worst := 0
		for i, p := range parts {
			if p.rank > parts[worst].rank {
				worst = i
			}
		}
		p := &parts[worst]
		if room := m.method.StringWidth(p.text) - (wide - m.width); p.shortest > 0 && room >= p.shortest {
			p.text = fit(p.text, room, m.method)
			break
		}
		parts = slices.Delete(parts, worst, worst+1)
	}
	return parts
}

// shortestName is how many cells of a name are left at least before it is dropped.
const shortestName = 4

// statusParts are what the status could say.
func (m *model) statusParts() []part {
	plain := m.style.bar
	name := part{fit(m.other(), max(m.width/3, 10), m.method), 2, plain, shortestName}
	parts := []part{m.dot()}
	switch m.phase {
	case starting, waiting:
		parts = append(parts, part{text: m.waitingText(), paint: plain})
		if m.phase == waiting && m.canCopyLink() && m.newCode == "" {
			parts = append(parts, part{text: "Ctrl-Y copies the link", rank: 6, paint: m.style.dim})
		}
	case connecting:
		parts = append(parts, part{text: map[bool]string{true: "ringing", false: "connecting"}[m.ringing], paint: plain})
	case up:
		parts = append(parts, name, m.verifiedPart(m.method.StringWidth(" ● "+name.text+" · ")), part{text: shortPath(m.link.Path), rank: 5, paint: plain})
		if n := len(m.roundTrips); n > 0 {
			parts = append(parts, part{text: rttText(m.roundTrips[n-1]), rank: 4, paint: plain}, part{text: sparkline(m.roundTrips), rank: 7, paint: m.style.dim})
		}
	case lost:
		text := map[bool]string{true: "disconnected, waiting", false: "disconnected, waiting to reconnect"}[m.width < narrow]
		parts = append(parts, name, part{text: text, paint: m.style.warn}, part{text: "your messages are kept", rank: 6, paint: plain})
	case over:
		parts = append(parts, m.endPart(name.text))
		if m.input.text != "" { // the box hides its hint
			parts = append(parts, part{text: "to close: Ctrl-C, then Enter", rank: 6, paint: m.style.dim})
		}
	}
	switch unseen := m.history.unseen; {
	case unseen > 0:
		parts = append(parts, part{text: fmt.Sprintf("%d new below", unseen), rank: 3, paint: m.style.warn})
	case m.reading:
		parts = append(parts, part{text: "Esc: back", rank: 6, paint: plain})
	case !m.history.follows():
		parts = append(parts, part{text: "Esc: back to the end", rank: 6, paint: plain})
	}
	return parts
}

// dot says whether there is a connection, and whether it is verified; or that the newest rows are below.
func (m *model) dot() part {
	switch {
	case !m.history.follows():
		return part{text: "▼", rank: 1, paint: m.style.warn}
	case m.phase != up:
		return part{text: "○", rank: 1, paint: m.style.warn}
	case m.link.Verified || m.compared:
		return part{text: "●", rank: 1, paint: m.style.good}
	}
	return part{text: "●", rank: 1, paint: m.style.warn}
}

// endPart says how the conversation ended.
func (m *model) endPart(name string) part {
	switch {
	case m.refused:
		return part{text: "you ended the call: someone may be listening", paint: m.style.bad}
	case m.left:
		return part{text: name + " has left", paint: m.style.bar}
	}
	return part{text: "the conversation is over", paint: m.style.bar}
}

// waitingText says what the screen waits for before there is a connection.
func (m *model) waitingText() string {
	switch {
	case m.newCode != "":
		return "press Enter for a new code"
	case m.asking != nil:
		return "waiting for a code"
	case m.streams.Contact != "": // known also while there is no server
		return "waiting for " + tidyLine(m.streams.Contact)
	case m.code.Answering:
		return "waiting for the caller"
	}
	return "waiting for the other side"
}

// verifiedPart says whether the call is verified. If it is not, the part has the safety words, if they fit
// beside the others, which are the cells of the other parts, and is the last one to be dropped.
func (m *model) verifiedPart(others int) part {
	switch {
	case m.link.Verified:
		return part{text: "verified", rank: 3, paint: m.style.good}
	case m.compared:
		return part{text: "words compared", rank: 3, paint: m.style.good}
	case m.link.Foreign:
		return part{text: "unverified", paint: m.style.warn}
	}
	text := "unverified: " + strings.Join(m.link.SafetyWords, " ")
	if m.method.StringWidth(text)+others > m.width {
		text = "unverified"
	}
	return part{text: text, paint: m.style.warn}
}

// shortPath says in a word by which kind of candidate the other side was reached.
func shortPath(path string) string {
	switch path {
	case "host":
		return "direct"
	case "srflx", "prflx":
		return "via NAT"
	case "relay":
		return "relayed"
	}
	return path
}

// pathMeaning says what the word in the status means.
func pathMeaning(path string) string {
	word := shortPath(path)
	means := map[string]string{
		"direct":  ": from this machine to the other one",
		"via NAT": ": from this machine to the other one, through a router that changes addresses",
		"relayed": ": through a relay, which cannot read what passes",
	}
	return word + means[word]
}

// mostRoundTrips is how many round trips the sparkline shows.
const mostRoundTrips = 10

// sparkline draws round trips relative to their median, so that a steady connection looks steady even
// after one slow round trip.
func sparkline(trips []time.Duration) string {
	middle := slices.Sorted(slices.Values(trips))[len(trips)/2]
	bars := []rune("▁▂▃▄▅▆▇█")
	most := 3 * max(middle, 1)
	var b strings.Builder
	for _, t := range trips {
		b.WriteRune(bars[int64(len(bars)-1)*int64(min(t, most))/int64(most)])
	}
	return b.String()
}

// rttText is a round-trip time, as exactly as it matters.
func rttText(t time.Duration) string {
	switch {
	case t < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(t.Microseconds())/1000)
	case t >= time.Second:
		return fmt.Sprintf("%.1f s", t.Seconds())
	}
	return fmt.Sprintf("%d ms", t.Milliseconds())
}

// durationText is a duration for people.
func durationText(t time.Duration) string {
	s := int(t.Round(time.Second).Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	}
	return fmt.Sprintf("%d h %d min", s/3600, s/60%60)
}
