package tui

import (
	"regexp"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"p2pchat/chat"
)

// What is a link, and where it leads: the parts in brackets.
func TestLinks(t *testing.T) {
	t.Parallel()
	long := "https://a.example/" + strings.Repeat("x", longestLink)
	for text, want := range map[string]string{
		"see https://chat.example.org/#417-falcon-zebra.":        "see [https://chat.example.org/#417-falcon-zebra].",
		"(http://a.example/x_(y)) and https://b.example/?q=1&r,": "([http://a.example/x_(y)]) and [https://b.example/?q=1&r],",
		"https://de.example/Käse":                                "[https://de.example/K%C3%A4se]",
		"https://bank.example@evil.example/":                     "https://bank.example@evil.example/",
		"https://аpple.example/":                                 "https://аpple.example/", // a Cyrillic а
		"javascript:alert(1) file:///etc/passwd ftp://a":         "javascript:alert(1) file:///etc/passwd ftp://a",
		"https:// http://":                                       "https:// http://",
		"https://a.example/␛]8;;x":                               "[https://a.example/%E2%90%9B%5D8;;x]",
		long:                                                     long,
	} {
		got := text
		marks := links(text)
		for i := len(marks) - 1; i >= 0; i-- {
			k := marks[i]
			target := regexp.MustCompile(`\x1b\]8;id=[0-9a-f]+;(.*)\a`).FindStringSubmatch(k.on)[1]
			got = got[:k.from] + "[" + target + "]" + got[k.to:]
		}
		if got != want {
			t.Errorf("%.80s becomes %.80s", text, got)
		}
	}
	if n := len(links(strings.Repeat("http://a.example ", 1000))); n != mostLinks {
		t.Errorf("a line has %d links", n)
	}
}

// A link that takes several rows is one link, and is shown as it is.
func TestALinkInRows(t *testing.T) {
	t.Parallel()
	link := "https://chat.example.org/" + strings.Repeat("path/", 12) + "#end"
	r := newRig(t, 40, 12).happens(benIs, chat.Message{From: "Ben", Text: "look: " + link + " there"})
	content := r.View().Content
	opens := regexp.MustCompile(`\x1b\]8;(id=[0-9a-f]+;[^\a]+)\a`).FindAllStringSubmatch(content, -1)
	if len(opens) < 3 || strings.Count(content, ansi.ResetHyperlink()) != len(opens) {
		t.Fatalf("it has %d links: %q", len(opens), content)
	}
	for _, o := range opens {
		if o[1] != opens[0][1] || !strings.HasSuffix(o[1], ";"+link) {
			t.Errorf("a row leads to %q", o[1])
		}
	}
	if shown := strings.Join(strings.Fields(r.seen()), ""); !strings.Contains(shown, link) {
		t.Errorf("it is not shown whole: %s", shown)
	}
}

// Marks leave the text as it is, whatever overlaps.
func FuzzMarked(f *testing.F) {
	f.Add("see http://a.example/x and x", "x", 7)
	f.Add("0", "\xcb", 3) // no UTF-8
	f.Add("a (https://b.example/(1)) K\u212a", "k", 3)
	f.Fuzz(func(t *testing.T, text, sought string, width int) {
		width = 2 + (width&0x7fffffff)%100
		for _, line := range tidy(text) {
			marks := append(matches(line, sought), links(line)...)
			for _, r := range breakLine(line, width, ansi.WcWidth) {
				row := marked(line, r, marks)
				if got := ansi.Strip(row); got != ansi.Strip(line[r.from:r.to]) {
					t.Fatalf("%q becomes %q", line[r.from:r.to], row)
				}
				if strings.Count(row, "\x1b]8;id=") != strings.Count(row, ansi.ResetHyperlink()) || strings.Count(row, highlight) != strings.Count(row, "\x1b[27m") {
					t.Fatalf("%q has a mark that does not end", row)
				}
			}
		}
	})
}
