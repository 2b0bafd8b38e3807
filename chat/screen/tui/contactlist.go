package tui

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"p2pchat/chat/screen"
)

// A ContactList shows, on a whole terminal, the contacts who may call, and who of them does. Its methods may be called from any
// goroutine, and also while it is not shown.
type ContactList struct {
	mu      sync.Mutex // guards what follows
	model   listModel
	program *tea.Program // nil while it is not shown
}

// A ListedContact is a row of a ContactList.
type ListedContact struct {
	Name   string // as the person types it
	State  string // what is known of it apart from calls; perhaps empty
	Barred bool   // it may not call
}

// NewContactList returns a list for a terminal, which s.In and s.Out have to be. It calls decide, in a goroutine of its own, when
// the person answers or declines the call of a contact.
func NewContactList(s screen.Streams, decide func(name string, answer bool)) *ContactList {
	l := &ContactList{}
	l.model = listModel{terminal: newTerminal(s), decide: decide, lock: &l.mu, happened: map[string]string{}, calls: map[string]time.Time{}}
	return l
}

// Show shows the list until ctx ends, or the person leaves: then left is true. It gives the terminal back. The error is the
// terminal's.
func (l *ContactList) Show(ctx context.Context) (left bool, err error) {
	s := l.model.streams
	if n, ok := s.Notes.(noteHolder); ok {
		n.Hold()
		defer n.Release()
	}
	top := &recoverModel{model: &l.model}
	program := newProgram(top, s)
	l.mu.Lock()
	l.model.left, l.model.titleShown, l.model.lastKey = false, "", l.model.now()
	l.program = program
	l.mu.Unlock()
	interrupted := context.AfterFunc(ctx, program.Quit)
	err = l.model.run(program)
	interrupted()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.program = nil
	_, _ = io.WriteString(s.Out, restoreTitle) // a terminal that is gone ends the program
	if err != nil {
		err = fmt.Errorf("the terminal: %w", err)
	}
	return l.model.left, cmp.Or(top.err, err)
}

// change changes the list, and shows that.
func (l *ContactList) change(do func(m *listModel)) {
	l.mu.Lock()
	do(&l.model)
	program := l.program
	l.mu.Unlock()
	if program != nil {
		program.Send(changedMsg{})
	}
}

// Set sets the contacts.
func (l *ContactList) Set(contacts []ListedContact) {
	l.change(func(m *listModel) {
		chosen := m.chosenName()
		m.contacts = contacts
		m.choose(chosen)
	})
}

// Ring shows that a contact calls, and chooses it unless another one that calls is chosen.
func (l *ContactList) Ring(name string) {
	l.change(func(m *listModel) {
		_, busy := m.calls[m.chosenName()]
		m.calls[name] = m.now()
		if !busy {
			m.choose(name)
		}
		m.rings = append(m.rings, name)
	})
}

// Ended shows how the call of a contact ended; how is a sentence's rest, like "missed".
func (l *ContactList) Ended(name, how string) {
	l.change(func(m *listModel) {
		delete(m.calls, name)
		m.rings = slices.DeleteFunc(m.rings, func(rings string) bool { return rings == name }) // it rang while the list was not shown
		m.happened[name] = how + " at " + clock(m.now())
		if len(m.calls) == 1 {
			for other := range m.calls {
				m.choose(other)
			}
		}
	})
}

// Note shows a sentence.
func (l *ContactList) Note(text string) {
	l.change(func(m *listModel) {
		m.notes = append(m.notes, clock(m.now())+" "+tidyLine(text))
		m.notes = m.notes[max(0, len(m.notes)-mostNotes):]
	})
}

// mostNotes is how many notes a ContactList keeps.
const mostNotes = 5

// A listModel is all that a ContactList knows. Bubble Tea's loop and the list's methods take turns.
type listModel struct {
	terminal
	lock   *sync.Mutex
	decide func(name string, answer bool)

	contacts []ListedContact
	chosen   int                  // of contacts
	calls    map[string]time.Time // who calls, and since when
	rings    []string             // who has begun to, and was not rung for yet
	happened map[string]string    // how the last call of a contact ended
	notes    []string
	left     bool // the person leaves
	ticking  bool // a tick is on its way
}

