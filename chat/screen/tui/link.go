package tui

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/charmbracelet/x/ansi"
)

// A mark makes a segment of a line look or act differently, by escape sequences.
type mark struct {
	segment
	on, off string
}

// marked returns a row of a line with its marks.
func marked(line string, row segment, marks []mark) string {
	type edge struct {
		at       int
		sequence string
		opens    bool
	}
	var edges []edge
	for _, k := range marks {
		if from, to := max(k.from, row.from), min(k.to, row.to); from < to {
			edges = append(edges, edge{from, k.on, true}, edge{to, k.off, false})
		}
	}
	if len(edges) == 0 {
		return line[row.from:row.to]
	}
	slices.SortStableFunc(edges, func(a, b edge) int {
		if a.at == b.at && a.opens != b.opens {
			return map[bool]int{true: 1, false: -1}[a.opens]
		}
		return cmp.Compare(a.at, b.at)
	})
	var b strings.Builder
	at := row.from
	for _, e := range edges {
		b.WriteString(line[at:e.at] + e.sequence)
		at = e.at
	}
	b.WriteString(line[at:row.to])
	return b.String()
}

// Bounds of links: beyond them, an address is text.
const (
	mostLinks   = 50   // in a line
	longestLink = 2000 // bytes; terminals drop those over 2083
)

var address = sync.OnceValue(func() *regexp.Regexp { // not compiled at each start
	return regexp.MustCompile("https?://[^\\s<>\"`{}|\\\\^]+")
})

// links returns hyperlinks (OSC 8) for the addresses of web pages in a tidy line. The whole address is
// shown, so that no text hides where it leads.
func links(line string) (marks []mark) {
	for _, at := range address().FindAllStringIndex(line, mostLinks) {
		text := trimAddress(line[at[0]:at[1]])
		target, ok := linkTarget(text)
		if !ok {
			continue
		}
		id := fnv.New32a()
		_, _ = id.Write([]byte(target)) // it cannot fail
		marks = append(marks, mark{
			segment: segment{at[0], at[0] + len(text)},
			on:      ansi.SetHyperlink(target, fmt.Sprintf("id=%08x", id.Sum32())), // its rows are one link
			off:     ansi.ResetHyperlink(),
		})
	}
	return marks
}

// trimAddress removes punctuation of the sentence from the end of an address.
func trimAddress(text string) string {
	for {
		rest := strings.TrimRight(text, ".,;:!?'*_…")
		for _, pair := range []string{"()", "[]"} {
			if strings.HasSuffix(rest, pair[1:]) && strings.Count(rest, pair[:1]) < strings.Count(rest, pair[1:]) {
				rest = rest[:len(rest)-1]
			}
		}
		if rest == text {
			return text
		}
		text = rest
	}
}

// linkTarget returns the address, in ASCII, that a terminal may open for text. A host with other letters
// may look like another host, and a user name like a host: those are no links.
func linkTarget(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || len(text) > longestLink {
		return "", false
	}
	target := u.String()
	for _, c := range []byte(u.Host + target) {
		if c <= 0x20 || c >= 0x7f {
			return "", false
		}
	}
	return target, len(target) <= longestLink
}

// matches returns a mark for each place in a line where the search has found its text.
func matches(line, text string) (marks []mark) {
	pattern, err := regexp.Compile("(?i)" + regexp.QuoteMeta(text))
	if text == "" || err != nil { // err: the text is too long for a pattern
		return nil
	}
	for _, at := range pattern.FindAllStringIndex(line, mostLinks) {
		marks = append(marks, mark{segment{at[0], at[1]}, highlight, "\x1b[27m"})
	}
	return marks
}

// highlight begins reversed letters.
const highlight = "\x1b[7m"
