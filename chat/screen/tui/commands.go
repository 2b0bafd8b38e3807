package tui

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

// A command is a line that begins with a slash.
type command struct {
	name, argument, does string
	run                  func(m *model, argument string) (next tea.Cmd, hint string)
	complete             func(begun string) []string // of the argument; may be nil
}

var commands []command

func init() { // not in the declaration, because help refers to commands
	commands = []command{
		{"/help", "", "show this list", (*model).help, nil},
		{"/send", "PATH…", "offer files or folders; patterns like *.txt work", (*model).send, completePath},
		{"/accept", "[N…]", "take offered files by number; all takes every one", (*model).accept, nil},
		{"/decline", "[N…]", "refuse offered files", (*model).decline, nil},
		{"/cancel", "[N…]", "stop files that are on their way", (*model).cancel, nil},
		{"/find", "[TEXT]", "search what was said", (*model).search, nil},
		{"/copy", "", "copy the last message to the clipboard", (*model).copyMessage, nil},
		{"/name", "NAME", "change your name", (*model).rename, nil},
		{"/verify", "[yes|no]", "compare safety words, and say if they are the same", (*model).verify, completeAnswer},
		{"/keep", "[NAME]", "call each other without a code from then on", (*model).keep, nil},
		{"/stats", "", "show the state of the connection", (*model).stats, nil},
		{"/again", "", "wait for a lost side with the code of the call, too", (*model).again, nil},
		{"/clear", "", "clear this screen", (*model).clear, nil},
		{"/quit", "", "leave, like Ctrl-D", (*model).quit, nil},
	}
}

// keyHelp is the help on keys.
const keyHelp = `Enter, Alt-Enter, //	send; start another line; begin a message with a slash
PgUp PgDn wheel Esc	scroll; back to the end (Shift and mouse select text)
↑ ↓ Tab	bring back what you wrote; complete a command or path
Ctrl-A E B F U K W Y	edit as in a shell; Ctrl-_ undoes
Ctrl-F, Ctrl-Y	in an empty box, search; while waiting, copy the link
Ctrl-L, Ctrl-Z, Ctrl-C	redraw; suspend until fg; clear a draft, or leave
○ ✉ ✓ ✓✓	waiting, left at the server, sent, delivered`

// submit is Enter: a command, or a message.
func (m *model) submit() tea.Cmd {
	text := strings.TrimRight(m.input.text, "\n")
	if strings.TrimSpace(text) != "/quit" {
		m.leaveAsked = ""
	}
	switch {
	case text == "":
		return m.submitNothing()
	case strings.TrimSpace(text) == "":
		return nil
	}
	oneLine := !strings.Contains(text, "\n")
	switch {
	case oneLine && m.takeAsCode(text):
		return nil
	case oneLine && strings.HasPrefix(text, "//"):
		text = text[1:]
	case oneLine && strings.HasPrefix(text, "/"):
		return m.runCommand(text)
	case m.holdCommand(text):
		return nil
	}
	if m.say(text) {
		m.input.commit()
	}
	return nil
}

// holdCommand reports whether a draft that is not a command stays in the box because it, or its last line, begins like one. The same draft is
// sent by Enter.
func (m *model) holdCommand(text string) bool {
	asked := m.notCommand == text
	m.notCommand = ""
	name := commandIn(text)
	if asked || name == "" {
		return false
	}
	m.notCommand = text
	switch {
	case !slices.Contains(commandNames(), name):
		m.hint = unknownCommand(name)
	case strings.Contains(text, "\n"):
		m.hint = "A command is one line, so " + name + " was not run."
	default:
		m.hint = "A command begins at the start of the line, so " + name + " was not run."
	}
	m.hint += " To send this as a message: Enter again."
	return true
}

// looksLikeCommand matches a word that is a command, or a mistyped one, and not a path.
var looksLikeCommand = sync.OnceValue(func() *regexp.Regexp { // not compiled at each start
	return regexp.MustCompile(`^/[a-z]+$`)
})

// commandIn returns the first word of a draft, or of its last line, if it looks like a command.
func commandIn(text string) string {
	for _, part := range []string{text, text[strings.LastIndex(text, "\n")+1:]} {
		if fields := strings.Fields(part); len(fields) > 0 && looksLikeCommand().MatchString(fields[0]) {
			return fields[0]
		}
	}
	return ""
}

