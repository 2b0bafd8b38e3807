package main

import (
	"os"
	"strings"
	"testing"
)

// A page whose server stops while it waits does not look as if the other person could come.
func TestPageTellsThatItsServerIsAway(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	server := launch(t, "serve", "--listen", "127.0.0.1:0")
	address := server.notes(t, `listening on (\S+)`)[1]
	caller := b.open(t, address)
	caller.call("417-falcon-zebra")
	caller.sees("Your call is open")
	if err := server.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	caller.sees("The call is held up")
	caller.sees("Waiting for the server: until then, the other person cannot reach you")
	if strings.Contains(eval[string](caller, `document.querySelector("section:not([hidden])").innerText`), "Your call is open") {
		t.Error("the call of a server that is away is said to be open")
	}
	<-server.ended
	launch(t, "serve", "--listen", strings.TrimPrefix(address, "http://")).notes(t, `listening on`)
	caller.sees("Your call is open")
	caller.sees("Waiting for the other person")
	callee := b.open(t, address)
	callee.answer("417-falcon-zebra")
	verified(t, caller, callee)
}
