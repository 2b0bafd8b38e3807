package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat"
)

// A command is a line that begins with a slash.
type command struct {
	name, argument, does string
	run                  func(m *model, argument string) (tea.Cmd, error)
	complete             func(begun string) []string // of the argument; may be nil
}

var commands []command

func init() { // help lists them
	commands = []command{
		{"/help", "", "shows this", (*model).help, nil},
		{"/send", "PATH…", "offers files or folders", (*model).send, completePath},
		{"/accept", "[N]", "takes an offered file; all takes all of them", (*model).accept, nil},
		{"/decline", "[N]", "refuses one", (*model).decline, nil},
		{"/cancel", "[N]", "gives up a file that is on its way", (*model).cancel, nil},
		{"/name", "NAME", "changes how the other side sees you", (*model).rename, nil},
		{"/verify", "[ok]", "tells how to make sure that nobody is in the middle", (*model).verify, completeOK},
		{"/stats", "", "shows how the connection is", (*model).stats, nil},
		{"/clear", "", "empties this screen", (*model).clear, nil},
		{"/quit", "", "leaves; so does Ctrl-D", (*model).quit, nil},
	}
}

// keyHelp is what is not a command.
const keyHelp = `Enter	sends
Alt-Enter	begins another line; what is pasted stays one message
PgUp, PgDn, wheel	scroll; Esc goes to the end
↑ ↓, Tab	bring back what you wrote; complete commands and paths
Ctrl-A E B F W U K Y	edit as in a shell
Ctrl-L, Ctrl-Z, Ctrl-C	draw anew, set aside until fg, leave
Shift and the mouse	select text
//	begins a message that begins with one slash
○ ✓ ✓✓	waits, sent, read by the other program`

// submit is Enter: a command, or a message.
func (m *model) submit() tea.Cmd {
	text := strings.TrimRight(m.input.text, "\n")
	oneLine := !strings.Contains(text, "\n")
	switch {
	case m.phase == over && text == "":
		return m.end()
	case strings.TrimSpace(text) == "":
		return nil
	case oneLine && strings.HasPrefix(text, "//"):
		text = text[1:]
	case oneLine && strings.HasPrefix(text, "/"):
		return m.obey(text)
	}
	if m.say(text) {
		m.input.take()
	}
	return nil
}

// obey does what a line with a slash asks for. It leaves the box even if it cannot be done:
// the next line would be glued to it, and ↑ brings it back.
func (m *model) obey(line string) tea.Cmd {
	m.input.take()
	name, argument, _ := strings.Cut(strings.TrimSpace(line), " ")
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == name })
	if i < 0 {
		m.hint = name + " is no command: /help lists them; ↑ brings it back, and // at its beginning says it"
		return nil
	}
	next, err := commands[i].run(m, strings.TrimSpace(argument))
	if err != nil {
		m.hint = err.Error()
		return nil
	}
	return next
}

func (m *model) tell(lines ...string) {
	e := &entry{kind: helped, at: m.now(), lines: lines}
	m.history.add(e)
	m.history.bottom()
	if over := len(m.rows(e)) - m.room(); over > 0 { // it is read from its beginning
		m.history.scroll(-over, m.room())
	}
}

func (m *model) help(string) (tea.Cmd, error) {
	var lines []string
	for _, c := range commands {
		lines = append(lines, strings.TrimSpace(c.name+" "+c.argument)+"\t"+c.does)
	}
	m.tell(append(append(lines, ""), strings.Split(keyHelp, "\n")...)...)
	return nil, nil
}

func (m *model) send(argument string) (tea.Cmd, error) {
	paths := words(argument)
	switch {
	case len(paths) == 0:
		return nil, errors.New("/send needs the path of a file or a folder; Tab completes it")
	case m.link.Foreign:
		return nil, chat.ErrNoFiles
	case m.phase == over:
		return nil, chat.ErrOver
	}
	if exists(argument) { // one with spaces that were typed as they are
		paths = []string{argument}
	}
	for i, path := range paths {
		paths[i] = home(path)
	}
	m.offer(paths)
	return nil, nil
}

// offer offers files, all or none, or says why it cannot.
func (m *model) offer(paths []string) {
	m.work(func(ctx context.Context) answer {
		_, err := m.talk.SendFiles(ctx, paths...) // if it does not fail, an event says so
		return func(m *model) {
			if err != nil {
				m.happened(alarm, fmt.Sprintf("not offered: %v", err))
			}
		}
	})
}

func (m *model) accept(argument string) (tea.Cmd, error) {
	return nil, m.decide(argument, "accept", m.talk.Accept)
}

func (m *model) decline(argument string) (tea.Cmd, error) {
	return nil, m.decide(argument, "decline", m.talk.Decline)
}

