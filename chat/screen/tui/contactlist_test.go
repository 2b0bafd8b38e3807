package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"p2pchat/chat/screen"
)

// A listRig is a list under test, with a clock that is set by hand.
type listRig struct {
	*ContactList
	t       *testing.T
	clock   time.Time
	decided []string
	raw     string // what the last message writes past the screen
}

func newListRig(t *testing.T, columns, rows int, names ...string) *listRig {
	t.Helper()
	r := &listRig{t: t, clock: evening}
	r.ContactList = NewContactList(screen.Streams{}, func(name string, answer bool) { r.decided = append(r.decided, fmt.Sprint(name, " ", answer)) })
	r.model.now = func() time.Time { return r.clock }
	var list []ListedContact
	for _, n := range names {
		list = append(list, ListedContact{Name: n})
	}
	r.Set(list)
	r.send(tea.WindowSizeMsg{Width: columns, Height: rows})
	return r
}

// send hands the list a message, and checks that the screen is exactly as large as the terminal.
func (r *listRig) send(message tea.Msg) (quits bool) {
	r.t.Helper()
	_, next := r.model.Update(message)
	r.raw = ""
	quits = r.run(next)
	rows := strings.Split(r.model.View().Content, "\n")
	if len(rows) != r.model.height {
		r.t.Fatalf("%d rows on a screen of %d×%d:\n%s", len(rows), r.model.width, r.model.height, r.seen())
	}
	for _, row := range rows {
		if w := r.model.method.StringWidth(row); w > r.model.width || strings.ContainsAny(ansi.Strip(row), "\x1b\x07\u202e") {
			r.t.Fatalf("a row of %d cells on a screen of %d×%d: %q", w, r.model.width, r.model.height, row)
		}
	}
	return quits
}

func (r *listRig) run(next tea.Cmd) (quits bool) {
	if next == nil {
		return false
	}
	switch m := next().(type) {
	case tea.BatchMsg:
		for _, c := range m {
			quits = r.run(c) || quits
		}
	case tea.RawMsg:
		r.raw += fmt.Sprint(m.Msg)
	case tea.QuitMsg:
		return true
	}
	return quits
}

func (r *listRig) press(text string) (quits bool) {
	r.t.Helper()
	for _, k := range keys(text) {
		quits = r.send(k)
	}
	return quits
}

func (r *listRig) seen() string { return ansi.Strip(r.model.View().Content) }

func (r *listRig) shows(text string) {
	r.t.Helper()
	if !strings.Contains(r.seen(), text) {
		r.t.Errorf("it does not show %q:\n%s", text, r.seen())
	}
}

func TestContactList(t *testing.T) {
	r := newListRig(t, 70, 12, "@ann", "@ben", "@carol")
	r.model.ticking = true // the test sets the clock
	r.shows("listening for 3 contacts")
	r.press("a")
	r.shows("Nobody is calling.")

	r.Ring("@ben")
	r.send(changedMsg{})
	if !strings.Contains(r.raw, "\a") || !strings.Contains(r.raw, "@ben is calling – p2pchat") {
		t.Errorf("neither bell nor title: %q", r.raw)
	}
	r.clock = r.clock.Add(12 * time.Second)
	r.shows("> ● @ben    is calling, 12 s")
	r.Ring("@carol")
	r.send(changedMsg{})
	r.shows("2 are calling")
	r.shows("> ● @ben") // Enter means the one it meant before
	r.press("d")
	r.Ended("@ben", "declined")
	r.send(changedMsg{})
	r.shows("@ben    declined at 21:04")
	r.shows("> ● @carol")
	r.send(tea.KeyPressMsg{Code: tea.KeyEnter})
	r.Ended("@carol", "answered")
	if got := strings.Join(r.decided, ", "); got != "@ben false, @carol true" {
		t.Errorf("decided: %s", got)
	}

	r.Set([]ListedContact{{Name: "@ann"}, {Name: "@carol", State: "may not call", Barred: true}})
	r.send(changedMsg{})
	r.shows("> ○ @carol  answered at 21:04")
	r.shows("listening for 1 contact")
	r.Note("The server is away.")
	r.send(changedMsg{})
	r.shows("21:04 The server is away.")
	r.press("x")
	r.shows("q leaves.")
	if !r.press("q") || !r.model.left {
		t.Error("q does not leave")
	}
}

// A long note is whole where there is space, and the newest ones are shown.
func TestContactListWrapsNotes(t *testing.T) {
	const told = "@ann: 2 letters are missing: they expired, or the server withholds them. Their sender still has them."
	whole := func(r *listRig) string { return strings.Join(strings.Fields(r.seen()), " ") }
	r := newListRig(t, 60, 14, "@ann", "@ben")
	for n := range 4 {
		r.Note(fmt.Sprint("Note ", n, "."))
	}
	r.Note(told)
	r.send(changedMsg{})
	if !strings.Contains(whole(r), "Note 3. 21:04 "+told) {
		t.Errorf("it shows\n%s", r.seen())
	}
	r.send(tea.WindowSizeMsg{Width: 60, Height: 5})
	r.shows("21:04 @ann: 2 letters are missing: they expired, or the ser…")
	r.shows("@ben")
}

func TestContactListFits(t *testing.T) {
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("@c%d", i))
	}
	hostile := []string{"@\x1b[2J\u202egnp.exe", "@" + strings.Repeat("wide字", 500), "@a\nb\tc", "@👨‍👩‍👧‍👦" + strings.Repeat("\u0301", 99)}
	for _, size := range [][2]int{{80, 24}, {20, 5}, {30, 3}, {9, 2}, {2, 1}, {200, 60}} {
		for _, names := range [][]string{nil, hostile, many} {
			r := newListRig(t, size[0], size[1], names...)
			r.model.ticking = true
			for _, n := range names {
				r.Ring(n)
			}
			r.send(changedMsg{})
			r.Note(strings.Repeat("long ", 200))
			r.press("xd")
			for _, key := range []tea.KeyPressMsg{{Code: tea.KeyEnd}, {Code: tea.KeyPgUp}, {Code: tea.KeyDown}, {Code: tea.KeyHome}, {Code: tea.KeyUp}, {Code: tea.KeyPgDown}} {
				r.send(key)
				if len(names) > 0 && size[1] > 2 && !strings.Contains(r.seen(), "> ●") {
					t.Errorf("the chosen one is not visible:\n%s", r.seen())
				}
			}
		}
	}
}
