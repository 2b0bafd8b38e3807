package main

import (
	"slices"
	"strings"
	"testing"

	"p2pchat/signaling"
)

// A receipt that the server has lost is no missing letter, whether the next one is a receipt alone or has a message.
func TestPageMissesNoReceipt(t *testing.T) {
	t.Parallel()
	m := &postman{lie: func(list, _ []signaling.Block) []signaling.Block {
		return slices.DeleteFunc(list, func(b signaling.Block) bool { return b.Number == 1 })
	}}
	ann, ben := correspondents(t, sharedBrowser(t), m.atDoor(t))
	for n, text := range []string{"one", "two"} {
		m.lying.Store(true)
		ann.writesTo("Call Ben", text)
		ann.marked(slices.Repeat([]string{leftThere}, n+1)...)
		ann.click("leave")
		ann.opens()
		m.lying.Store(false)
		program := ben("answer")
		program.prints(t, `"text":"`+text+`","type":"message"`)
		eventually(t, func() bool { return ann.inBox() == n+1 }, func() string { return "there is no receipt in the box" })
		program.kill()
	}
	m.lying.Store(true)
	ann.contact("Answer Ben")
	ann.marked(delivered, delivered)
	program := ben("call")
	program.prints(t, `"type":"connected"`)
	verified(t, ann)
	if log := eval[string](ann, `document.getElementById("log").textContent`); strings.Contains(log, "missing") {
		t.Errorf("the page says %q", log)
	}
}
