package tui

import (
	"strings"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// An editor is the box in which a message is written. It holds any number of lines, takes the
// keys of readline, and brings back sent messages.
type editor struct {
	text   string
	at     int // the cursor: a byte of text, between two clusters
	killed string

	undos []undo   // states for undo, oldest first
	past  []string // sent texts, oldest first
	back  int      // which of past is in the box, from the newest, 1; 0 for none
	draft string   // the text of the box before the first recall
}

// An undo is the state of the box before a change.
type undo struct {
	text   string
	at     int
	typing bool // the change was a letter, which the next letter continues
}

// Bounds of undo: changes, and bytes of text.
const (
	mostUndos     = 100
	mostUndoBytes = 4 << 20
)

// mostPast bounds the sent texts that come back with the arrow keys.
const mostPast = 200

func (e *editor) set(text string) { e.text, e.at = text, len(text) }

// insert puts text at the cursor. Pasted text has carriage returns for newlines.
func (e *editor) insert(text string) {
	text = strings.ReplaceAll(strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\r\n", "\n"), "\r", "\n")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, text)
	if text == "" {
		return
	}
	e.saveUndo(!strings.ContainsAny(text, " \n\t")) // one undo removes a word
	e.text = e.text[:e.at] + text + e.text[e.at:]
	e.at += len(text)
}

// saveUndo saves the state before a change. Letters that continue a word need no state of their own.
func (e *editor) saveUndo(typing bool) {
	if n := len(e.undos); n > 0 && typing && e.undos[n-1].typing {
		return
	}
	e.undos = append(e.undos, undo{e.text, e.at, typing})
	most := min(mostUndos, 1+mostUndoBytes/(1+len(e.text)))
	e.undos = e.undos[max(0, len(e.undos)-most):]
}

// undo undoes the last change.
func (e *editor) undo() {
	n := len(e.undos)
	if n == 0 {
		return
	}
	e.text, e.at = e.undos[n-1].text, e.undos[n-1].at
	e.undos = e.undos[:n-1]
}

// commit empties the box. What it held comes back with the arrow keys.
func (e *editor) commit() {
	text := e.text
	if text != "" && (len(e.past) == 0 || e.past[len(e.past)-1] != text) {
		e.past = append(e.past, text)
		e.past = e.past[max(0, len(e.past)-mostPast):]
	}
	e.set("")
	e.back, e.draft, e.undos = 0, "", nil
}

// edit handles a key, and ignores one that has no meaning here.
func (e *editor) edit(k tea.KeyPressMsg) {
	if at, moves := e.target(k.String()); moves {
		e.at = at
		return
	}
	switch k.String() {
	case "backspace", "ctrl+h", "shift+backspace":
		e.cut(e.before(), e.at, false)
	case "delete", "ctrl+d":
		e.cut(e.at, e.after(), false)
	case "ctrl+w", "alt+backspace":
		e.cut(e.wordBefore(), e.at, true)
	case "alt+d":
		e.cut(e.at, e.wordAfter(), true)
	case "ctrl+u":
		e.killBefore()
	case "ctrl+k":
		e.killAfter()
	case "ctrl+y":
		e.insert(e.killed)
	case "ctrl+t":
		e.transpose()
	case "ctrl+_", "ctrl+/", "ctrl+-", "ctrl+shift+-":
		e.undo()
	case "alt+enter", "shift+enter":
		e.insert("\n")
	default:
		e.insert(k.Text)
	}
}

// target returns where a key moves the cursor; moves is false for other keys.
func (e *editor) target(key string) (at int, moves bool) {
	switch key {
	case "left", "ctrl+b":
		return e.before(), true
	case "right", "ctrl+f":
		return e.after(), true
	case "home", "ctrl+a":
		return e.lineStart(), true
	case "end", "ctrl+e":
		return e.lineEnd(), true
	case "alt+left", "ctrl+left", "alt+b":
		return e.wordBefore(), true
	case "alt+right", "ctrl+right", "alt+f":
		return e.wordAfter(), true
	}
	return 0, false
}

// cut removes text. Ctrl-Y inserts what was killed last.
func (e *editor) cut(from, to int, kill bool) {
	if from == to {
		return
	}
	e.saveUndo(false)
	if kill {
		e.killed = e.text[from:to]
	}
	e.text = e.text[:from] + e.text[to:]
	e.at = from
}

// killBefore kills the beginning of the line. At the beginning, it joins the line with the one before.
func (e *editor) killBefore() {
	start := e.lineStart()
	if start == e.at && start > 0 {
		start--
	}
	e.cut(start, e.at, true)
}

// killAfter kills the rest of the line. At the end, it joins the line with the next one.
func (e *editor) killAfter() {
	end := e.lineEnd()
	if end == e.at && end < len(e.text) {
		end++
	}
	e.cut(e.at, end, true)
}

// transpose swaps the two letters around the cursor, or at the end the last two.
func (e *editor) transpose() {
	if e.at == e.lineEnd() {
		e.at = e.before()
	}
	from, to := e.before(), e.after()
	if from == e.at || to == e.at || from < e.lineStart() {
		return
	}
	e.saveUndo(false)
	e.text = e.text[:from] + e.text[e.at:to] + e.text[from:e.at] + e.text[to:]
	e.at = to
}

func (e *editor) lineStart() int { return strings.LastIndexByte(e.text[:e.at], '\n') + 1 }

func (e *editor) lineEnd() int {
	if n := strings.IndexByte(e.text[e.at:], '\n'); n >= 0 {
		return e.at + n
	}
	return len(e.text)
}

func (e *editor) after() int {
	if e.at == len(e.text) {
		return e.at
	}
	g, _ := cluster(e.text[e.at:], ansi.GraphemeWidth)
	return e.at + len(g)
}

// before returns where the cluster before the cursor begins. It walks from the start of the line, because
// clusters cannot be found backwards.
func (e *editor) before() int {
	if e.at == 0 {
		return 0
	}
	from := e.lineStart()
	if from == e.at {
		return e.at - 1
	}
	for {
		g, _ := cluster(e.text[from:], ansi.GraphemeWidth)
		if from+len(g) >= e.at {
			return from
		}
		from += len(g)
	}
}

func (e *editor) wordBefore() int {
	head := strings.TrimRightFunc(e.text[:e.at], notOfWord)
	return len(strings.TrimRightFunc(head, ofWord))
}

func (e *editor) wordAfter() int {
	tail := strings.TrimLeftFunc(e.text[e.at:], notOfWord)
	return len(e.text) - len(strings.TrimLeftFunc(tail, ofWord))
}

func ofWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) || r == '_'
}
func notOfWord(r rune) bool { return !ofWord(r) }