type (
	// A changedMsg says that the list has changed.
	changedMsg struct{}
	// A tickMsg comes each second while a contact calls.
	tickMsg struct{}
)

func (m *listModel) Init() tea.Cmd {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.ticking = false
	return m.retitle(m.title, tea.Batch(tea.RequestBackgroundColor, m.tick()))
}

func (m *listModel) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	m.lock.Lock()
	defer m.lock.Unlock()
	var next tea.Cmd
	switch t := message.(type) {
	case tea.KeyPressMsg:
		m.lastKey = m.now()
		next = m.key(t.String())
	case changedMsg:
		next = m.ringAll()
	case tickMsg:
		m.ticking = false
	default:
		next = m.report(t)
	}
	return m, m.retitle(m.title, tea.Batch(next, m.tick()))
}

// ringAll rings for each call that has begun.
func (m *listModel) ringAll() tea.Cmd {
	var all []tea.Cmd
	for _, name := range m.rings {
		all = append(all, m.alert(name+" is calling"))
	}
	m.rings = nil
	return tea.Batch(all...)
}

// tick lets the screen count the seconds of a call.
func (m *listModel) tick() tea.Cmd {
	if m.ticking || len(m.calls) == 0 {
		return nil
	}
	m.ticking = true
	return tea.Tick(time.Second, func(time.Time) tea.Msg { return tickMsg{} })
}

func (m *listModel) key(key string) tea.Cmd {
	m.hint = ""
	switch key {
	case "enter", "kpenter", "ctrl+j", "a":
		return m.answerChosen(true)
	case "d":
		return m.answerChosen(false)
	case "up", "k", "ctrl+p":
		m.chosen = max(0, m.chosen-1)
	case "down", "j", "ctrl+n":
		m.chosen = max(0, min(len(m.contacts)-1, m.chosen+1))
	case "home":
		m.chosen = 0
	case "end":
		m.chosen = max(0, len(m.contacts)-1)
	case "pgup":
		m.chosen = max(0, m.chosen-m.listRows())
	case "pgdown":
		m.chosen = max(0, min(len(m.contacts)-1, m.chosen+m.listRows()))
	case "q", "ctrl+c", "ctrl+d":
		m.left = true
		return tea.Quit
	case "ctrl+z":
		return m.suspend()
	case "ctrl+l":
		return tea.ClearScreen
	default:
		m.hint = "Enter answers a call, d declines it, q leaves."
	}
	return nil
}

// answerChosen answers or declines the call of the chosen contact, or if only another one calls, of that.
func (m *listModel) answerChosen(answer bool) tea.Cmd {
	name := m.chosenName()
	if _, calls := m.calls[name]; !calls {
		if len(m.calls) != 1 {
			m.hint = map[bool]string{true: "Nobody is calling.", false: "Choose one of those who are calling."}[len(m.calls) == 0]
			return nil
		}
		for only := range m.calls {
			name = only
		}
	}
	decide := m.decide
	return func() tea.Msg {
		decide(name, answer)
		return nil
	}
}

func (m *listModel) chosenName() string {
	if m.chosen < len(m.contacts) {
		return m.contacts[m.chosen].Name
	}
	return ""
}

// choose chooses the contact of that name, or if there is none, the one in its place.
func (m *listModel) choose(name string) {
	at := slices.IndexFunc(m.contacts, func(c ListedContact) bool { return c.Name == name })
	if at < 0 {
		at = max(0, min(m.chosen, len(m.contacts)-1))
	}
	m.chosen = at
}

// title returns the window's title: who calls.
func (m *listModel) title() string {
	switch len(m.calls) {
	case 0:
		return "p2pchat"
	case 1:
		for name := range m.calls {
			return fit(tidyLine(name), mostTitle, m.method) + " is calling – p2pchat"
		}
	}
	return fmt.Sprintf("%d are calling – p2pchat", len(m.calls))
}

// listRows returns how many contacts are visible.
func (m *listModel) listRows() int {
	return max(1, m.height-2-len(m.noteRows(m.height/4)))
}

