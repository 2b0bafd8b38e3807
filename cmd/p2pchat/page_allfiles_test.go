package main

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// Many files take one click to accept, and one to save.
func TestPageTakesAllFiles(t *testing.T) {
	t.Parallel()
	caller, callee := inCall(t, sharedBrowser(t))
	sums := map[string]string{}
	var paths []string
	for n := range 3 {
		name := fmt.Sprintf("%d.bin", n)
		path, sum := random(t, name, 1000+n)
		sums[name] = sum
		paths = append(paths, path)
	}
	callee.picksNothing()
	folder := t.TempDir()
	saved := callee.downloadsTo(folder)
	caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), paths))
	callee.sees("Accept all 3 files")
	callee.choose("0.bin", "Decline")
	callee.sees("Accept all 2 files")
	callee.click("accept-all")
	for _, name := range []string{"1.bin", "2.bin"} {
		if got := callee.whole(name); got != sums[name] {
			t.Errorf("%s arrived with SHA-256 %s, not %s", name, got, sums[name])
		}
		saved(name)
	}
	if eval[bool](callee, `document.getElementById("accept-all").checkVisibility()`) || callee.focused() != "text" {
		t.Errorf("with no offer left the page offers to accept all, or has the focus on %q", callee.focused())
	}
	more, _ := random(t, "more.bin", 10)
	caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{more}))
	callee.accepts("more.bin") // so soon after the others that a browser may not have saved it
	saved("more.bin")
	callee.sees("Save all 2 files")
	callee.click("save-received")
	saved("2.bin")
	saved("more.bin")
	until[bool](callee, `!document.getElementById("save-received").checkVisibility()`)
	callee.click("leave")
	callee.click("again")
	callee.sees("Start a call")
}
