package main

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// A browser gives all its tabs six connections to a server that speaks HTTP/1: the tabs
// that wait leave enough of them to the others.
func TestPageLeavesConnectionsToOtherTabs(t *testing.T) {
	const limit = 5 * time.Second // a read waits for 25 s
	b := sharedBrowser(t)
	for name, wait := range map[string][]string{
		"which wait for callers":  {"one-falcon-zebra", "two-falcon-zebra"},
		"which wait in the lobby": {"lobby", "lobby", "lobby"},
	} {
		t.Run(name, func(t *testing.T) {
			server := serving(t)
			for _, code := range wait {
				p := b.tab(t, server)
				p.answer(code)
				p.sees("Waiting for the caller")
			}
			begun := time.Now()
			last := b.tab(t, server)
			if wait[0] == "lobby" {
				last.do(chromedp.Click(chromedp.CSS("#call button.primary")))
			} else {
				callee := b.tab(t, server)
				last.answer("three-falcon-zebra")
				callee.call("three-falcon-zebra")
				verified(t, callee)
			}
			last.connected()
			took := time.Since(begun)
			t.Logf("opened and connected within %v", took)
			if took > limit {
				t.Errorf("it takes %v", took)
			}
		})
	}
}
