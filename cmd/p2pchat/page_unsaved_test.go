package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// receivesUnsaved lets the callee receive files long after the last click, when a browser may refuse to save them.
func receivesUnsaved(t *testing.T, caller, callee *tab, names ...string) {
	t.Helper()
	callee.picksNothing()
	eval[bool](callee, `Object.defineProperty(navigator, "userActivation", { value: { isActive: false } }), true`)
	for _, name := range names {
		path, _ := random(t, name, 10)
		caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{path}))
		callee.accepts(name)
		callee.whole(name)
	}
}

// A received file that the page alone has is not dropped without a word.
func TestPageDropsNoFileUnasked(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	logged := `document.querySelectorAll("#log > div").length`
	t.Run("when the person goes back to the start", func(t *testing.T) {
		caller, callee := inCall(t, b)
		receivesUnsaved(t, caller, callee, "a.txt", "b.txt")
		saved := callee.downloadsTo(t.TempDir())
		callee.click("leave")
		callee.sees("Check that your browser has saved 2 received files: “a.txt”, “b.txt”. They are in the memory of this page alone. If the browser asks whether this page may save several files, allow it.")
		callee.click("again")
		callee.sees("Drop them and go back")
		callee.click("save-all")
		saved("a.txt")
		saved("b.txt")
		until[bool](callee, `document.getElementById("unsaved").hidden`)
		if at := callee.focused(); at != "again" {
			t.Errorf("the focus is on %q", at)
		}
		callee.click("again")
		callee.sees("Start a call")
	})
	t.Run("also with long names, in a narrow window", func(t *testing.T) {
		caller, callee := inCall(t, b)
		callee.looks(360, 640, "light")
		var names []string
		for n := range 6 {
			names = append(names, fmt.Sprint(n, strings.Repeat(" very long name", 6), ".bin"))
		}
		receivesUnsaved(t, caller, callee, names...)
		caller.click("leave")
		callee.sees("“0 very long name very lo…y long name.bin”")
		callee.click("again")
		callee.sees("Drop them and go back")
		if got := eval[string](callee, `["save-all", "drop-unsaved"].filter((id) => {
			const { right, bottom } = document.getElementById(id).getBoundingClientRect();
			return right > innerWidth || bottom > innerHeight;
		}).join()`); got != "" {
			t.Errorf("out of the window: %s", got)
		}
		callee.click("drop-unsaved")
	})
	t.Run("unless the person wants that", func(t *testing.T) {
		inFull(t)
		caller, callee := inCall(t, b)
		receivesUnsaved(t, caller, callee, "a.txt")
		callee.click("leave")
		callee.sees("Check that your browser has saved “a.txt”")
		callee.click("again")
		callee.leaves(`location.reload()`, false, false)
		eval[bool](callee, `location.hash = "417-falcon-zebra", true`) // another call's link
		until[bool](callee, `location.hash === ""`)
		if eval[int](callee, logged) == 0 {
			t.Error("a link drops the file")
		}
		callee.click("drop-unsaved")
		callee.sees("Start a call")
		if kept := eval[string](callee, `JSON.stringify({ ...sessionStorage })`); eval[int](callee, logged) != 0 || strings.Contains(kept, "a.txt") {
			t.Errorf("the page keeps %s", kept)
		}
	})
	t.Run("and the page says after a reload which are gone", func(t *testing.T) {
		caller, callee := inCall(t, b)
		receivesUnsaved(t, caller, callee, "a.txt", "b.txt", "c.txt")
		callee.choose("b.txt", "Save")
		callee.reload(true)
		callee.sees("2 received files were in the memory of the earlier page alone: “a.txt”, “c.txt”. If they are not among your downloads, ask guest to send them again.")
		callee.sees("Connected again.")
		callee.click("leave")
		callee.click("again")
	})
	t.Run("also when the call was over", func(t *testing.T) {
		inFull(t)
		caller, callee := inCall(t, b)
		receivesUnsaved(t, caller, callee, "a.txt")
		callee.click("leave")
		callee.sees("Check that your browser has saved “a.txt”")
		callee.reload(true)
		callee.sees("“a.txt” was in the memory of the earlier page alone. If it is not among your downloads, ask guest to send it again.")
	})
	t.Run("but asks nothing about a file that came alone just after Accept", func(t *testing.T) {
		caller, callee := inCall(t, b)
		callee.picksNothing()
		path, _ := random(t, "alone.bin", 10)
		saved := callee.downloadsTo(t.TempDir())
		caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{path}))
		callee.accepts("alone.bin")
		saved("alone.bin")
		callee.click("leave")
		callee.click("again")
		callee.sees("Start a call")
	})
}
