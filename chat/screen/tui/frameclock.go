package tui

import (
	"reflect"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
)

// A frameClock stops Bubble Tea's ticker while nothing changes.
//
// Bubble Tea draws what has changed at the next tick of a ticker that runs as long as the program, and has no option
// to draw on demand: an idle terminal would wake the machine for every frame. The ticker is a field that is not
// exported, so it is found by reflection; if a later version has none of that name and type, it is left running. A
// renderer that starts its ticker when there is something to draw would retire this file.
type frameClock struct {
	ticker *time.Ticker // nil: it was not found

	mu    sync.Mutex  // guards what follows
	woken time.Time   // by the last change
	rest  *time.Timer // nil before the first change
	runs  bool
}

// restAfter is how long after the last change the ticker stops: the renderer has drawn it by then.
const restAfter = 4 * time.Second / framesPerSecond

// newFrameClock returns the clock of a program whose renderer has started. Without a program it does nothing.
func newFrameClock(program *tea.Program) *frameClock {
	if program == nil {
		return &frameClock{}
	}
	field := reflect.ValueOf(program).Elem().FieldByName("ticker")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*time.Ticker]() {
		return &frameClock{}
	}
	return &frameClock{ticker: (*time.Ticker)(field.UnsafePointer()), runs: true}
}

// wake makes sure that what has changed is drawn within a frame.
func (c *frameClock) wake() {
	if c.ticker == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.woken = time.Now()
	if !c.runs {
		c.ticker.Reset(time.Second / framesPerSecond)
		c.runs = true
	}
	if c.rest == nil {
		c.rest = time.AfterFunc(restAfter, c.sleep)
		return
	}
	c.rest.Reset(restAfter)
}

// sleep stops the ticker, unless wake was called just before.
func (c *frameClock) sleep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.woken) >= restAfter {
		c.ticker.Stop()
		c.runs = false
	}
}
