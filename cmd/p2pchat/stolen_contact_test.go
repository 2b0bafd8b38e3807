package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"p2pchat/signaling"
)

// steal returns a pair in which side has nothing but a copy of the files of its contacts.
func (p pair) steal(t *testing.T, side int) pair {
	t.Helper()
	thief := newPair(t, p.server)
	thief.states[1-side] = p.states[1-side]
	from, to := filepath.Join(p.states[side], "p2pchat", "contacts"), filepath.Join(thief.states[side], "p2pchat", "contacts")
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(from, "*.contact"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err == nil {
		err = os.WriteFile(filepath.Join(to, filepath.Base(files[0])), text, 0o600) //nolint:gosec // both are folders of the test
	}
	if err != nil {
		t.Fatal(err)
	}
	return thief
}

// A thief of a contact's file, with a server that repeats all that it has ever seen, opens no letter that was read before the theft, and
// after the next call nothing at all.
func TestAStolenContactFile(t *testing.T) {
	t.Parallel()
	m := &postman{lie: func(list, seen []signaling.Block) []signaling.Block { return slices.Concat(seen, list) }}
	p := newPair(t, m.atDoor(t))
	p.keep(t)
	m.lying.Store(true)
	leave := func(text, id string) {
		ann := withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
		ann.say(t, `{"type":"message","text":"`+text+`"}`)
		ann.prints(t, `"id":`+id+`,"kept_s":\d+,"type":"mailed"`)
		ann.kill()
	}
	leave("first secret", "1")
	ben := withOutbox(t, p, 1, "answer", "@ann", "--ui", "json")
	ben.prints(t, `"text":"first secret"`)
	ben.prints(t, `The server sent 1 letter again`) // so the key of the letter has gone from the disk
	ben.kill()

	thief := p.steal(t, 1)
	reader := withOutbox(t, thief, 1, "answer", "@ann", "--ui", "json")
	reader.prints(t, `The server sent 1 letter again`) // it was handed the letter
	reader.kill()
	if strings.Contains(reader.out.String(), "first secret") {
		t.Error("a stolen file opens a letter that was read before")
	}

	ann := withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
	ben = withOutbox(t, p, 1, "answer", "@ann", "--ui", "json")
	ann.prints(t, `"type":"connected"`)
	ben.prints(t, `"type":"connected"`)
	ann.say(t, `{"type":"leave"}`)
	ann.finishes(t, 0)
	ben.finishes(t, 0)

	leave("second secret", "1")
	ann = withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
	reader = withOutbox(t, thief, 1, "answer", "@ann", "--ui", "json", "--wait", "3s")
	reader.finishes(t, exitAbsent)
	if out := reader.out.String(); strings.Contains(out, "secret\"") || strings.Contains(out, `"connected"`) {
		t.Errorf("a file that was stolen before a call opens what comes after it:\n%s", out)
	}
	ben = withOutbox(t, p, 1, "answer", "@ann", "--ui", "json")
	ben.prints(t, `"text":"second secret"`)
	ben.prints(t, `"type":"connected"`)
	ann.say(t, `{"type":"leave"}`)
	ann.finishes(t, 0)
	ben.finishes(t, 0)
}
