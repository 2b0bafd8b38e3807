package main

import "testing"

// A link that is followed, or typed in the place of the page's address, hides nothing that the page has to tell.
func TestPageFollowsALink(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("at the end of a call, where it asks about half of one", func(t *testing.T) {
		caller, callee := inCall(t, b)
		caller.click("leave")
		callee.sees("has left.")
		eval[bool](callee, `location.hash = "703-falcon", true`)
		callee.sees("The code “703-falcon” may be cut off. If it is whole, press Answer.")
		if at := callee.focused(); at != "code" || eval[int](callee, `document.getElementById("log").childElementCount`) > 0 {
			t.Errorf("the focus is on %q, and the log of the call is still there", at)
		}
	})
	t.Run("and says which files the earlier page had", func(t *testing.T) {
		caller, callee := inCall(t, b)
		receivesUnsaved(t, caller, callee, "a.txt")
		caller.click("leave")
		callee.sees("has left.")
		other := b.open(t, callee.origin)
		code := other.call("")
		callee.leaves(`history.replaceState(null, "", "#`+code+`"); location.reload()`, true, true)
		verified(t, other, callee)
		callee.sees("“a.txt” was in the memory of the earlier page alone.")
	})
	t.Run("but not in place of a call with a contact that goes on", func(t *testing.T) {
		ann, ben := correspondents(t, b, serving(t))
		program := ben("answer")
		ann.contact("Call Ben")
		verified(t, ann)
		ann.write("text", "half a sentence")
		ann.leaves(`history.replaceState(null, "", "#703-falcon-zebra"); location.reload()`, true, true)
		ann.sees("Connected again.")
		ann.sees("To answer another call, leave this one first.")
		if got := ann.value("text"); got != "half a sentence" {
			t.Errorf("the message box holds %q", got)
		}
		ann.click("leave")
		program.finish(t)
	})
}

// A page that was loaded again waits for its contact no longer than the earlier page takes to end: another tab may have the contact for hours.
func TestPageWaitsForNoOtherTab(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	ann, ben := correspondents(t, b, serving(t))
	other := ann.beside(b)
	takes := func() { // as soon as the page is left
		t.Helper()
		if !eval[bool](other, allContacts+`.then(async ([c]) => {
			void navigator.locks.request("p2pchat contact " + c.id, () => new Promise(() => {}));
			return (await navigator.locks.query()).pending.length > 0;
		})`) {
			t.Error("the page of the call does not hold its contact")
		}
	}
	ann.writesTo("Answer Ben")
	ann.press("half a sentence")
	takes()
	ann.reload(true)
	ann.sees("This page no longer waits for Ben: another tab is in a call with Ben, or waits for one. Not sent: half a sentence")
	other.opens()
	program := ben("answer")
	ann.contact("Call Ben")
	verified(t, ann)
	ann.write("text", "another half")
	takes()
	ann.leaves(`history.replaceState(null, "", "#703-falcon"); location.reload()`, true, true)
	ann.sees("The call with Ben is over: another tab has gone on with it. All your messages were delivered. Not sent: another half")
	ann.sees("The code “703-falcon” may be cut off.")
	program.kill()
}
