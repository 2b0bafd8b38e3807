package chat

import (
	"os"
	"path/filepath"
	"testing"
)

// A journal may be damaged in any way: it is refused, or continued, and what was continued can be opened again.
func FuzzJournal(f *testing.F) {
	path := filepath.Join(f.TempDir(), "journal")
	j, err := OpenJournal(path)
	if err != nil {
		f.Fatal(err)
	}
	if err := j.End(true); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the test's own
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(append(text, "{\"again\":\"x\",\"confirmed\":true}\n{\"quiet\":true}\n{\"file\":{}}\n"...))
	f.Add(append(text, `{"message`...))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := OpenJournal(path)
		if err != nil {
			return
		}
		waiting := j.Waiting()
		if err := j.End(true); err != nil {
			t.Fatal(err)
		}
		again, err := OpenJournal(path)
		if err != nil {
			t.Fatalf("%q could be opened once only: %v", text, err)
		}
		if again.Waiting() != waiting {
			t.Errorf("%q: %d messages wait, then %d", text, waiting, again.Waiting())
		}
		_ = again.End(false)
	})
}
