package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// The log has 2,000 items at most. What a person has to decide about or to save stays, and so does what has just come.
func TestPageTrimsItsLog(t *testing.T) {
	t.Parallel()
	caller, callee := inCall(t, sharedBrowser(t))
	callee.looks(1280, 800, "light")
	receivesUnsaved(t, caller, callee, "unsaved.txt")
	caller.offers("offered.bin")
	callee.sees("offered.bin")
	fills := func(item string) {
		t.Helper()
		eval[bool](callee, fmt.Sprintf(`(() => {
			const item = %s;
			document.querySelectorAll("#log > .note").forEach((e) => e.remove());
			document.getElementById("log").append(...Array.from({ length: 2000 }, () => item.cloneNode(true)));
			return true;
		})()`, item))
	}
	fills(`document.querySelector("#log > .note")`)
	caller.say("after many notes")
	callee.hears("after many notes")
	for _, name := range []string{"unsaved.txt", "offered.bin"} {
		if !eval[bool](callee, item(name)+` !== undefined`) {
			t.Errorf("%s has gone", name)
		}
	}
	if n := eval[int](callee, `document.getElementById("log").childElementCount`); n != 2000 {
		t.Errorf("the log has %d items", n)
	}
	fills(item("unsaved.txt"))
	caller.say("after many files")
	callee.hears("after many files")
	caller.offers("last.bin")
	callee.choose("last.bin", "Decline")
	caller.sees("Not transferred: declined")
	eval[bool](callee, `[...document.querySelectorAll("#log > div:has(.unsaved) ~ div:has(.unsaved)")].forEach((e) => e.remove()) || true`)

	callee.choose("unsaved.txt", "Save")
	callee.click("more")
	callee.click("clear")
	callee.sees("Cleared on this page.")
	if got := eval[string](callee, `[...document.querySelectorAll("#log .file b")].map((e) => e.textContent).join()`); got != "offered.bin" {
		t.Errorf("the cleared log has the files %q", got)
	}
}

// Many files take one click to accept, as far as they fit into memory together, and no button that goes takes the focus with it.
func TestPageAcceptsWhatFits(t *testing.T) {
	t.Parallel()
	caller, callee := inCall(t, sharedBrowser(t))
	callee.picksDisk()
	small, _ := random(t, "small.bin", 10)
	large := filepath.Join(t.TempDir(), "large.bin")
	f, err := os.Create(large) //nolint:gosec // a file of the test
	if err == nil {
		err = errors.Join(f.Truncate(1<<30), f.Close()) // which takes no place on the disk
	}
	if err != nil {
		t.Fatal(err)
	}
	caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{small, large}))
	callee.sees("Accept all 2 files")
	callee.click("accept-all")
	callee.sees("One file is too large to be kept in memory with the others. Accept it by itself.")
	callee.whole("small.bin")
	caller.offers("cancelled.bin")
	callee.sees("Accept all 2 files")
	callee.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("accept-all").focus(); 0`))
	caller.choose("cancelled.bin", "Cancel")
	until[bool](callee, `document.getElementById("accept-all").hidden`)
	if at := callee.focused(); at != "text" {
		t.Errorf("the focus is on %q", at)
	}
}

// A double click on the button that saves all files saves each of them once.
func TestPageSavesEachFileOnce(t *testing.T) {
	t.Parallel()
	caller, callee := inCall(t, sharedBrowser(t))
	receivesUnsaved(t, caller, callee, "a.txt", "b.txt", "c.txt")
	eval[bool](callee, `(() => {
		globalThis.saves = [];
		HTMLAnchorElement.prototype.click = function () { saves.push(this.download); };
		return true;
	})()`)
	callee.clicksTwice("save-received")
	until[bool](callee, `document.querySelectorAll("a.unsaved").length === 0`)
	if got := eval[string](callee, `new Promise((resolve) => setTimeout(() => resolve(saves.join()), 1000))`); got != "a.txt,b.txt,c.txt" {
		t.Errorf("it saves %s", got)
	}
}
