package tui

import (
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// A kind is what an entry of the history shows.
type kind int

const (
	heard  kind = iota // the other side said it
	said               // this side did
	note               // something happened
	alarm              // something bad happened
	helped             // the answer to a command
	newDay
	unread // a line above the messages that came while the person looked elsewhere
)

// An entry of the history: a message, or what happened.
type entry struct {
	kind  kind
	at    time.Time
	name  string
	lines []string // tidy
	text  string   // of a message of this side's, until it is in the outbox

	id   uint64 // of a message of this side's, once it is in the outbox
	sent bool   // to a program that acknowledges nothing

	rows []string // as they are shown for key
	key  renderKey
}

// A renderKey is all that the rows of an entry depend on, beside the entry.
type renderKey struct {
	width  int
	column int // of names
	method ansi.Method
	dark   bool
	plain  bool
	sought string // what is highlighted
}

// What the history holds at most. The oldest entries go first, a tenth at a time.
const (
	mostEntries = 10_000
	mostBytes   = 16 << 20
)

// A history is what the person scrolls through. It makes rows only of visible entries.
type history struct {
	entries []*entry
	bytes   int
	dropped int // entries that trim removed

	// The bottom of the window shows entries[last] without its last rows, of which hidden are below
	// the window, as are all later entries.
	last   int
	hidden int
	unseen int // messages below that were never visible

	divides bool   // the next entry has the unread line above it
	divider *entry // the unread line; there is one at most

	render func(*entry) []string
}

func (h *history) add(e *entry) {
	follows := h.follows()
	if n := len(h.entries); n == 0 || !sameDay(h.entries[n-1].at, e.at) {
		h.push(&entry{kind: newDay, at: e.at})
	}
	if h.divides {
		h.divide(e.at)
	}
	h.push(e)
	switch {
	case follows:
		h.bottom()
	case e.kind == heard:
		h.unseen++
	}
	h.trim()
}

// divide puts the unread line at the end; the one before it goes.
func (h *history) divide(at time.Time) {
	if i := slices.Index(h.entries, h.divider); i >= 0 {
		h.entries = slices.Delete(h.entries, i, i+1)
		if h.last == i {
			h.hidden = 0
		}
		if h.last >= i {
			h.last = max(0, h.last-1)
		}
	}
	h.divider, h.divides = &entry{kind: unread, at: at}, false
	h.push(h.divider)
}

func (h *history) push(e *entry) {
	h.entries = append(h.entries, e)
	h.bytes += e.size()
}

func (e *entry) size() int {
	n := len(e.name)
	for _, l := range e.lines {
		n += len(l)
	}
	return n
}

func (h *history) trim() {
	if len(h.entries) <= mostEntries && h.bytes <= mostBytes {
		return
	}
	n := 0
	for n < len(h.entries)-1 && (len(h.entries)-n > mostEntries*9/10 || h.bytes > mostBytes*9/10) {
		h.bytes -= h.entries[n].size()
		n++
	}
	h.entries = append([]*entry(nil), h.entries[n:]...)
	h.dropped += n
	h.last -= n
	if h.last < 0 {
		h.last, h.hidden = 0, 0
	}
}

func sameDay(a, b time.Time) bool {
	ay, am, ad := a.Date()
	by, bm, bd := b.Date()
	return ay == by && am == bm && ad == bd
}

func (h *history) clear() { *h = history{render: h.render} }

func (h *history) follows() bool { return h.last >= len(h.entries)-1 && h.hidden == 0 }

func (h *history) bottom() {
	h.last, h.hidden, h.unseen = max(0, len(h.entries)-1), 0, 0
}

// scroll moves the window, which has height rows, by a number of rows; up is negative.
func (h *history) scroll(by, height int) {
	if len(h.entries) == 0 {
		return
	}
	for ; by < 0; by++ {
		h.hidden++
		if h.hidden >= len(h.render(h.entries[h.last])) && h.last > 0 {
			h.last--
			h.hidden = 0
		}
	}
	for ; by > 0 && !h.follows(); by-- {
		if h.hidden > 0 {
			h.hidden--
			continue
		}
		h.last++
		h.hidden = len(h.render(h.entries[h.last])) - 1
	}
	h.fillWindow(height)
	if h.follows() {
		h.unseen = 0
	}
}

// top scrolls to the oldest entry.
func (h *history) top(height int) {
	if len(h.entries) == 0 {
		return
	}
	h.last, h.hidden = 0, len(h.render(h.entries[0]))-1
	h.fillWindow(height)
}

// fillWindow moves the window down until it is full, if the history has enough rows.
func (h *history) fillWindow(height int) {
	rows := h.window(height)
	for missing := height - len(rows); missing > 0 && !h.follows(); missing-- {
		if h.hidden > 0 {
			h.hidden--
			continue
		}
		h.last++
		h.hidden = len(h.render(h.entries[h.last])) - 1
	}
}

// reflow keeps the window within the history after the rows of entries may have changed.
func (h *history) reflow(height int) {
	if h.last < len(h.entries) {
		h.hidden = min(h.hidden, len(h.render(h.entries[h.last]))-1)
	}
	h.fillWindow(height)
}

// window returns the visible rows, oldest first: height of them, or all.
func (h *history) window(height int) []string {
	if height <= 0 || len(h.entries) == 0 {
		return nil
	}
	var parts [][]string
	left := height
	for i, hidden := h.last, h.hidden; i >= 0 && left > 0; i, hidden = i-1, 0 {
		rows := h.render(h.entries[i])
		rows = rows[:max(0, len(rows)-hidden)]
		rows = rows[max(0, len(rows)-left):]
		left -= len(rows)
		parts = append(parts, rows)
	}
	window := make([]string, 0, height)
	for i := len(parts) - 1; i >= 0; i-- {
		window = append(window, parts[i]...)
	}
	return window
}

// transcript returns the history as plain text.
func (h *history) transcript() string {
	var b strings.Builder
	for _, e := range h.entries {
		switch e.kind {
		case newDay:
			b.WriteString(day(e.at) + "\n")
			continue
		case helped, unread:
			continue
		case heard, said:
			b.WriteString(clock(e.at) + " " + e.name + ": ")
		default:
			b.WriteString(clock(e.at) + " · ")
		}
		b.WriteString(strings.Join(e.lines, "\n      ") + "\n")
	}
	return b.String()
}

func clock(t time.Time) string { return t.Format("15:04") }
func day(t time.Time) string   { return t.Format("Monday, 2 January 2006") }
