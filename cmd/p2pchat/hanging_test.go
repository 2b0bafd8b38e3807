package main

import (
	"strings"
	"testing"
)

func TestHanging(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 50)
	for text, want := range map[string]string{
		"":        "",
		"short\n": "short\n",
		"  yes  lan    192.0.2.2 ── other machines: calls within this network\n": "  yes  lan    192.0.2.2 ── other\n              machines: calls within\n              this network\n",
		"To test the network, name another server: --server URL.\nnext":          "To test the network, name another\nserver: --server URL.\nnext",
		"exactly as wide as the terminal, that is\n":                             "exactly as wide as the terminal, that is\n",
		"  no   " + long + " and more\n":                                         "  no   " + long + " and more\n", // a terminal breaks a long word
	} {
		if got := hanging(text, 40); got != want {
			t.Errorf("%q becomes\n%s", text, got)
		}
	}
	if text := "  no   a few words, which are too long here\n"; hanging(text, 20) != text {
		t.Error("it breaks lines for a terminal that is too narrow")
	}
}
