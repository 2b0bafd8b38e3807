package tui

import (
	"reflect"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
)

// A pulse stops Bubble Tea's clock while nothing changes. Its renderer looks for changes
// at every tick, for ever, which takes a hundredth of a processor that has nothing to do.
// If Bubble Tea changes so that the clock is not found, it ticks on, and all else works.
type pulse struct {
	program *tea.Program

	mu    sync.Mutex // guards what follows
	clock *time.Ticker
	rest  *time.Timer
	beats bool
	last  time.Time // when something changed
}

const (
	framesPerSecond = 120
	linger          = 300 * time.Millisecond // how long the clock ticks after a change
)

// start is to be called when the clock ticks, as it does when the model is initialized.
func (p *pulse) start() {
	if p == nil {
		return
	}
	clock, ok := clockOf(p.program)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clock, p.beats, p.last = clock, true, time.Now()
	p.rest = time.AfterFunc(linger, p.stop)
}

// beat lets the clock tick for a while.
func (p *pulse) beat() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clock == nil {
		return
	}
	if !p.beats {
		p.clock.Reset(time.Second / framesPerSecond)
		p.beats = true
	}
	p.last = time.Now()
	p.rest.Reset(linger)
}

func (p *pulse) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.last) < linger { // a change came first
		return
	}
	p.clock.Stop()
	p.beats = false
}

// end is to be called when the program has ended.
func (p *pulse) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rest != nil {
		p.rest.Stop()
	}
}

// clockOf is the program's own ticker, which it lets nobody have.
func clockOf(p *tea.Program) (*time.Ticker, bool) {
	field := reflect.ValueOf(p).Elem().FieldByName("ticker")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*time.Ticker]() || field.IsNil() {
		return nil, false
	}
	return *(**time.Ticker)(field.Addr().UnsafePointer()), true
}