// recall brings back the text that was sent before (by 1) or after (by -1).
func (e *editor) recall(by int) {
	to := e.back + by
	if to < 0 || to > len(e.past) {
		return
	}
	if e.back == 0 || e.text != e.past[len(e.past)-e.back] { // a changed old text is a draft, too
		e.draft = e.text
	}
	e.back = to
	if to == 0 {
		e.set(e.draft)
		return
	}
	e.set(e.past[len(e.past)-to])
}

// An editRow is a row of the box: a part of text, and how it looks.
type editRow struct {
	from, to int
	shown    string
}

// rows returns the text as rows of a width, and the cursor's place in them.
func (e *editor) rows(width int, m ansi.Method) (rows []editRow, x, y int) {
	width = max(width, 2)
	from, used := 0, 0
	var shown strings.Builder
	next := func(at, begin int) {
		rows = append(rows, editRow{from, at, shown.String()})
		shown.Reset()
		from, used = begin, 0
	}
	for at := 0; at < len(e.text); {
		if at == e.at {
			x, y = used, len(rows)
		}
		g, w := cluster(e.text[at:], m)
		if g[0] == '\n' {
			next(at, at+1)
			at++
			continue
		}
		glyph := tidyCluster(g)
		glyph, w = narrowGlyph(glyph, w, width, m)
		if g == "\t" {
			w = tabStop - used%tabStop
			glyph = "    "[:w]
		}
		if used+w > width {
			next(at, at)
			if at == e.at {
				x, y = 0, len(rows)
			}
		}
		shown.WriteString(glyph)
		used += w
		at += len(g)
	}
	if e.at == len(e.text) {
		if used == width { // the cursor needs a row of its own
			next(len(e.text), len(e.text))
		}
		x, y = used, len(rows)
	}
	rows = append(rows, editRow{from, len(e.text), shown.String()})
	return rows, x, y
}

// narrowGlyph returns a cluster that fits into width cells. Terminals that draw the parts of a joined
// emoji side by side need up to 12 cells for a family: a narrower box shows its first part.
func narrowGlyph(glyph string, w, width int, m ansi.Method) (string, int) {
	if w <= width {
		return glyph, w
	}
	_, n := utf8.DecodeRuneInString(glyph)
	return glyph[:n], min(m.StringWidth(glyph[:n]), width)
}

// move moves the cursor a row up or down. It returns false if there is no such row.
func (e *editor) move(by, width int, m ansi.Method) bool {
	rows, x, y := e.rows(width, m)
	if y+by < 0 || y+by >= len(rows) {
		return false
	}
	to := rows[y+by]
	at, used := to.from, 0
	for at < to.to {
		g, w := cluster(e.text[at:], m)
		if _, w = narrowGlyph(g, w, width, m); used+w > x {
			break
		}
		used += w
		at += len(g)
	}
	if at == to.to && y+by+1 < len(rows) && rows[y+by+1].from == at && at > to.from { // the end of this row is the beginning of the next one
		e.at = at
		e.at = e.before()
		return true
	}
	e.at = at
	return true
}
