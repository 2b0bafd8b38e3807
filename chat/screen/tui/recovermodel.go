package tui

import (
	"fmt"
	"runtime/debug"

	tea "charm.land/bubbletea/v2"
)

// recoverModel ends the screen in order when the model panics. Bubble Tea's own recovery leaves the
// goroutine that reads the terminal behind, and closes the terminal under it.
type recoverModel struct {
	model tea.Model
	view  tea.View
	err   error // what the model panicked with
}

func (r *recoverModel) Init() tea.Cmd {
	return r.change(r.model.Init)
}

func (r *recoverModel) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	if p, is := message.(panicMsg); is {
		close(p.taken)
		return r, r.end(p.err)
	}
	return r, r.change(func() tea.Cmd {
		_, next := r.model.Update(message)
		return next
	})
}

func (r *recoverModel) View() tea.View {
	return r.view
}

// change changes the model, and makes its view, here too, so that a panic in either is recovered.
func (r *recoverModel) change(do func() tea.Cmd) (next tea.Cmd) {
	if r.err != nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			next = r.end(panicError(p))
		}
	}()
	next = do()
	r.view = r.model.View()
	return next
}

// end ends the screen because of a panic.
func (r *recoverModel) end(err error) tea.Cmd {
	r.err, r.view = err, tea.View{}
	return tea.Quit
}

// panicError is the error of a panic, with the stack of the goroutine.
func panicError(p any) error {
	return fmt.Errorf("a mistake in p2pchat ended the screen, please report it: %v\n%s", p, debug.Stack())
}

// A panicMsg says that a goroutine of the screen has panicked. The model closes taken.
type panicMsg struct {
	err   error
	taken chan<- struct{}
}

// guard returns f for a goroutine of its own: if f panics, the screen ends in order, and gives the terminal
// back. Once gone is closed, the terminal is as it was, and the panic goes on.
func guard(program *tea.Program, gone <-chan struct{}, f func()) func() {
	return func() {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			taken := make(chan struct{})
			program.Send(panicMsg{panicError(p), taken})
			if !awaitTaken(taken, gone) {
				panic(p)
			}
		}()
		f()
	}
}
