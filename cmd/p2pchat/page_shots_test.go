package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Pictures of the page, for docs/ and to look at: P2PCHATTEST_SHOTS names the folder to
// write them to ('task shots').
func TestPageShots(t *testing.T) {
	folder := os.Getenv("P2PCHATTEST_SHOTS")
	if folder == "" {
		t.Skip("NOT RUN here: 'task shots' takes the pictures")
	}
	b := startBrowser(t)
	server := serving(t)
	caller, callee := b.open(t, server), b.open(t, server)
	caller.looks(960, 720, "light")
	callee.looks(320, 640, "dark")
	caller.do(chromedp.SetValue(chromedp.ID("name"), "Ann"))
	callee.do(chromedp.SetValue(chromedp.ID("name"), "Ben"))
	shoot(t, folder, "start", caller)
	code := caller.call("417-falcon-zebra")
	shoot(t, folder, "waiting", caller)
	callee.answer(code)
	verified(t, caller, callee)
	caller.say("Are you there?")
	callee.say("Yes. Nobody else is.")
	caller.say("Here is what I meant: the plan for Thursday, and the photographs of the old bridge.")
	caller.hears("Yes. Nobody else is.")
	caller.delivered(2)
	callee.picksNothing()
	large, _ := random(t, "old-bridge.zip", 200<<20)
	small, _ := random(t, "plan.pdf", 240_000)
	caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{small, large}))
	callee.accepts("plan.pdf")
	callee.whole("plan.pdf")
	callee.accepts("old-bridge.zip")
	until[bool](callee, item("old-bridge.zip")+`.querySelector("progress").value > 60e6`)
	shoot(t, folder, "file", caller, callee)
	callee.press("old-bridge.zip", "Cancel")
	caller.sees("cancelled by its receiver")
	callee.looks(960, 720, "dark")
	shoot(t, folder, "talk-dark", callee)

	phone, other := b.open(t, server), b.open(t, server)
	phone.looks(320, 640, "light")
	phone.do(chromedp.Click(chromedp.CSS("#call button.primary")))
	other.answer("lobby")
	phone.connected()
	other.connected()
	phone.sees("They are the same")
	shoot(t, folder, "unverified-narrow", phone)
}

// looks sets the window's size, and whether it is light or dark.
func (p *tab) looks(width, height int64, scheme string) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height), func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return chromedp.Void{}, err
	})
}

// shoot writes a picture of the first page, and of the second, which is narrow.
func shoot(t *testing.T, folder, name string, pages ...*tab) {
	t.Helper()
	for i, p := range pages {
		p.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
		picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name+[]string{"", "-narrow"}[i]+".png"), picture, 0o644) //nolint:gosec // a picture for everybody
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
