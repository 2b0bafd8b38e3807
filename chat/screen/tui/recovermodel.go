package tui

import (
	"fmt"
	"runtime/debug"

	tea "charm.land/bubbletea/v2"
)

// recoverModel ends the screen in order when the model panics. Bubble Tea's own recovery leaves the
// goroutine that reads the terminal behind, and closes the terminal under it.
type recoverModel struct {
	*model
	view tea.View
	err  error // what the model panicked with
}

func (r *recoverModel) Init() tea.Cmd {
	return r.change(r.model.Init)
}

func (r *recoverModel) Update(message tea.Msg) (tea.Model, tea.Cmd) {
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
			r.err = fmt.Errorf("a mistake in p2pchat ended the screen, please report it: %v\n%s", p, debug.Stack())
			r.view, next = tea.View{}, tea.Quit
		}
	}()
	next = do()
	r.view = r.model.View()
	return next
}
