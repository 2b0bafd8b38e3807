package main

import "testing"

// When the contact's program is killed in a call that listen has, the two exchange letters as those of call and answer do, and the call goes
// on when the contact calls again.
func TestListenLeavesLettersInALostCall(t *testing.T) {
	inFull(t)
	t.Parallel()
	p := newPair(t, serving(t, "--mail"))
	p.keep(t)
	ben := withOutbox(t, p, 1, "listen", "--ui", "json")
	ben.prints(t, `"type":"listening"`)
	ann := withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
	ben.prints(t, `"type":"call"`)
	ben.say(t, `{"type":"answer"}`)
	ben.prints(t, `"type":"connected"`)
	ann.prints(t, `"type":"connected"`)
	ann.kill()
	ben.prints(t, `"type":"disconnected"`)
	ben.say(t, `{"type":"message","text":"listener writes"}`)
	ben.prints(t, `"type":"mailed"`)

	ann = withOutbox(t, p, 0, "answer", "@ben", "--ui", "json")
	ann.prints(t, `"text":"listener writes"`)
	ben.prints(t, `"type":"delivered"`)
	ann.say(t, `{"type":"message","text":"ann is back"}`)
	ben.prints(t, `"text":"ann is back"`)
	ann.prints(t, `"type":"delivered"`)
	ann.kill()

	ann = withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
	ann.prints(t, `"type":"reconnected"|"type":"connected"`)
	ann.say(t, `{"type":"message","text":"and calls"}`)
	ben.prints(t, `"text":"and calls"`)
	ann.say(t, `{"type":"leave"}`)
	ann.finishes(t, 0)
	ben.prints(t, `"type":"left"`)
}
