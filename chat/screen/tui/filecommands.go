package tui

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat"
)

func (m *model) send(argument string) (tea.Cmd, string) {
	switch {
	case argument == "":
		return nil, "Which file? For example: /send photo.jpg (Tab completes paths)"
	case m.link.Foreign:
		return nil, chat.ErrNoFiles.Error()
	case m.phase == over:
		return nil, chat.ErrOver.Error()
	}
	m.work(func(ctx context.Context) answer {
		paths, err := expandPaths(argument)
		if err == nil {
			_, err = m.talk.SendFiles(ctx, paths...) // all or none; events tell of each
		}
		return func(m *model) {
			if err != nil {
				m.addNote(alarm, fmt.Sprintf("Nothing was offered: %v", err))
			}
		}
	})
	return nil, ""
}

// expandPaths returns the paths that an argument of /send names: one path with unescaped spaces that exists, or
// words as a shell takes them, with the files that match where a word is a pattern. The error
// says which pattern matches nothing.
func expandPaths(argument string) (paths []string, err error) {
	if exists(argument) {
		return []string{expandHome(argument)}, nil
	}
	for _, w := range split(argument) {
		if w.pattern == "" || exists(w.text) {
			paths = append(paths, expandHome(w.text))
			continue
		}
		found, err := filepath.Glob(expandHome(w.pattern))
		if !strings.HasPrefix(filepath.Base(w.pattern), ".") {
			found = slices.DeleteFunc(found, func(path string) bool { return strings.HasPrefix(filepath.Base(path), ".") })
		}
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("no file matches %s", tidyLine(w.text))
		}
		paths = append(paths, found...)
	}
	return paths, nil
}

func (m *model) accept(argument string) (tea.Cmd, string) {
	return nil, m.decide(argument, "accept", m.talk.Accept)
}

func (m *model) decline(argument string) (tea.Cmd, string) {
	return nil, m.decide(argument, "decline", m.talk.Decline)
}

// decide accepts or declines offers: those with the given numbers, the only one, or all.
func (m *model) decide(argument, verb string, do func(id uint64) error) (hint string) {
	offered, hint := m.selectTransfers(argument, verb, "No file is waiting for your answer.", func(t *transfer) bool { return !t.outgoing && !t.accepted && t.ended == "" })
	if m.acceptRest = verb == "accept" && argument == "all" && len(offered) >= mostOffered; m.acceptRest {
		m.addNote(note, "Also accepting what "+m.other()+" offers until these files have arrived. /decline all stops that.")
	}
	for _, t := range offered {
		if verb == "decline" {
			t.ended = "declined"
		}
		m.workOn(t, func() error { return do(t.id) })
	}
	return hint
}

func (m *model) cancel(argument string) (tea.Cmd, string) {
	given, hint := m.selectTransfers(argument, "cancel", "No file is on its way.", func(t *transfer) bool { return t.outgoing || t.accepted })
	for _, t := range given {
		t.ended = "cancelled"
		m.workOn(t, func() error { return m.talk.Cancel(t.id, t.outgoing) })
	}
	return nil, hint
}

// mostOffered is how many files a program offers at a time. The next one follows when one of them has arrived, so a person who
// accepts all of 64 means those that follow, too.
const mostOffered = 64

// acceptsNext reports whether the next offer is one of those that /accept all has accepted.
func (m *model) acceptsNext() bool {
	m.acceptRest = m.acceptRest && slices.ContainsFunc(m.transfers, func(t *transfer) bool { return !t.outgoing && t.ended == "" })
	return m.acceptRest
}

// workOn does something about a file in a goroutine, and shows its error.
func (m *model) workOn(t *transfer, do func() error) {
	m.work(func(context.Context) answer {
		err := do()
		return func(m *model) {
			if err != nil {
				m.drop(t.id, t.outgoing)
				m.addNote(alarm, fmt.Sprintf("%s: %v", quoted(t.name), err))
			}
		}
	})
}

// mostListed is how many transfers a hint names: it has three lines, perhaps short ones.
const mostListed = 3

// selectTransfers returns the transfers that an argument names: numbers, with spaces or commas between, or all.
// Without an argument it is the only one. The hint names what is wrong in the argument.
func (m *model) selectTransfers(argument, verb, none string, fits func(*transfer) bool) (selected []*transfer, hint string) {
	var all []*transfer
	for _, t := range m.transfers {
		if fits(t) {
			all = append(all, t)
		}
	}
	switch {
	case len(all) == 0:
		return nil, cmp.Or(m.endedText(argument), none)
	case argument == "all", argument == "" && len(all) == 1:
		return all, ""
	case argument == "":
		return nil, fmt.Sprintf("Which one? /%s all, or a number: %s", verb, listTransfers(all))
	}
	var wrong []string
	for word := range strings.FieldsFuncSeq(argument, func(r rune) bool { return r == ' ' || r == ',' }) {
		i := slices.IndexFunc(all, func(t *transfer) bool { return strconv.Itoa(t.number) == word })
		switch {
		case i < 0:
			wrong = append(wrong, tidyLine(word))
		case !slices.Contains(selected, all[i]):
			selected = append(selected, all[i])
		}
	}
	if len(wrong) == 1 && m.endedText(wrong[0]) != "" {
		return selected, m.endedText(wrong[0])
	}
	return selected, wrongNumbers(wrong, verb, all)
}

// endedText says how the file with a number has ended, or returns "" if there was no such file.
func (m *model) endedText(number string) string {
	if how := m.ended[number]; how != "" {
		return "File " + number + " " + how + "."
	}
	return ""
}

// wrongNumbers returns a hint about words that name none of all transfers, or "" if there are none.
func wrongNumbers(wrong []string, verb string, all []*transfer) string {
	isWord := func(s string) bool { _, err := strconv.ParseUint(s, 10, 64); return err != nil }
	switch {
	case len(wrong) == 0:
		return ""
	case slices.ContainsFunc(wrong, isWord):
		return fmt.Sprintf("%s is not the number of a file: /%s takes numbers, as in /%s %d, or all.", strings.Join(wrong, ", "), verb, verb, all[0].number)
	case len(wrong) == 1:
		return fmt.Sprintf("There is no file %s to %s.", wrong[0], verb)
	}
	return fmt.Sprintf("There are no files %s to %s.", strings.Join(wrong, ", "), verb)
}

func listTransfers(all []*transfer) string {
	var list []string
	for i, t := range all {
		if i == mostListed {
			list = append(list, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		list = append(list, fmt.Sprintf("%d %s", t.number, tidyLine(t.name)))
	}
	return strings.Join(list, ", ")
}
