package tui

import (
	"cmp"
	"fmt"
	"mime"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

// A transfer is a file that either side has offered, and that has not ended yet.
type transfer struct {
	id       uint64 // one of each side's files may have it
	outgoing bool
	number   int // the person's name for it, which no other file of this terminal has
	name     string
	size     int64
	accepted bool
	bytes    int64
	rate     float64   // bytes a second, smoothed; 0 if not known
	at       time.Time // of bytes; zero since a loss
	ended    string    // "cancelled" or "declined" by this side, until the event that says so
}

func (m *model) transfer(id uint64, outgoing bool) *transfer {
	for _, t := range m.transfers {
		if t.id == id && t.outgoing == outgoing {
			return t
		}
	}
	return nil
}

// addTransfer begins to show a transfer.
func (m *model) addTransfer(t *transfer) *transfer {
	m.files++
	t.number = m.files
	m.transfers = append(m.transfers, t)
	return t
}

// drop removes a transfer.
func (m *model) drop(id uint64, outgoing bool) {
	m.transfers = slices.DeleteFunc(m.transfers, func(t *transfer) bool { return t.id == id && t.outgoing == outgoing })
}

// maxEnded bounds the transfers of which it is known how they have ended: a stranger may offer and withdraw for ever.
const maxEnded = 256

// endTransfer removes a transfer, and notes how it has ended.
func (m *model) endTransfer(id uint64, outgoing bool, how string) {
	t := m.transfer(id, outgoing)
	if t == nil {
		return
	}
	if m.ended == nil {
		m.ended = map[string]string{}
	}
	m.ended[strconv.Itoa(t.number)] = how
	delete(m.ended, strconv.Itoa(t.number-maxEnded))
	m.drop(id, outgoing)
}

// file folds an event about a file into what is shown.
func (m *model) file(e chat.Event) tea.Cmd {
	switch e := e.(type) {
	case chat.FileOffered:
		accept := m.acceptsNext()
		t := m.addTransfer(&transfer{id: e.ID, name: e.Name, size: e.Size})
		offer := fmt.Sprintf("%s offers %s (%s, %s)", m.other(), quoted(e.Name), screen.FileSize(e), fileKind(e.Name, e.Folder, e.Files))
		if m.streams.Accepts {
			m.addNote(note, offer)
			return nil
		}
		if accept {
			m.addNote(note, offer)
			m.workOn(t, func() error { return m.talk.Accept(t.id) })
			return nil
		}
		m.addNote(alarm, fmt.Sprintf("%s: /accept\u00a0%d or /decline\u00a0%d", offer, t.number, t.number)) // each in one row
		return m.ring(m.other() + " offers a file")
	case chat.FileOffering:
		t := m.addTransfer(&transfer{id: e.ID, outgoing: true, name: e.Name, size: e.Size})
		m.leaveAsked = "" // the warning did not count this file
		if e.Accepted {
			m.addNote(note, fmt.Sprintf("Resuming %s (%s), which %s accepted. To stop it: /cancel\u00a0%d", quoted(e.Name), screen.FileSize(e), m.other(), t.number))
			return nil
		}
		m.addNote(note, fmt.Sprintf("You offered %s (%s) as number %d; %s has not answered yet.", quoted(e.Name), screen.FileSize(e), t.number, m.other()))
	case chat.FileProgress:
		m.progress(e)
	case chat.FileReceived:
		m.endTransfer(e.ID, false, "has arrived")
		m.addNote(note, fmt.Sprintf("Saved %s (%s, verified) %s", quoted(e.Name), screen.FileSize(e), savedWhere(e.Name, e.Path))+screen.RenamedWithin(e.Renamed, e.Example, ""))
		return m.ring("a file has arrived")
	case chat.FileSent:
		m.endTransfer(e.ID, true, "was sent")
		m.addNote(note, fmt.Sprintf("%s has %s (%s, verified)", m.other(), quoted(e.Name), screen.FileSize(e))+screen.RenamedWithin(e.Renamed, "", " there"))
	case chat.FileLeftOut:
		m.addNote(alarm, screen.FileText(e, 0))
	case chat.FileFailed:
		m.addNote(alarm, m.failure(e))
		m.endTransfer(e.ID, e.Outgoing, m.howFailed(e))
	}
	return nil
}

// failure says who gave a file up, or why it failed.
func (m *model) failure(e chat.FileFailed) string {
	if t := m.transfer(e.ID, e.Outgoing); t != nil && t.ended != "" {
		return fmt.Sprintf("You %s %s.", t.ended, quoted(e.Name))
	}
	for _, verb := range []string{"cancelled", "declined"} {
		if strings.HasPrefix(e.Reason, verb) { // the other side's word
			return fmt.Sprintf("%s %s %s.", m.other(), verb, quoted(e.Name))
		}
	}
	direction := "receive"
	if e.Outgoing {
		direction = "send"
	}
	return fmt.Sprintf("Could not %s %s: %s", direction, quoted(e.Name), e.Reason)
}

// howFailed says in a few words how a file has ended that did not get through.
func (m *model) howFailed(e chat.FileFailed) string {
	for _, verb := range []string{"cancelled", "declined"} {
		if t := m.transfer(e.ID, e.Outgoing); strings.HasPrefix(e.Reason, verb) || t != nil && t.ended == verb {
			return "was " + verb
		}
	}
	if e.Reason == chat.Cancelled {
		return "was cancelled"
	}
	return "did not get through"
}

func quoted(name string) string { return `"` + tidyLine(name) + `"` }

// savedWhere says where a file is now: in a folder, or under another name.
func savedWhere(name, path string) string {
	path = screen.FromHere(path)
	if dir, err := os.UserHomeDir(); err == nil && strings.HasPrefix(path, dir+string(os.PathSeparator)) {
		path = "~" + path[len(dir):]
	}
	switch {
	case filepath.Base(path) != name:
		return "as " + path
	case filepath.Dir(path) == ".":
		return "here"
	}
	return "to " + filepath.Dir(path)
}

func (m *model) progress(e chat.FileProgress) {
	t := m.transfer(e.ID, e.Outgoing)
	if t == nil {
		t = m.addTransfer(&transfer{id: e.ID, outgoing: e.Outgoing}) // an earlier run has accepted it
		m.addNote(note, fmt.Sprintf("%s To stop it: /cancel\u00a0%d", cmp.Or(screen.FileText(e, 0), quoted(e.Name)+" goes on."), t.number))
	}
	now := m.now()
	if passed := now.Sub(t.at).Seconds(); t.accepted && !t.at.IsZero() && passed > 0 && e.Bytes >= t.bytes {
		rate := float64(e.Bytes-t.bytes) / passed
		const weight = 0.3 // of the newest figure
		t.rate = cmp.Or(t.rate, rate)*(1-weight) + rate*weight
	}
	t.name, t.size, t.bytes, t.accepted, t.at = e.Name, e.Size, e.Bytes, true, now
}

// stallTransfers forgets the rates: no transfer moves while there is no connection, and that time counts for none.
func (m *model) stallTransfers() {
	for _, t := range m.transfers {
		t.rate, t.at = 0, time.Time{}
	}
}

// runningTransfers returns the accepted transfers: each has a bar.
func (m *model) runningTransfers() (all []*transfer) {
	for _, t := range m.transfers {
		if t.accepted {
			all = append(all, t)
		}
	}
	return all
}

// transferRows shows the running transfers in n rows. If there are more, the last row counts them.
func (m *model) transferRows(n int) []string {
	all := m.runningTransfers()
	var rows []string
	column := 0
	for _, t := range all {
		column = max(column, min(m.method.StringWidth(tidyLine(t.name)), max(8, m.width/4)))
	}
	for i, t := range all[:min(n, len(all))] {
		if i == n-1 && len(all) > n {
			rows = append(rows, m.style.dim.Render(fit(fmt.Sprintf(" and %d more files", len(all)-i), m.width, m.method)))
			break
		}
		rows = append(rows, m.transferRow(t, column))
	}
	return rows
}

func (m *model) transferRow(t *transfer, column int) string {
	sign := "↓"
	if t.outgoing {
		sign = "↑"
	}
	done := 1.0
	if t.size > 0 {
		done = min(1, float64(t.bytes)/float64(t.size))
	}
	figures := fmt.Sprintf("%3d %%", screen.Percent(t.bytes, t.size))
	switch {
	case m.phase == lost:
		figures += "  waits"
	case t.rate > 0:
		left := time.Duration(float64(t.size-t.bytes) / t.rate * float64(time.Second))
		figures += fmt.Sprintf("  %s/s  %s left", screen.Bytes(int64(t.rate)), durationText(left))
	}
	if m.width >= narrow {
		figures = screen.Bytes(t.bytes) + " of " + screen.Bytes(t.size) + "  " + figures
	}
	bar := m.width - column - m.method.StringWidth(figures) - 6
	text := " " + sign + " " + fill(tidyLine(t.name), column, m.method) + " "
	if bar >= 5 {
		full := int(done * float64(bar))
		text += m.style.code.Render(strings.Repeat("█", full)) + m.style.dim.Render(strings.Repeat("░", bar-full)) + " "
	}
	return fit(text+figures, m.width, m.method)
}

// fileKind says what a file seems to be, by its name.
func fileKind(name string, folder bool, files int) string {
	switch {
	case folder && files == 1:
		return "folder with 1 file"
	case folder:
		return fmt.Sprintf("folder with %d files", files)
	}
	ext := filepath.Ext(name)
	kind, _, _ := strings.Cut(mime.TypeByExtension(ext), "/")
	switch kind {
	case "image", "audio", "video", "text":
		return kind
	}
	if len(ext) > 1 && len(ext) < 8 {
		return strings.ToUpper(ext[1:]) + " file"
	}
	return "file"
}
