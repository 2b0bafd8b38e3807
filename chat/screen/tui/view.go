package tui

import (
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
	switch {
	case m.finding != nil:
		return "find: "
	case m.asking != nil:
		return "code: "
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
		part := m.invitation
		if m.code.Answering || m.asking != nil || m.newCode != "" {
			part = m.answering
		}
		head = part(height - min(len(m.history.entries), 3))
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
	case m.asking != nil:
		return "Tab completes its words"
	case m.newCode != "":
		return "Press Enter for a new code"
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