// View draws the whole screen: the contacts, notes, the status, the keys.
func (m *listModel) View() tea.View {
	m.lock.Lock()
	defer m.lock.Unlock()
	v := tea.View{AltScreen: true, ReportFocus: true}
	if m.width < 2 || m.height < 1 {
		return v
	}
	rows := m.contactRows(m.listRows())
	for _, r := range m.noteRows(m.height - 2 - len(rows)) {
		rows = append(rows, m.style.dim.Render(r))
	}
	status := fill(" "+m.statusText(), m.width, m.method)
	bottom := append([]string{m.style.bar.Render(status)}, m.keyRows()...)
	bottom = bottom[:min(len(bottom), m.height)]
	room := m.height - len(bottom)
	rows = append(rows[:min(len(rows), room)], make([]string, max(0, room-len(rows)))...)
	v.Content = strings.Join(append(rows, bottom...), "\n")
	return v
}

// noteRows returns the newest notes that fit into height rows, or as much of the last one as does.
func (m *listModel) noteRows(height int) (rows []string) {
	if height < 1 {
		return nil
	}
	for _, n := range slices.Backward(m.notes) {
		wrapped := wrap(n, m.width, m.method)
		if len(rows) > 0 && len(wrapped)+len(rows) > height {
			break
		}
		rows = append(wrapped, rows...)
	}
	if len(rows) > height {
		rows[height-1] = fit(rows[height-1]+" "+rows[height], m.width, m.method)
		rows = rows[:height]
	}
	return rows
}

// keyRows says what the keys do, or why the last one did nothing.
func (m *listModel) keyRows() []string {
	if m.hint != "" {
		hint := wrap(m.hint, m.width, m.method)
		for i, row := range hint {
			hint[i] = m.style.warn.Render(row)
		}
		return hint[:min(len(hint), max(1, m.height/3))]
	}
	keys := "Enter answers · d declines · ↑↓ choose · q leaves"
	switch {
	case m.width < narrow/2:
		keys = "a answers, d not"
	case m.width < narrow:
		keys = "a answers · d declines · q"
	}
	return []string{m.style.dim.Render(fit(keys, m.width, m.method))}
}

func (m *listModel) statusText() string {
	switch {
	case len(m.calls) == 1:
		for name := range m.calls {
			return tidyLine(name) + " is calling"
		}
	case len(m.calls) > 1:
		return fmt.Sprintf("%d are calling", len(m.calls))
	}
	n := 0
	for _, c := range m.contacts {
		if !c.Barred {
			n++
		}
	}
	switch n {
	case 0:
		return "no contact may call"
	case 1:
		return "listening for 1 contact"
	}
	return fmt.Sprintf("listening for %d contacts", n)
}

// contactRows returns the rows of the contacts around the chosen one.
func (m *listModel) contactRows(height int) (rows []string) {
	if len(m.contacts) == 0 {
		for _, r := range wrap("You have kept no contacts, so no one can call. To keep one: meet in a call with a code (p2pchat call), and both type /keep there.", m.width-2, m.method) {
			rows = append(rows, "  "+r)
		}
		return rows[:min(len(rows), height)]
	}
	from := max(0, min(m.chosen-height/2, len(m.contacts)-height))
	column := 0
	shown := m.contacts[from:min(from+height, len(m.contacts))]
	for _, c := range shown {
		column = max(column, m.method.StringWidth(tidyLine(c.Name)))
	}
	column = min(column, max(4, m.width/2-4))
	for i, c := range shown {
		rows = append(rows, m.contactRow(c, column, from+i == m.chosen))
	}
	return rows
}

func (m *listModel) contactRow(c ListedContact, column int, chosen bool) string {
	mark, paint, text := "○", m.style.dim, cmp.Or(m.happened[c.Name], c.State)
	if since, calls := m.calls[c.Name]; calls {
		mark, paint, text = "●", m.style.warn, fmt.Sprintf("is calling, %d s", int(m.now().Sub(since).Seconds()))
	}
	name := m.style.name(c.Name)
	head := "  "
	if chosen {
		head, name = "> ", name.Inherit(lipgloss.NewStyle().Underline(true))
	}
	row := head + paint.Render(mark) + " " + name.Render(fit(tidyLine(c.Name), column, m.method))
	space := strings.Repeat(" ", max(0, column-m.method.StringWidth(fit(tidyLine(c.Name), column, m.method)))+2)
	return fit(row+space+paint.Render(tidyLine(text)), m.width, m.method)
}
