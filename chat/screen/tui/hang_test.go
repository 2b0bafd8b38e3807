package tui

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestHang(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 50)
	for text, want := range map[string]string{
		"":        "",
		"short\n": "short\n",
		"  yes  lan    192.0.2.2 ── other machines: calls within this network\n": "  yes  lan    192.0.2.2 ── other\n              machines: calls within\n              this network\n",
		"To test the network, name another server: --server URL.\nnext":          "To test the network, name another\nserver: --server URL.\nnext",
		"exactly as wide as the terminal, that is\n":                             "exactly as wide as the terminal, that is\n",
		"  no   " + long + " and more\n":                                         "  no   " + long + "\n       and more\n", // a terminal breaks a long word
		"éééééééééé  a host of an accent, which is far away\n":                   "éééééééééé  a host of an accent, which\n            is far away\n",
		"  no   漢漢漢漢漢漢漢漢 漢漢漢漢漢漢漢漢 漢漢\n":                                          "  no   漢漢漢漢漢漢漢漢 漢漢漢漢漢漢漢漢\n       漢漢\n",
		"  not used  stun:漢漢漢漢漢漢漢漢漢漢漢  x.org\n":                                  "  not used  stun:漢漢漢漢漢漢漢漢漢漢漢\n            x.org\n",
	} {
		if got := Hang(text, 40); got != want {
			t.Errorf("%q becomes\n%s", text, got)
		}
	}
	if text := "  no   a few words, which are too long here\n"; Hang(text, 20) != text {
		t.Error("it breaks lines for a terminal that is too narrow")
	}
}

// A server chooses what some rows say.
func TestHangKeepsEveryWord(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test that fails fails again
	pieces := []string{" ", " ", "  ", "a", "word", "é", "e\u0301", "漢", strings.Repeat("漢", 21), "👩‍👩‍👧‍👦", "🇫🇷", "\t", "\n", "\x1b[31m", "\u009b", "\u202e", "\xff"}
	for range 5000 {
		var text strings.Builder
		for range random.IntN(60) {
			text.WriteString(pieces[random.IntN(len(pieces))])
		}
		hangs(t, text.String(), leastHanging+random.IntN(80))
	}
}

// hangs checks that Hang keeps all words of text, and that no row is wider than the terminal, unless it has one word.
func hangs(t *testing.T, text string, width int) {
	t.Helper()
	var want []string
	for line := range strings.Lines(text) {
		want = append(want, strings.Fields(tidyLine(strings.TrimSuffix(line, "\n")))...)
	}
	got := Hang(text, width)
	if words := strings.Fields(got); !slices.Equal(words, want) {
		t.Fatalf("%q becomes %q", text, got)
	}
	for row := range strings.Lines(got) {
		row = strings.TrimSuffix(row, "\n")
		if ansi.StringWidthWc(row) > width && strings.Contains(row[lastColumn(row, width/2):], " ") {
			t.Fatalf("%q becomes %q, of which a row is wider than %d cells", text, got, width)
		}
	}
}
