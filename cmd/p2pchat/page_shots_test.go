package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
	own := filepath.Join(t.TempDir(), "own")
	if err := certify(own, "chat.example.org"); err != nil {
		t.Fatal(err)
	}
	b := sharedBrowser(t)
	server := strings.Replace(serving(t, "--tls-cert", own+".pem", "--tls-key", own+".key"), "127.0.0.1", "chat.example.org", 1)
	caller, callee := b.open(t, server), b.open(t, server)
	caller.looks(960, 780, "light")
	callee.looks(320, 640, "dark")
	caller.do(chromedp.SetValue(chromedp.ID("name"), "Ann"))
	callee.do(chromedp.SetValue(chromedp.ID("name"), "Ben"))
	shoot(t, folder, "start", caller)
	caller.looks(960, 720, "light")
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
	callee.choose("old-bridge.zip", "Cancel")
	caller.sees("cancelled by its receiver")
	callee.looks(960, 720, "dark")
	shoot(t, folder, "talk-dark", callee)

	phone, other := b.open(t, server), b.open(t, server)
	phone.looks(320, 640, "light")
	other.answer(phone.call("standup"))
	phone.connected()
	other.connected()
	phone.sees("They are the same")
	shoot(t, folder, "unverified-narrow", phone)
	shootStates(t, folder, b, server)
}

// shootStates takes a picture of each state of the page on a phone and on a desk, light and dark.
func shootStates(t *testing.T, folder string, b chromium, server string) {
	all := func(state string, p *tab) {
		t.Helper()
		for _, size := range [][2]int64{{390, 844}, {1280, 800}} {
			for _, scheme := range []string{"light", "dark"} {
				p.looks(size[0], size[1], scheme)
				eval[bool](p, `new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(true))))`)
				shoot(t, folder, fmt.Sprintf("%s-%d-%s", state, size[0], scheme), p)
			}
		}
	}
	caller, callee := b.open(t, server), b.open(t, server)
	caller.do(chromedp.SetValue(chromedp.ID("name"), "Ann"))
	callee.do(chromedp.SetValue(chromedp.ID("name"), "Ben"))
	all("start", caller)
	callee.answer("601-animal-zebra")
	callee.sees("No call is open in room 601 yet.")
	all("no-call", callee)
	callee.click("other-code")
	all("waiting", caller.calling("418-falcon-zebra"))
	callee.answer("418-falcon-zebra")
	verified(t, caller, callee)
	for n := range 12 {
		caller.say(fmt.Sprintf("Photograph %d of the old bridge is ready.", n+1))
	}
	callee.say("Send me the last one, please, and the map.")
	caller.hears("Send me the last one, please, and the map.")
	caller.say("The map: https://example.org/maps/old-bridge?zoom=12 and the wrong one: https://bank.example@evil.example/")
	callee.picksNothing()
	picture := filepath.Join(t.TempDir(), "old-bridge.png")
	if err := os.WriteFile(picture, pictures(t)["a.png"], 0o600); err != nil {
		t.Fatal(err)
	}
	caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{picture}))
	callee.accepts("old-bridge.png")
	callee.whole("old-bridge.png")
	until[bool](callee, `document.querySelector("#log img")?.complete`)
	all("chat", callee)
	callee.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("log").scrollTop = 0; 0`))
	caller.say("And this is below what you see.")
	callee.sees("One new message below")
	all("below", callee)
	callee.keeps()
	until[bool](caller, `!document.getElementById("keeping").hidden`)
	all("keep", caller)
	caller.click("keep-yes")
	callee.sees("You have kept each other.")
	caller.click("leave")
	callee.click("again")
	caller.click("again")
	until[bool](caller, `!document.getElementById("contacts").hidden`)
	all("contacts", caller)
	caller.call("standup")
	callee.answer("standup")
	callee.sees("Compare these four words")
	all("unverified", callee)
	callee.click("differ")
	callee.click("differ-sure")
	callee.sees("Someone may be listening, so the call has been ended.")
	callee.sees("You have left.")
	all("alarm", callee)
}

func (p *tab) calling(code string) *tab {
	p.t.Helper()
	p.call(code)
	return p
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
