package chat

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// A letter is written as testdata/letters.json has it, which the page reads and writes, too.
func TestLetterVectors(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/letters.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []json.RawMessage
	if err := json.Unmarshal(file, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		var l letter
		var want bytes.Buffer
		if err := json.Unmarshal(v, &l); err != nil {
			t.Fatal(err)
		}
		if err := json.Compact(&want, v); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(l); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s, %v, want %s", got, err, want.Bytes())
		}
	}
}
