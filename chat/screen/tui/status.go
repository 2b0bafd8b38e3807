package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// A part of the status is left out where there is no room, the highest rank first. One with a
// shortest width is shortened to that before.
type part struct {
	text     string
	rank     int
	paint    lipgloss.Style
	shortest int // cells; 0 if it cannot be shortened
}

// status is the line that tells how the conversation stands.
func (m *model) status() string {
	parts := m.fitting(m.standing())
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

// fitting are the parts for which there is room: at least the most important one.
func (m *model) fitting(parts []part) []part {
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

// standing is what the status could say.
func (m *model) standing() []part {
	plain := m.style.bar
	name := fit(m.other(), max(m.width/3, 10), m.method)
	var parts []part
	add := func(rank int, paint lipgloss.Style, text string) {
		parts = append(parts, part{text: text, rank: rank, paint: paint})
	}
	const shortest = 4 // cells of a name
	switch {
	case !m.history.follows():
		add(1, m.style.warn, "▼")
	case m.phase == up && (m.link.Verified || m.compared):
		add(1, m.style.good, "●")
	case m.phase == up:
		add(1, m.style.warn, "●")
	default:
		add(1, m.style.warn, "○")
	}
	switch m.phase {
	case starting, waiting:
		add(0, plain, m.awaited())
		if m.phase == waiting && m.code.Link != "" && m.newCode == "" {
			add(6, m.style.dim, "Ctrl-Y copies the link")
		}
	case connecting:
		add(0, plain, "connecting")
	case up:
		parts = append(parts, part{name, 2, plain, shortest}, m.trust(m.method.StringWidth(" ● "+name+" · ")))
		add(5, plain, pathWord(m.link.Path))
		if n := len(m.trips); n > 0 {
			add(4, plain, trip(m.trips[n-1]))
			add(7, m.style.dim, sparkline(m.trips))
		}
	case lost:
		parts = append(parts, part{name, 2, plain, shortest})
		add(0, m.style.warn, map[bool]string{true: "disconnected, waiting", false: "disconnected, waiting to reconnect"}[m.width < narrow])
		add(6, plain, "your messages are kept")
	case over:
		switch {
		case m.refused:
			add(0, m.style.bad, "you ended the call: someone was listening")
		case m.left:
			add(0, plain, name+" has left")
		default:
			add(0, plain, "the conversation is over")
		}
	}
	switch unseen := m.history.unseen; {
	case unseen > 0:
		add(3, m.style.warn, fmt.Sprintf("%d new below", unseen))
	case !m.history.follows():
		add(6, plain, "Esc: back to the end")
	}
	return parts
}

// awaited says what the screen waits for before there is a connection.
func (m *model) awaited() string {
	switch {
	case m.newCode != "":
		return "press Enter for a new code"
	case m.asking != nil:
		return "waiting for a code"
	case m.code.Answering:
		return "waiting for the caller"
	}
	return "waiting for the other side"
}

// trust says whether the call is verified. Without that it has the safety words, if they fit
// beside so many other cells; it is the last part to be dropped.
func (m *model) trust(others int) part {
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

func pathWord(path string) string {
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

// mostTrips is how many round trips the sparkline shows.
const mostTrips = 10

// sparkline draws round trips, measured by the middle one: a steady connection looks steady,
// whatever happened once.
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

// trip is a round trip, as exactly as it matters.
func trip(t time.Duration) string {
	switch {
	case t < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(t.Microseconds())/1000)
	case t >= time.Second:
		return fmt.Sprintf("%.1f s", t.Seconds())
	}
	return fmt.Sprintf("%d ms", t.Milliseconds())
}

// span is a length of time for people.
func span(t time.Duration) string {
	s := int(t.Round(time.Second).Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	}
	return fmt.Sprintf("%d h %d min", s/3600, s/60%60)
}
