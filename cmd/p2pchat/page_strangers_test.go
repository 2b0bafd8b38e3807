package main

import (
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"p2pchat/peer"
)

// testPageStrangers has the page read what chat has read of the same bytes: those of chat/testdata, or of the file P2PCHATTEST_STRANGERS
// ('task fuzz:page'). Odd JSON alone may be read differently.
func testPageStrangers(t *testing.T, p *tab) {
	file, err := os.ReadFile(cmp.Or(os.Getenv("P2PCHATTEST_STRANGERS"), "../../chat/testdata/strangers.json")) //nolint:gosec // the path is of the person who runs the test
	var inputs []struct {
		Form, In, Reads string
		Odd             bool
	}
	if err == nil {
		err = json.Unmarshal(file, &inputs)
	}
	if err != nil || len(inputs) == 0 {
		t.Fatalf("%d inputs: %v", len(inputs), err)
	}
	for i, got := range eval[[]string](p, string(file)+".map(({ Form, In }) => parts.reads[Form.toLowerCase()](un(In)))") {
		if in := inputs[i]; got != in.Reads && !in.Odd {
			t.Errorf("of the %s %s the page reads %s, and the program %s", in.Form, in.In, got, in.Reads)
		}
	}

	// Codes, made of what people and their programs put into them.
	pieces := []string{
		"417", "falcon", "zebra", "Zebra", "lobby", "-", "–", "—", "‐", " ", "\t", "\n", "\u00a0", "\u200b", "\u2060", ".", "_", "~", "..", "code:", "p2pchat: code: ", "“", "”", "'", "`", "«", "(", ")", "]", "。", "!", "?",
		"é", "e\u0301", "ß", "İ", "I", "ı", "Σ", "σς", "ﬁ", "①", "４", "ｆ", "Å", "\u212b", "\u212a", "日本", "한", "ㅎ", "🦊", "\u0000", "\u0007", "\u00ad", "\ufeff", "\u2028", strings.Repeat("x", 64), strings.Repeat("é", 100),
	}
	seed := rand.Uint64()               //nolint:gosec // it is told
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a seed repeats it
	texts := make([]string, 2000)
	for i := range texts {
		for range r.IntN(8) {
			texts[i] += pieces[r.IntN(len(pieces))]
		}
	}
	list, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for i, got := range eval[[]string](p, string(list)+`.map((t) => { try { return parts.print(parts.parse(t)) } catch (e) { return e.constructor.name === Error.name ? String(e) : "" } })`) {
		want := ""
		if c, err := peer.ParseCode(texts[i]); err == nil {
			want = c.String()
			read++
		}
		if got != want {
			t.Errorf("seed %d: %q is the code %q to the page, and %q to the program", seed, texts[i], got, want)
		}
	}
	if read < len(texts)/20 {
		t.Errorf("of %d texts, %d are codes: that compares too little", len(texts), read)
	}
}
