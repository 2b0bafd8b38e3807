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

// A person who writes to a contact while the server is away is told so in the conversation, too, and that it is back.
func TestPageTellsOfItsServerInTheConversation(t *testing.T) {
	t.Parallel()
	server := launch(t, "serve", "--listen", "127.0.0.1:0")
	address := server.notes(t, `listening on (\S+)`)[1]
	ann, _ := correspondents(t, sharedBrowser(t), address)
	ann.contact("Call Ben")
	ann.sees("Waiting for Ben")
	if err := server.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ann.sees("The call is held up")
	ann.click("write")
	ann.sees("Calling Ben. You can write: Ben gets it when the two of you connect, or before that from the server, if it keeps mail. The server ")
	<-server.ended
	launch(t, "serve", "--listen", strings.TrimPrefix(address, "http://")).notes(t, `listening on`)
	until[bool](ann, `document.getElementById("connection").textContent.endsWith("if it keeps mail.")`)
}