// decide answers an offer: the one with that number, the only one, or all.
func (m *model) decide(argument, verb string, do func(id uint64) error) error {
	offered, err := m.chosen(argument, verb, "nothing is offered that you could "+verb, func(t *transfer) bool { return !t.outgoing && !t.flows })
	for _, t := range offered {
		if verb == "decline" {
			m.drop(t.id, false)
		}
		m.work(func(context.Context) answer {
			err := do(t.id)
			return func(m *model) {
				if err != nil {
					m.happened(alarm, fmt.Sprintf("%s: %v", t.name, err))
				}
			}
		})
	}
	return err
}

func (m *model) cancel(argument string) (tea.Cmd, error) {
	given, err := m.chosen(argument, "cancel", "no file is on its way", func(t *transfer) bool { return t.outgoing || t.flows })
	for _, t := range given {
		m.work(func(context.Context) answer {
			err := m.talk.Cancel(t.id, t.outgoing)
			return func(m *model) {
				if err != nil {
					m.happened(alarm, fmt.Sprintf("%s: %v", t.name, err))
				}
			}
		})
	}
	return nil, err
}

// mostListed is how many transfers a hint names: it has three lines, perhaps short ones.
const mostListed = 3

// chosen are the transfers that an argument means.
func (m *model) chosen(argument, verb, none string, fits func(*transfer) bool) ([]*transfer, error) {
	var all []*transfer
	for _, t := range m.transfers {
		if fits(t) {
			all = append(all, t)
		}
	}
	number, err := strconv.ParseUint(argument, 10, 64)
	switch {
	case len(all) == 0:
		return nil, errors.New(none)
	case argument == "all", argument == "" && len(all) == 1:
		return all, nil
	case argument == "":
		var list []string
		for i, t := range all {
			if i == mostListed {
				list = append(list, fmt.Sprintf("and %d more", len(all)-i))
				break
			}
			list = append(list, fmt.Sprintf("%d %s", t.id, tidyLine(t.name)))
		}
		return nil, fmt.Errorf("which one? /%s all, or a number: %s", verb, strings.Join(list, ", "))
	case err != nil:
		return nil, fmt.Errorf("/%s takes a number, or all", verb)
	}
	for _, t := range all {
		if t.id == number {
			return []*transfer{t}, nil
		}
	}
	return nil, fmt.Errorf("there is no file with the number %d to %s", number, verb)
}

func (m *model) rename(argument string) (tea.Cmd, error) {
	switch {
	case argument == "":
		return nil, errors.New("/name needs a name")
	case m.link.Foreign:
		return nil, errors.New("the other side is another WebRTC program: it knows no names")
	}
	m.happened(note, "you are called "+m.talk.SetName(argument)+" now")
	return nil, nil
}

func (m *model) verify(argument string) (tea.Cmd, error) {
	switch {
	case m.phase < up:
		return nil, errors.New("nobody is there yet")
	case argument != "" && argument != "ok":
		return nil, errors.New("/verify tells the safety words; /verify ok notes that you have compared them")
	case m.link.Verified:
		m.tell("Verified: both sides know the secret of the code, so nobody is in the middle.")
	case m.link.Foreign:
		m.tell("The other side is another WebRTC program: nothing here shows that nobody is in the middle.")
	case argument == "ok":
		m.compared = true
		m.tell("Noted: you have compared the safety words, and they were the same.")
	default:
		m.tell("The safety words are: "+strings.Join(m.link.SafetyWords, " "),
			"Read them to each other by telephone, or face to face. If both of you see the same, nobody is in the middle; then type /verify ok. If not, somebody is: leave.")
	}
	return nil, nil
}

func completeOK(begun string) []string {
	const only = "ok"
	if !strings.HasPrefix(only, begun) {
		return nil
	}
	return []string{only}
}

func (m *model) stats(string) (tea.Cmd, error) {
	if m.link.Path == "" {
		return nil, errors.New("nobody is there yet")
	}
	lines := []string{
		"with\t" + m.other(),
		"path\t" + pathWord(m.link.Path),
		"connected for\t" + span(m.now().Sub(m.since)),
		"it took\t" + fmt.Sprintf("%d ms to connect", m.link.Took.Milliseconds()),
	}
	if n := len(m.trips); n > 0 {
		var sum time.Duration
		for _, t := range m.trips {
			sum += t
		}
		lines = append(lines, fmt.Sprintf("round trip\t%s now, %s to %s lately, %s on average", trip(m.trips[n-1]), trip(slices.Min(m.trips)), trip(slices.Max(m.trips)), trip(sum/time.Duration(n))))
	}
	lines = append(lines, fmt.Sprintf("messages\t%d sent, %d received, %d not delivered yet", m.sent, m.read, m.undelivered()))
	m.tell(lines...)
	return nil, nil
}

func (m *model) clear(string) (tea.Cmd, error) {
	m.history.clear()
	return tea.ClearScreen, nil
}
