package tui

import (
	"reflect"
	"time"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat/screen"
)

// framesPerSecond bounds how often the screen is drawn: a key is seen within 17 ms.
const framesPerSecond = 60

const framePeriod = time.Second / framesPerSecond

// A pace is how often the ticker ticks, and how long after the last message, or the pace before, it begins.
type pace struct{ after, period time.Duration }

// paces are those of a ticker that slows down, in two steps: on a machine that is busy, the change to a pace may come before
// a tick that was due, and so in place of it. The next one is not far then. Each change is due with a tick, so that one wake-up serves both.
var paces = []pace{{2 * framePeriod, 24 * framePeriod}, {24 * framePeriod, 5 * time.Second}}

// A frameClock slows down the ticker at which Bubble Tea draws what has changed, while no message comes. At the full rate
// each tick wakes the program five times, to find that nothing has changed. Bubble Tea has no setting for this, so the
// frameClock takes a field that is not exported. Without that field everything works, and ticks at the full rate.
// Each of https://github.com/charmbracelet/bubbletea/pull/1776 and 1796, once merged, retires this file.
type frameClock struct {
	program *tea.Program
	slow    *time.Timer // sends slowMsg

	// owned by the goroutine of the program's messages, which also starts the ticker
	ticker *time.Ticker
	paces  []pace    // that are left
	next   time.Time // when the next one is due
}

// A slowMsg comes when the next pace is due, and all messages before it have been handled.
type slowMsg struct{}

// newProgramWithClock returns a program with those options that draws framesPerSecond at most.
func newProgramWithClock(top tea.Model, options ...tea.ProgramOption) *tea.Program {
	c := &frameClock{}
	c.program = tea.NewProgram(top, append(options, tea.WithFPS(framesPerSecond), tea.WithFilter(c.filter))...)
	return c.program
}

// filter sees each message before Bubble Tea handles it.
func (c *frameClock) filter(_ tea.Model, message tea.Msg) tea.Msg {
	if c.ticker == nil {
		if c.ticker = tickerOf(c.program); c.ticker == nil {
			return message
		}
		c.slow = time.AfterFunc(paces[0].after, func() { c.program.Send(slowMsg{}) })
	}
	if isPatient(message) {
		return message
	}
	if _, is := message.(slowMsg); !is {
		if len(c.paces) < len(paces) {
			c.ticker.Reset(framePeriod)
		}
		c.paces = paces
		c.await()
		return message
	}
	if len(c.paces) > 0 && !time.Now().Before(c.next) { // no message came between the time and this
		c.ticker.Reset(c.paces[0].period)
		c.paces = c.paces[1:]
		c.await()
	}
	return nil
}

// isPatient reports whether what a message changes may be drawn with the next tick of the slowest pace. To draw each round trip at
// once would wake an idle program more often than its connection does.
func isPatient(message tea.Msg) bool {
	e, _ := message.(eventMsg)
	_, is := e.event.(screen.Stats)
	return is
}

// await awaits the time for the next pace, if there is one.
func (c *frameClock) await() {
	if len(c.paces) > 0 {
		c.next = time.Now().Add(c.paces[0].after)
		c.slow.Reset(c.paces[0].after)
	}
}

// tickerOf returns the ticker of the program's renderer, which runs, or nil if it is not where it was.
func tickerOf(program *tea.Program) *time.Ticker {
	field := reflect.ValueOf(program).Elem().FieldByName("ticker")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*time.Ticker]() {
		return nil
	}
	return *(**time.Ticker)(field.Addr().UnsafePointer())
}
