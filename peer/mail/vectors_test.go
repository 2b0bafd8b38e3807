package mail

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"p2pchat/peer/contact"
)

// The page derives the same boxes, and seals the same blocks.
func TestVectors(t *testing.T) {
	t.Parallel()
	type sealed struct {
		Length int    // of a letter of that many letters "a"
		Number uint64 // of its block
		Size   int    // of its block
		SHA256 string // of its block
	}
	v := struct {
		Box                 contact.Box
		Name, Putter, Taker string
		Blocks              []sealed
	}{Box: box()}
	putter, taker := boxes(v.Box)
	v.Name, v.Putter, v.Taker = putter.Name, putter.Credential(), taker.Credential()
	o := Outgoing{Box: v.Box}
	for _, length := range []int{0, 1, 494, 495, 2030, 2031, MaxLetter} {
		o = seal(t, o, strings.Repeat("a", length))
		block := o.Pending[len(o.Pending)-1]
		sum := sha256.Sum256(block.Bytes)
		v.Blocks = append(v.Blocks, sealed{length, block.Number, len(block.Bytes), hex.EncodeToString(sum[:])})
	}
	got, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/mail.json"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(want)) != string(got) {
		t.Errorf("%s has other values than this package makes: the page would not read its letters", file)
	}
}
