package main

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"p2pchat/peer/contact"
	"p2pchat/peer/mail"
	"p2pchat/signaling"
)

// A letter waits at a server until its reader comes, though its sender has gone, and a server without --mail says so.
func TestMailOfAServer(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{9}, contact.KeySize)
	box := contact.Keep(contact.First, key, key[:contact.NonceSize], key[:contact.NonceSize]).Generations[0].Boxes[contact.First]
	out, err := mail.Outgoing{Box: box}.Seal([]byte("see you at noon"))
	if err != nil {
		t.Fatal(err)
	}
	client := func(flags ...string) *signaling.Client {
		server := launch(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, flags...)...)
		c, err := signaling.NewClient(server.notes(t, `listening on (http://\S+)`)[1], signaling.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.CloseIdle)
		return c
	}

	off := client()
	if rest, _, err := out.Post(t.Context(), off); !errors.Is(err, signaling.ErrMailOff) || len(rest.Pending) != 1 {
		t.Errorf("a server without mail: %d pending, %v", len(rest.Pending), err)
	}
	on := client("--mail", "--mail-ttl", "2d", "--mail-quota", "blocks=1")
	out, kept, err := out.Post(t.Context(), on)
	if err != nil || kept != 48*time.Hour || len(out.Pending) != 0 {
		t.Fatalf("kept for %v, %d pending, %v", kept, len(out.Pending), err)
	}
	if out, err = out.Seal([]byte("or at one")); err != nil {
		t.Fatal(err)
	}
	if rest, _, err := out.Post(t.Context(), on); !errors.Is(err, signaling.ErrBoxFull) || len(rest.Pending) != 1 {
		t.Errorf("a full box: %d pending, %v", len(rest.Pending), err)
	}
	in, letters, report, err := mail.Incoming{Box: box}.Take(t.Context(), on, 0)
	if err != nil || len(letters) != 1 || string(letters[0].Text) != "see you at noon" || report.String() != "" {
		t.Fatalf("took %v, %q, %v", letters, report, err)
	}
	if err := in.Delete(t.Context(), on); err != nil {
		t.Fatal(err)
	}
	if out, _, err = out.Post(t.Context(), on); err != nil || len(out.Pending) != 0 {
		t.Errorf("once it was read, %d pending, %v", len(out.Pending), err)
	}
	_, letters, _, err = in.Take(t.Context(), on, time.Minute)
	if err != nil || len(letters) != 1 || string(letters[0].Text) != "or at one" {
		t.Errorf("took %v, %v", letters, err)
	}
}
