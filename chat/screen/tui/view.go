package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

// A layout is how many rows each part of the screen has.
type layout struct{ history, transfers, hint, status, input int }

// narrow screens say less.
const narrow = 60

// prompt stands before what is written.
func (m *model) prompt() string {
	if m.finding != nil {
		return "find: "
	}
	return "> "
}

func (m *model) layout() layout {
	rows, _, _ := m.input.rows(m.width-len(m.prompt()), m.method)
	l := layout{input: min(len(rows), max(1, m.height/3)), status: 1}
	if m.height < 3 {
		l.status = max(0, m.height-l.input)
	}
	left := m.height - l.input - l.status
	if m.hint != "" && left > 1 {
		l.hint = min(len(wrap(m.hint, m.width, m.method)), 3, left-1)
		left -= l.hint
	}
	l.transfers = min(len(m.flowing()), max(1, m.height/5), max(0, left-1))
	l.history = max(0, left-l.transfers)
	return l
}

// room is how many rows of the history are seen.
func (m *model) room() int { return m.layout().history }

// View draws the whole screen. It makes no more rows than are seen.
func (m *model) View() tea.View {
	v := tea.View{AltScreen: true, ReportFocus: true}
	if m.width < 2 || m.height < 1 {
		return v
	}
	l := m.layout()
	rows := m.upper(l.history)
	rows = append(rows, m.transferRows(l.transfers)...)
	if m.hint != "" {
		hint := wrap(m.hint, m.width, m.method)
		for _, h := range hint[:min(l.hint, len(hint))] {
			rows = append(rows, m.style.warn.Render(h))
		}
	}
	if l.status > 0 {
		rows = append(rows, m.status())
	}
	box, x, y := m.box(l.input)
	v.Cursor = tea.NewCursor(x, len(rows)+y)
	v.Cursor.Blink = false
	rows = append(rows, box...)
	if m.width < 24 { // what stands before a text may be wider than that
		for i, row := range rows {
			rows[i] = fit(row, m.width, m.method)
		}
	}
	v.Content = strings.Join(rows, "\n")
	if m.phase >= up { // before, people want to copy the code
		v.MouseMode = tea.MouseModeCellMotion
	}
	return v
}

// upper is the history, and above it what the other side needs while it is not there.
func (m *model) upper(height int) []string {
	var head []string
	if m.phase == waiting || m.phase == connecting && m.code.Code != "" {
		head = m.invitation(height - min(len(m.history.entries), 3))
	}
	rows := m.history.window(height - len(head))
	blank := make([]string, height-len(head)-len(rows))
	if m.phase >= up {
		return append(blank, rows...)
	}
	rows = append(head, rows...)
	return append(rows, blank...)
}

// box is the rows of what is written, and where the cursor stands in them.
func (m *model) box(height int) (shown []string, x, y int) {
	rows, x, y := m.input.rows(m.width-len(m.prompt()), m.method)
	from := max(0, min(y-height+1, len(rows)-height))
	if y < from {
		from = y
	}
	for i, r := range rows[from:min(from+height, len(rows))] {
		head := strings.Repeat(" ", len(m.prompt()))
		if from+i == 0 {
			head = m.style.dim.Render(m.prompt())
		}
		shown = append(shown, head+r.shown)
	}
	if m.input.text == "" {
		shown[0] += m.style.dim.Render(fit(m.placeholder(), m.width-len(m.prompt()), m.method))
	}
	return shown, min(x+len(m.prompt()), m.width-1), y - from
}

func (m *model) placeholder() string {
	switch {
	case m.finding != nil:
		return ""
	case m.phase == over:
		return "Press Enter to close this screen"
	case m.width < narrow:
		return "Write, or /help"
	case m.phase < up:
		return "Type ahead: it is sent once they join. /help"
	}
	return "Write a message, or /help"
}

// rows makes the rows of an entry, once for each look.
func (m *model) rows(e *entry) []string {
	now := look{m.width, m.nameColumn(), m.method, m.style.dark, m.style.plain, m.sought(e)}
	if e.rows == nil || e.look != now {
		e.look, e.rows = now, m.makeRows(e)
	}
	if e.kind != said {
		return e.rows
	}
	last := len(e.rows) - 1
	rows := append([]string(nil), e.rows...)
	rows[last] += m.mark(e)
	return rows
}

// markRoom is what the mark of a delivered message takes, and a space.
const markRoom = 3

func (m *model) makeRows(e *entry) []string {
	switch e.kind {
	case newDay:
		return []string{m.dayRow(e.at)}
	case unread:
		return []string{m.rule(m.style.warn, " new ")}
	case helped:
		var rows []string
		for _, l := range e.lines {
			rows = append(rows, m.helpRows(l)...)
		}
		return rows
	}
	head := m.style.dim.Render(clock(e.at)) + " "
	indent, paint := 6, m.style.dim
	switch e.kind {
	case alarm:
		head += m.style.warn.Render("·") + " "
		indent, paint = 8, m.style.warn
	case note:
		head += m.style.dim.Render("·") + " "
		indent = 8
	default:
		column := m.nameColumn()
		head += m.style.name(e.name).Render(fill(e.name, column, m.method)) + " "
		indent += column + 1
	}
	width := m.width - indent
	if e.kind == said {
		width -= markRoom
	}
	var rows []string
	for _, l := range e.lines {
		marks := matches(l, m.sought(e))
		if e.kind == heard || e.kind == said {
			marks = append(marks, links(l)...)
		}
		for _, r := range breaks(l, width, m.method) {
			text := marked(l, r, marks)
			if e.kind == note || e.kind == alarm {
				text = paint.Render(text)
			}
			if len(rows) > 0 {
				head = strings.Repeat(" ", indent)
			}
			rows = append(rows, head+text)
		}
	}
	if e.kind == said {
		last := len(rows) - 1
		rows[last] += strings.Repeat(" ", max(1, m.width-m.method.StringWidth(rows[last])-markRoom+1))
	}
	return rows
}

// nameColumn is how wide names are shown.
func (m *model) nameColumn() int {
	most := 16
	if m.width < narrow {
		most = 7
	}
	if m.link.Peer == "" {
		return len(you)
	}
	return min(max(m.method.StringWidth(m.other()), len(you)), most)
}

func (m *model) dayRow(t time.Time) string {
	text := " " + day(t) + " "
	if m.method.StringWidth(text)+4 > m.width {
		text = " " + t.Format("Mon 2 Jan 2006") + " "
	}
	return m.rule(m.style.dim, text)
}

// rule is a line across the screen with a text in it.
func (m *model) rule(paint lipgloss.Style, text string) string {
	line := max(0, m.width-m.method.StringWidth(text))
	return paint.Render(fit(strings.Repeat("─", line/2)+text+strings.Repeat("─", line-line/2), m.width, m.method))
}

// helpRows shows a line of help: a tab stands between what and why.
func (m *model) helpRows(line string) []string {
	what, why, two := strings.Cut(line, "\t")
	if !two {
		var rows []string
		for _, r := range wrap(line, m.width-2, m.method) {
			rows = append(rows, "  "+m.style.strong.Render(r))
		}
		return rows
	}
	column := 23
	if m.width < narrow {
		column = 16
	}
	head := "  " + m.style.code.Render(fill(what, column, m.method)) + " "
	var rows []string
	for _, r := range wrap(why, m.width-column-3, m.method) {
		rows = append(rows, head+r)
		head = strings.Repeat(" ", column+3)
	}
	return rows
}

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
		add(0, plain, "waiting for the other side")
		if m.phase == waiting && m.code.Link != "" {
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
