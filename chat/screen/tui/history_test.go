package tui

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

func TestScrolling(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 12).happens(benIs) // 10 rows of history
	for i := range 100 {
		r.happens(chat.Message{Text: fmt.Sprint("message ", i)})
	}
	r.shows(`message 90\n(.*\n)*.*message 99\n`)
	r.press("<pgup>")
	r.shows(`message 81\n(.*\n)*.*message 90\n`)
	r.happens(chat.Message{Text: "more"})
	r.shows(`message 81\n(.*\n)*.*message 90\n`)
	r.shows(`1 new below`)
	r.press("<shift+up>").send(tea.MouseWheelMsg{Button: tea.MouseWheelUp})
	r.shows(`message 77\n(.*\n)*.*message 86\n`)
	r.press("<ctrl+home>")
	r.shows(`24 November 2026`)
	r.press("<pgup><pgup>")
	r.shows(`24 November 2026`)
	for range 20 {
		r.press("<pgdown>")
	}
	r.shows(`message 99\n─+ new ─+\n.*more\n`)
	if r.history.unseen != 0 || !r.history.follows() {
		t.Error("it is not at the end")
	}
	r.press("<pgup>").send(tea.WindowSizeMsg{Width: 20, Height: 8}).press("<esc>")
	r.shows(`more\n`)
	r.press("<pgup>own<enter>")
	r.shows(`you own`) // what one says, one sees
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(benIs)
	for range 3 * mostEntries / 2 {
		r.history.add(&entry{kind: heard, at: evening, lines: []string{"x"}})
	}
	if n := len(r.history.entries); n > mostEntries {
		t.Errorf("it holds %d entries", n)
	}
	big := strings.Repeat("x", chat.MaxMessage)
	for range 3 * mostBytes / 2 / len(big) {
		r.history.add(&entry{kind: heard, at: evening, lines: []string{big}})
	}
	if r.history.bytes > mostBytes {
		t.Errorf("it holds %d bytes", r.history.bytes)
	}
	r.press("<pgup><ctrl+home><esc>")
}

// A key makes no more rows than are seen, however long the history is.
func TestTypingTakesNoMoreWithALongHistory(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(benIs)
	made := 0
	r.history.render = func(e *entry) []string {
		made++
		return r.rows(e)
	}
	for range mostEntries / 2 {
		r.history.add(&entry{kind: heard, at: evening, lines: []string{"x"}})
	}
	r.history.top(r.historyRows())
	for _, where := range []string{"<ctrl+home>", "<esc>"} {
		r.press(where)
		made = 0
		_, _ = r.Update(keys("x")[0])
		_ = r.View()
		if made > r.height {
			t.Errorf("a key after %s looks at %d entries", where, made)
		}
	}
}

func BenchmarkKey(b *testing.B) {
	r := newRig(&testing.T{}, 120, 40)
	for i := range 5000 {
		r.history.add(&entry{kind: heard, at: evening, name: "Ben", lines: []string{fmt.Sprint("a message of some length, number ", i)}})
	}
	press := keys("x<backspace>")
	for i := 0; b.Loop(); i++ {
		_, _ = r.Update(press[i%2])
		_ = r.View()
	}
}

// A screen on which nothing changes writes nothing and hardly wakes, and the next change is seen at once.
func TestIdleScreenRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newModel(&stagehand{}, newRig(t, 1, 1).streams)
		out := make(written, 100)
		program := newProgramWithClock(m, tea.WithInput(nil), tea.WithOutput(out), tea.WithoutSignalHandler(), tea.WithWindowSize(80, 24), tea.WithEnvironment([]string{"TERM=xterm"}))
		ended := make(chan error)
		go func() {
			_, err := program.Run()
			ended <- err
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		for len(out) > 0 {
			<-out
		}
		if n := ticksIn(time.Minute, tickerOf(program)); n > 12 {
			t.Errorf("it looks for changes %d times a minute though nothing happens", n)
		}
		looks := 0
		for range 12 {
			program.Send(eventMsg{screen.Stats{RTT: time.Millisecond}, make(chan struct{})})
			looks += ticksIn(5*time.Second, tickerOf(program))
		}
		if looks > 6 {
			t.Errorf("it looks for changes %d times in a minute with twelve round trips", looks)
		}
		synctest.Wait()
		if n := len(out); n > 0 {
			t.Errorf("it writes %d times though nothing changes", n)
		}
		start := time.Now()
		program.Send(tea.PasteMsg{Content: "seen?"})
		for !strings.Contains(<-out, "seen?") {
		}
		if took := time.Since(start); took > framePeriod {
			t.Errorf("it is drawn after %v", took)
		}
		program.Quit()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// ticksIn counts ticks, of which Bubble Tea takes some, too.
func ticksIn(d time.Duration, ticker *time.Ticker) (n int) {
	for end := time.After(d); ; n++ {
		select {
		case <-ticker.C:
		case <-end:
			return n
		}
	}
}

// written is what was written, piece by piece.
type written chan string

func (w written) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}
