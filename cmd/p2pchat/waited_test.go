package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var queuedAt = regexp.MustCompile(`"at":(\d+)`)

// ages makes the messages in the only outbox of a state folder older, and returns when the last of them was written.
func ages(t *testing.T, state string, by time.Duration) (written time.Time) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(state, "p2pchat", "outboxes", "*.outbox"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("outboxes: %q, %v", paths, err)
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	text = queuedAt.ReplaceAllFunc(text, func(member []byte) []byte {
		at, err := strconv.ParseInt(string(member[len(`"at":`):]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		written = time.Unix(at, 0).Add(-by)
		return strconv.AppendInt([]byte(`"at":`), written.Unix(), 10)
	})
	if written.IsZero() {
		t.Fatalf("no message in the outbox has a time:\n%s", text)
	}
	if err := os.WriteFile(paths[0], text, 0o600); err != nil { //nolint:gosec // of this test
		t.Fatal(err)
	}
	return written
}

// waitsInOutbox lets a program write a message to a contact who is away, at a server without mail, and kills it.
func (p *process) waitsInOutbox(t *testing.T, message string) {
	t.Helper()
	p.say(t, `{"type":"message","text":"`+message+`"}`)
	p.prints(t, `this server keeps no messages for people who are away`) // it was in the outbox before
	p.kill()
}

// Of a message that waited in an outbox for the call, the reader learns when it was written.
func TestTimeOfMessagesThatWaited(t *testing.T) {
	t.Parallel()
	for face, want := range map[string]func(at time.Time) string{
		"json": func(at time.Time) string {
			return `"text":"early","type":"message","written":"` + at.UTC().Format(time.RFC3339) + `"}`
		},
		"line": func(time.Time) string { return `^early$` },
	} {
		t.Run(face, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, serving(t))
			p.keep(t)
			withOutbox(t, p, 0, "call", "@ben", "--ui", "json").waitsInOutbox(t, "early")
			at := ages(t, p.states[0], 2*time.Hour)
			ann := withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
			ann.say(t, `{"type":"message","text":"late"}`)
			ben := withOutbox(t, p, 1, "answer", "@ann", "--ui", face)
			ben.prints(t, want(at))
			told := "✉ ann wrote this on " + at.Local().Format("Jan 2 15:04") + ":"
			if face == "line" {
				ben.prints(t, `^late$`)
				ben.notes(t, regexp.QuoteMeta(told))
				ann.say(t, `{"type":"leave"}`)
				ann.finishes(t, 0)
				ben.finishes(t, 0)
				if n := strings.Count(ben.err.String(), "wrote this on"); n != 1 {
					t.Errorf("the reader is told %d times:\n%s", n, ben.err)
				}
				return
			}
			ben.prints(t, `"text":"late","type":"message"}`)
		})
	}
}
