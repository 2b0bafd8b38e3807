package main

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"p2pchat/chat/screen"
)

// hostileName is a side's name, which must never become more than text.
const hostileName = `<img src=x onerror="document.title='owned'">`

// pageTexts returns texts that a page could get wrong.
func pageTexts() map[string]string {
	lines := make([]string, 10_000)
	for i := range lines {
		lines[i] = strconv.Itoa(i % 1000)
	}
	return map[string]string{
		"emoji":           "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇺🇳",
		"right to left":   "שלום, العالم! (abc)",
		"bidi overrides":  "\u202egnp.exe\u202c \u2066isolated\u2069 \u2067too \u200fmarked",
		"controls":        "\x1b[31mred\x07 \x00\x7f\u009b31m \u2028 \u2029",
		"HTML":            `<img src=x onerror="document.title='owned'"><script>document.title="owned"</script>&lt;b&gt;<b>&amp;`,
		"a template":      `</p></div><template><svg onload=alert(1)>{{constructor.constructor("document.title='owned'")()}} ${document.title="owned"}`,
		"URLs":            `javascript:document.title='owned' data:text/html,<script>1</script> https://example.org/?a=b&c=d`,
		"64 KiB":          strings.Repeat("é", 32<<10),
		"one long word":   strings.Repeat("W", 2000),
		"10,000 lines":    strings.Join(lines, "\n"),
		"spaces":          "a\tb   c\n\n  d",
		"combined marks":  "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!",
		"U+FFFD and such": "\ufffd \ufeff \u00ad \U000e0041",
	}
}

// onPage returns a text as the page shows it: cleaned line by line, as in the terminal.
func onPage(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = screen.Clean(l)
	}
	return strings.Join(lines, "\n")
}

// writes says a text of any kind.
func (p *tab) writes(text string) {
	p.t.Helper()
	p.do(chromedp.SetValue(chromedp.ID("text"), text))
	p.click("send")
}

// showsTextAlone checks that no message became more than text.
func (p *tab) showsTextAlone() {
	p.t.Helper()
	if inside := eval[string](p, `[...document.querySelectorAll("#log .text *")].filter((e) => e.href !== "https://example.org/?a=b&c=d" || e.childElementCount > 0).map((e) => e.outerHTML).join()`); inside != "" {
		p.t.Errorf("messages have elements in them: %s", inside)
	}
	if n := eval[int](p, `document.querySelectorAll("img, :not(.text) > a, template, iframe, script:not([src])").length`); n != 0 {
		p.t.Errorf("the page has %d elements that it was not made with", n)
	}
	if title := eval[string](p, "document.title"); strings.HasPrefix(title, "owned") {
		p.t.Errorf("the title is %q", title)
	}
	if eval[bool](p, `document.documentElement.scrollWidth > innerWidth`) {
		p.t.Error("a message made the page wider than its window")
	}
}

// Each kind of text arrives as it was said, and is never more than text.
func TestPageTexts(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	server := serving(t)
	t.Run("from page to page", func(t *testing.T) {
		inFull(t)
		caller, callee := b.open(t, server), b.open(t, server)
		caller.do(chromedp.SetValue(chromedp.ID("name"), hostileName))
		callee.looks(320, 640, "light")
		callee.answer(caller.call(""))
		verified(t, caller, callee)
		if name := eval[string](callee, `document.getElementById("peer-name").textContent`); name != hostileName {
			t.Errorf("the caller is called %q", name)
		}
		texts := pageTexts()
		for _, text := range texts {
			caller.writes(text)
			callee.hears(onPage(text))
			callee.writes(text)
			caller.hears(onPage(text))
		}
		for _, p := range []*tab{caller, callee} {
			p.delivered(len(texts))
			p.showsTextAlone()
		}
		caller.writes(strings.Repeat("x", 64<<10+1))
		caller.sees("This message is too long: 65537 bytes")
		if kept := eval[int](caller, `document.getElementById("text").value.length`); kept != 64<<10+1 {
			t.Errorf("of the message %d characters are left to shorten", kept)
		}
	})
	for side, command := range map[string]string{"calls": "answer", "answers": "call"} {
		t.Run("between the program and a page that "+side, func(t *testing.T) {
			inFull(t)
			page := b.open(t, server)
			code := side + "-falcon-zebra"
			if side == "calls" {
				page.call(code)
			} else {
				page.answer(code)
			}
			program := launch(t, command, code, "--server", server, "--ui", "json", "--name", hostileName)
			verified(t, page)
			if name := eval[string](page, `document.getElementById("peer-name").textContent`); name != hostileName {
				t.Errorf("the program is called %q", name)
			}
			texts := pageTexts()
			for _, text := range texts {
				line, _ := json.Marshal(map[string]string{"type": "message", "text": text})
				program.say(t, string(line))
				page.hears(onPage(text))
				page.writes(text)
			}
			page.delivered(len(texts))
			page.showsTextAlone()
			page.click("leave")
			program.finish(t)
			heard := said(t, program.out.String())
			for name, text := range texts {
				if !slices.Contains(heard, text) {
					t.Errorf("%s did not arrive as it was said", name)
				}
			}
			if len(heard) != len(texts) {
				t.Errorf("%d messages arrived as %d", len(texts), len(heard))
			}
		})
	}
}

// said returns the messages in a program's JSON output.
func said(t *testing.T, out string) (texts []string) {
	t.Helper()
	for line := range strings.Lines(out) {
		var m struct{ Type, Text string }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if m.Type == "message" {
			texts = append(texts, m.Text)
		}
	}
	return texts
}
