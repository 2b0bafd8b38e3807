package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"p2pchat/chat"
	"p2pchat/signaling"
)

// withoutCode makes the outbox of a caller that was killed before it had a code, with what say says.
func withoutCode(t *testing.T, path string, say func(*chat.Conversation) error) {
	t.Helper()
	journal, err := chat.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(say(chat.New(chat.Config{Journal: journal})), journal.End(true)); err != nil {
		t.Fatal(err)
	}
}

// With --resume, the file that such a caller was to send is not dropped.
func TestResumeWithFilesAlone(t *testing.T) {
	t.Parallel()
	box := filepath.Join(t.TempDir(), "box")
	withoutCode(t, box, func(c *chat.Conversation) error {
		_, err := c.SendFiles(t.Context(), "earlier_test.go")
		return err
	})
	o := talkOptions{outboxPath: box, resume: true}
	if err := o.openNamed(); err != nil || o.outbox.journal.Files() != 1 {
		t.Fatalf("the outbox is opened with %v", err)
	}
	if err := o.outbox.journal.End(false); err != nil {
		t.Error(err)
	}
}

// The next call goes on with what such a caller did not deliver, in a room with a new code. One who answers leaves it alone.
func TestAnEarlierCallWithoutACode(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	folder := filepath.Join(state, "p2pchat", "outboxes")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	withoutCode(t, filepath.Join(folder, "1-1"+outboxExtension), func(c *chat.Conversation) error {
		_, err := c.Say(t.Context(), "hello")
		return err
	})
	callee := talkOptions{side: signaling.Callee, resume: true}
	if err := callee.openDefault(t.Context(), "", stdio{err: io.Discard}); err == nil {
		t.Error("one who answers goes on with a call")
	}
	asked := talkOptions{side: signaling.Caller}
	was, _ := asked.earlier(folder, "")
	if was == nil {
		t.Fatal("it is not found")
	}
	if want := "the conversation of " + was.at.Local().Format("Jan 2 15:04") + " (no code yet, 1 message undelivered)"; was.String() != want {
		t.Errorf("it is called %s", was)
	}
	if named, _ := asked.earlier(folder, "417-falcon-zebra"); named != nil {
		t.Errorf("%s is taken for one with a code", named)
	}
	caller := talkOptions{side: signaling.Caller, resume: true}
	if err := caller.openDefault(t.Context(), "", stdio{err: io.Discard}); err != nil {
		t.Fatal(err)
	}
	if caller.outbox.journal.Waiting() != 1 || caller.outbox.resume != nil || caller.outbox.notice() != "1 message from before will be sent when the other side joins." {
		t.Errorf("%d messages wait, the call resumes %v: %s", caller.outbox.journal.Waiting(), caller.outbox.resume, caller.outbox.notice())
	}
	if err := caller.outbox.journal.End(false); err != nil {
		t.Error(err)
	}
}
