package tui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

// A layout is how many rows each part of the screen has.
type layout struct{ history, transfers, hint, status, input int }

// narrow is the width in cells below which the screen shows less.
const narrow = 60

// prompt stands before the text of the box.
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
	l.transfers = min(len(m.runningTransfers()), max(1, m.height/5), max(0, left-1))
	l.history = max(0, left-l.transfers)
	return l
}

// historyRows returns how many rows of the history are visible.
func (m *model) historyRows() int {
	height := m.layout().history
	return height - len(m.head(height))
}

// View draws the whole screen. It makes only visible rows.
func (m *model) View() tea.View {
	v := tea.View{AltScreen: true, ReportFocus: true}
	if m.width < 2 || m.height < 1 {
		return v
	}
	l := m.layout()
	rows := m.upperRows(l.history)
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
	box, x, y := m.inputRows(l.input)
	v.Cursor = tea.NewCursor(x, len(rows)+y)
	v.Cursor.Blink = false
	rows = append(rows, box...)
	if m.width < 24 { // the name before a message may be wider than that
		for i, row := range rows {
			rows[i] = fit(row, m.width, m.method)
		}
	}
	v.Content = strings.Join(rows, "\n")
	if m.phase >= up { // until then, people select the code with the mouse
		v.MouseMode = tea.MouseModeCellMotion
	}
	return v
}

// head returns what stands above the history until the two connect: the code, or what the program waits for.
func (m *model) head(height int) []string {
	if m.reading || m.phase != waiting && (m.phase != connecting || m.code.Code == "") {
		return nil
	}
	part := m.invitation
	if m.code.Answering || m.code.Contact != "" || m.asking != nil || m.newCode != "" {
		part = m.answering
	}
	return part(height - min(len(m.history.entries), 3))
}

// upperRows shows the history and its head.
func (m *model) upperRows(height int) []string {
	head := m.head(height)
	rows := m.history.window(height - len(head))
	blank := make([]string, height-len(head)-len(rows))
	if m.phase >= up {
		return append(blank, rows...)
	}
	rows = append(head, rows...)
	return append(rows, blank...)
}

// inputRows returns the rows of the box, and the cursor's place in them.
func (m *model) inputRows(height int) (shown []string, x, y int) {
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
	case m.phase < up && m.mailed > 0:
		return "Write a message: it waits at the server, sealed. /help"
	case m.phase < up:
		return "Type ahead: it is sent once they join. /help"
	}
	return "Write a message, or /help"
}

// rows returns the rows of an entry, and makes them only if they would look different.
func (m *model) rows(e *entry) []string {
	now := renderKey{m.width, m.nameColumn(), m.method, m.style.dark, m.style.plain, m.sought(e)}
	if e.rows == nil || e.key != now {
		e.key, e.rows = now, m.makeRows(e)
	}
	if e.kind != said {
		return e.rows
	}
	last := len(e.rows) - 1
	rows := append([]string(nil), e.rows...)
	rows[last] += m.mark(e)
	return rows
}

// markRoom is how many cells the mark of a message and a space take.
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
	case note:
		return m.noteRows(e, m.style.dim)
	case alarm:
		return m.noteRows(e, m.style.warn)
	}
	return m.messageRows(e)
}

func (m *model) noteRows(e *entry, paint lipgloss.Style) []string {
	const indent = 8
	head := m.clockHead(e) + paint.Render("·") + " "
	return m.textRows(e, head, indent, m.width-indent, func(line string, row segment) string {
		return paint.Render(marked(line, row, matches(line, m.sought(e))))
	})
}

func (m *model) messageRows(e *entry) []string {
	column := m.nameColumn()
	head, indent := m.clockHead(e)+m.style.name(e.name).Render(fill(e.name, column, m.method))+" ", column+7
	width := m.width - indent
	if e.kind == said {
		width -= markRoom
	}
	rows := m.textRows(e, head, indent, width, func(line string, row segment) string {
		return marked(line, row, append(matches(line, m.sought(e)), links(line)...))
	})
	if e.kind == said { // rows appends the mark
		last := len(rows) - 1
		rows[last] += strings.Repeat(" ", max(1, m.width-m.method.StringWidth(rows[last])-markRoom+1))
	}
	return rows
}

func (m *model) clockHead(e *entry) string { return m.style.dim.Render(clock(e.at)) + " " }

// textRows breaks the lines of an entry at width. The first row begins with head, which has indent cells; show
// makes the text of a row.
func (m *model) textRows(e *entry, head string, indent, width int, show func(line string, row segment) string) (rows []string) {
	for _, l := range e.lines {
		for _, r := range breakLine(l, width, m.method) {
			rows = append(rows, head+show(l, r))
			head = strings.Repeat(" ", indent)
		}
	}
	return rows
}

// nameColumn returns the width of the column of names.
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

// leastHelp is how many cells the second column of help needs: below that, words would be broken.
const leastHelp = 18

// helpRows shows a line of help in two columns: a tab separates them. Where the first one is too wide,
// or leaves too little for the second, the second stands below.
func (m *model) helpRows(line string) (rows []string) {
	what, why, two := strings.Cut(line, "\t")
	if !two {
		for _, r := range wrap(line, m.width-2, m.method) {
			rows = append(rows, "  "+m.style.strong.Render(r))
		}
		return rows
	}
	column := 23
	if m.width < narrow {
		column = 16
	}
	indent := column + 3
	head := "  " + m.style.code.Render(fill(what, column, m.method)) + " "
	if m.method.StringWidth(what) > column || m.width-indent < leastHelp {
		for _, r := range wrap(what, m.width-2, m.method) {
			rows = append(rows, "  "+m.style.code.Render(r))
		}
		indent = 4
		head = strings.Repeat(" ", indent)
	}
	for _, r := range wrap(why, m.width-indent, m.method) {
		rows = append(rows, head+r)
		head = strings.Repeat(" ", indent)
	}
	return rows
}
