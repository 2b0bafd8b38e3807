package tui

import (
	"fmt"
	"runtime/debug"

	tea "charm.land/bubbletea/v2"
)

// careful ends the program in order when the model panics. Bubble Tea's own way leaves the
// goroutine that reads the terminal behind, and closes what it reads under it.
type careful struct {
	*model
	view    tea.View
	mistake error // what the model panicked with
}

func (c *careful) Init() tea.Cmd {
	return c.do(c.model.Init)
}

func (c *careful) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	return c, c.do(func() tea.Cmd {
		_, next := c.model.Update(message)
		return next
	})
}

func (c *careful) View() tea.View {
	return c.view
}

// do changes the model, and views what became of it.
func (c *careful) do(change func() tea.Cmd) (next tea.Cmd) {
	if c.mistake != nil {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			c.mistake = fmt.Errorf("a mistake in p2pchat ended the screen, please report it: %v\n%s", r, debug.Stack())
			c.view, next = tea.View{}, tea.Quit
		}
	}()
	next = change()
	c.view = c.model.View()
	return next
}
