package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// What a page has left at the server, and no one has read before it expired there, is left again by the next call, which says so.
func TestPageLeavesAgainWhatExpired(t *testing.T) {
	t.Parallel()
	const life = 4 // seconds
	ann, ben := correspondents(t, sharedBrowser(t), serving(t, "--mail", "--mail-ttl", fmt.Sprint(life, "s")))
	ann.writesTo("Call Ben", "one")
	ann.marked(leftThere)
	eval[bool](ann, `(globalThis.leftAt = Date.now(), true)`)
	eval[bool](ann, fmt.Sprintf(`new Promise((done) => setTimeout(() => done(true), leftAt + %d - Date.now()))`, 1000*life+500))
	ann.opens()
	ann.contact("Call Ben")
	ann.sees("What you left for Ben at the server has expired there. It is left again.")
	ann.marked(leftThere)
	program := ben("answer")
	program.prints(t, `"text":"one"`)
	ann.marked(delivered)
	verified(t, ann)
	ann.say("two")
	program.prints(t, `"text":"two"`)
	if n := strings.Count(program.out.String(), `"text":"one"`); n != 1 {
		t.Errorf("the message arrives %d times", n)
	}
	ann.click("leave")
	program.finish(t)
}

// What expires at the server while the page waits for the contact is left again at once.
func TestPageLeavesAgainWhileItWaits(t *testing.T) {
	t.Parallel()
	ann, ben := correspondents(t, sharedBrowser(t), serving(t, "--mail", "--mail-ttl", "4s"))
	ann.writesTo("Call Ben", "one")
	ann.marked(leftThere)
	ann.sees("What you left for Ben at the server has expired there. It is left again.")
	program := ben("answer")
	program.prints(t, `"text":"one"`)
	ann.marked(delivered)
	verified(t, ann)
	ann.say("two")
	program.prints(t, `"text":"two"`)
	if n := strings.Count(program.out.String(), `"text":"one"`); n != 1 {
		t.Errorf("the message arrives %d times", n)
	}
	ann.click("leave")
	program.finish(t)
}

// A message that is too long for a letter, and all that is written after it, waits until the two meet. The page says so.
func TestPageKeepsLongMessages(t *testing.T) {
	t.Parallel()
	ann, ben := correspondents(t, sharedBrowser(t), serving(t, "--mail"))
	ann.writesTo("Call Ben", "one")
	ann.marked(leftThere)
	long := strings.Repeat("sixteen letters ", 1100) // 17 KB
	ann.click("text")
	ann.pastes(long)
	ann.press(kb.Enter)
	ann.sees("A file, an answer to one, or a very long message waits until you and Ben connect, and so does what you write after it.")
	until[bool](ann, `[...document.querySelectorAll("#log > .mine .text")].map((p) => p.tabIndex).join() === "-1,0"`) // keys scroll the long one alone
	ann.press("three\n")                                                                                              // the box still has the keys, wherever the note has moved it
	ann.marked(leftThere, waits, waits)
	ann.stored(3)
	ann.opens()
	ann.writesTo("Call Ben")
	ann.marked(leftThere, waits, waits) // the next tab knows it, too
	program := ben("answer")
	verified(t, ann)
	program.prints(t, `"text":"three"`)
	ann.marked(delivered, delivered, delivered)
	var came []string
	for _, text := range []string{"one", strings.TrimSpace(long), "three"} {
		came = append(came, strconv.Itoa(strings.Count(program.out.String(), `"text":"`+text)))
	}
	if !slices.Equal(came, []string{"1", "1", "1"}) {
		t.Errorf("the messages arrive %q times", came)
	}
	ann.click("leave")
	program.finish(t)
}

// Files that were on their way when the tab was killed end when the next one calls: the browser has lost them, and the contact is told
// why. The next tab goes on with a message that was not delivered; without one it begins a new conversation.
func TestPageKilledWithFiles(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	for name, c := range map[string]struct {
		undelivered bool
		told        string
	}{
		"and nothing else":                     {false, "the other side's program was restarted"},
		"and a message that was not delivered": {true, "the page was closed"},
	} {
		t.Run(name, func(t *testing.T) {
			ann, ben := correspondents(t, b, serving(t, "--mail"))
			ann.contact("Call Ben")
			program := ben("answer")
			verified(t, ann)
			mine, _ := random(t, "mine.bin", 1000)
			theirs, sum := random(t, "theirs.bin", 1000)
			ann.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{mine}))
			program.prints(t, `"direction":"in".*"name":"mine.bin".*"type":"file-offered"`)
			program.say(t, `{"type":"send-file","path":`+js(theirs)+`}`)
			until[bool](ann, item("theirs.bin")+` !== undefined`)
			ann.stores(`c.undelivered.files.length === 2`)
			if c.undelivered {
				eval[bool](ann, `(RTCDataChannel.prototype.send = () => {}, true)`)
				ann.say("one")
				ann.stores(`c.undelivered.frames.length > 0`)
			}
			ann.killed()
			ann.opens()
			ann.contact("Call Ben")
			verified(t, ann)
			for _, name := range []string{"mine.bin", "theirs.bin"} {
				program.prints(t, `"name":"`+name+`","reason":"[^"]*`+c.told+`[^"]*","type":"file-failed"`)
			}
			if c.undelivered {
				program.prints(t, `"text":"one"`)
				ann.marked(delivered)
			}
			program.say(t, `{"type":"send-file","path":`+js(theirs)+`}`) // the next try works
			ann.picksNothing()
			ann.accepts("theirs.bin")
			if got := ann.whole("theirs.bin"); got != sum {
				t.Errorf("the file arrives with SHA-256 %s, not %s", got, sum)
			}
			ann.click("leave")
			program.finish(t)
		})
	}
}