// unknownCommand says that there is no such command, and which one may be meant.
func unknownCommand(name string) string {
	remedy := "See /help."
	if meant := cmp.Or(otherWord(name), screen.Closest(name, commandNames())); meant != "" {
		remedy = "Did you mean " + meant + "?"
	}
	return "Unknown command " + tidyLine(name) + ". " + remedy
}

// takeAsCode takes a line that is a code, or asks about one that may be; it reports whether it has.
func (m *model) takeAsCode(text string) bool {
	switch {
	case m.phase < up && m.streams.IsCode != nil && m.streams.IsCode(text):
		m.takeCode(text)
	case m.canRetype() && text != m.notCode && m.streams.MayBeCode != nil && m.streams.MayBeCode(text):
		m.askIfCode(text)
	default:
		return text != m.notCode && m.holdAnotherCall(text)
	}
	return true
}

// submitNothing is Enter in an empty box: it does what the placeholder says.
func (m *model) submitNothing() tea.Cmd {
	switch {
	case m.phase == over:
		return m.end()
	case m.newCode != "":
		m.takeNewCode()
	case m.canRetype():
		m.ask("", false)
	}
	return nil
}

// runCommand runs a line that begins with a slash. The line leaves the box even if the command
// fails, so that the next line is not appended to it; ↑ brings it back.
func (m *model) runCommand(line string) tea.Cmd {
	m.input.commit()
	name, argument, _ := strings.Cut(strings.TrimSpace(line), " ")
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == name })
	if i < 0 {
		m.hint = unknownCommand(name) + " To send it as text, start with //."
		return nil
	}
	argument = strings.TrimSpace(argument)
	if commands[i].argument == "" && argument != "" {
		m.hint = name + " takes no argument, but was given " + tidyLine(argument) + ". ↑ brings it back."
		return nil
	}
	m.backToEnd() // where the answer comes
	next, hint := commands[i].run(m, argument)
	m.hint = hint
	return next
}

// otherWord returns the command that a command of another program means, or "".
func otherWord(name string) string {
	switch strings.ToLower(name) {
	case "/exit", "/q", "/leave", "/bye", "/hangup", "/close":
		return "/quit"
	case "/?", "/h", "/commands":
		return "/help"
	case "/nick":
		return "/name"
	case "/file", "/upload":
		return "/send"
	case "/contact", "/friend", "/add":
		return "/keep"
	case "/search":
		return "/find"
	case "/info", "/status":
		return "/stats"
	}
	return ""
}

func commandNames() (names []string) {
	for _, c := range commands {
		names = append(names, c.name)
	}
	return names
}

// showAnswer shows the answer to a command, from its beginning.
func (m *model) showAnswer(lines ...string) {
	e := &entry{kind: helped, at: m.now(), lines: lines}
	m.history.add(e)
	m.backToEnd()
	if len(m.rows(e)) > m.historyRows() {
		m.hideHead()
	}
	if over := len(m.rows(e)) - m.historyRows(); over > 0 {
		m.history.scroll(-over, m.historyRows())
	}
}

func (m *model) help(string) (tea.Cmd, string) {
	var lines []string
	for _, c := range commands {
		lines = append(lines, strings.TrimSpace(c.name+" "+c.argument)+"\t"+c.does)
	}
	m.showAnswer(append(append(lines, ""), strings.Split(keyHelp, "\n")...)...)
	return nil, ""
}

func (m *model) rename(argument string) (tea.Cmd, string) {
	switch {
	case argument == "":
		return nil, "Which name? For example: /name Anna"
	case m.link.Foreign:
		return nil, "The other side is another WebRTC program, which shows no names."
	}
	if err := chat.CheckName(argument); err != nil {
		return nil, "That name cannot be used: " + err.Error() + "."
	}
	m.addNote(note, "You are now "+m.talk.SetName(argument))
	return nil, ""
}

func (m *model) clear(string) (tea.Cmd, string) {
	m.history.clear()
	m.reading = false
	return tea.ClearScreen, ""
}
