package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"p2pchat/chat"
	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/peer"
	"p2pchat/peer/contact"
	"p2pchat/signaling"
)

func agreement(key byte) chat.Agreement {
	return chat.Agreement{
		Key: bytes.Repeat([]byte{key}, contact.KeySize), Peer: "ben",
		Ours: make([]byte, contact.NonceSize), Theirs: make([]byte, contact.NonceSize),
	}
}

// A code that was opened again may be answered by another person, who must not take the place of a contact.
func TestAnotherKeyIsAnotherContact(t *testing.T) {
	book := contacts.Open(t.TempDir())
	k := &keeper{book: book, side: signaling.Caller, server: "https://chat.example.org"}
	first, err := k.Store(agreement(1))
	if err != nil {
		t.Fatal(err)
	}
	if second, err := k.Store(agreement(2)); err != nil || second.Name != "ben-2" || first.Taken != "" || second.Taken != "ben" {
		t.Errorf("they are kept as %+v and %+v: %v", first, second, err)
	}
	ben, err := book.Find("ben")
	if err != nil || ben.Keys.ID() != first.ID {
		t.Errorf("the first contact has other keys: %v", err)
	}

	renamed := agreement(2)
	renamed.Name = "carl"
	if second, err := k.Store(renamed); err != nil || second.Name != "carl" || second.Taken != "" {
		t.Errorf("the second is called %+v: %v", second, err)
	}
	carl, err := book.Find("carl")
	if err != nil {
		t.Fatal(err)
	}
	held, err := book.TryHold(carl.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Forget(); err != nil {
		t.Fatal(err)
	}
	if again, err := k.Store(renamed); err != nil || again.Name != "carl" {
		t.Errorf("one who was forgotten in the call is kept again as %+v: %v", again, err)
	}
}

// Who keeps a contact again, perhaps by another name, does not go back to the keys of before a call with it.
func TestKeepingAgainAfterACall(t *testing.T) {
	book := contacts.Open(t.TempDir())
	k := &keeper{book: book, side: signaling.Caller, server: "https://chat.example.org"}
	first, err := k.Store(agreement(1))
	if err != nil {
		t.Fatal(err)
	}
	held, err := book.TryHold(k.added)
	if err != nil {
		t.Fatal(err)
	}
	next, err := held.Keys.Roll(first.ID, bytes.Repeat([]byte{2}, contact.KeySize))
	if err == nil {
		err = held.Update(func(c *contacts.Contact) { c.Keys = next })
	}
	if err != nil {
		t.Fatal(err)
	}
	held.Release()
	again := agreement(1)
	again.Name = "carl"
	if kept, err := k.Store(again); kept.Name != "carl" || kept.ID != first.ID || err != nil {
		t.Errorf("kept again as %+v, %v", kept, err)
	}
	carl, err := book.Find("carl")
	if err != nil || carl.Keys.ID() != next.ID() {
		t.Errorf("the keys are those of before the call: %v", err)
	}
	again.Theirs = bytes.Repeat([]byte{3}, contact.NonceSize) // the other side has forgotten this one
	if kept, err := k.Store(again); kept.ID == first.ID || err != nil {
		t.Errorf("another agreement changes nothing: %v", err)
	}
}

// A call that the other side does not answer changes nothing for it: what is sealed for the box of before is put there, because a
// number that is used and missing would look withheld. One that is answered makes it void.
func TestMailAfterACall(t *testing.T) {
	book := contacts.Open(t.TempDir())
	k := &keeper{book: book, side: signaling.Caller, server: "https://chat.example.org"}
	stored, err := k.Store(agreement(1))
	id := stored.ID
	if err == nil {
		k.held, err = book.TryHold(k.added)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer k.release()
	m := &mailbox{keeper: k, conversation: chat.New(chat.Config{Contact: "ben"}), told: &notices{}}
	blocks := map[string][]signaling.Block{id: {{Number: 1, Bytes: make([]byte, 512)}}}
	next, err := k.keys().Roll(id, bytes.Repeat([]byte{2}, contact.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	if err := k.update(func(c *contacts.Contact) {
		c.Mail = contacts.Mail{Generation: id, Through: 3, Owed: true, Pending: blocks}
		c.Keys = next
	}); err != nil {
		t.Fatal(err)
	}
	if got := m.state(); !got.Owed || len(got.Pending[id]) != 1 || got.Through != 0 || got.Generation != next.ID() {
		t.Errorf("after a call that was not answered: %+v", got)
	}
	if !k.Shown(next.ID()) {
		t.Fatal("the keys are not those that the other side has shown")
	}
	if got := m.state(); got.Owed || len(got.Pending) != 0 {
		t.Errorf("after a call that was answered: %+v", got)
	}
}

// inState runs the program with a folder for its state, and returns its exit code and what it says on stderr.
func inState(t *testing.T, args ...string) (exit int, notes string) {
	t.Helper()
	var out, err bytes.Buffer
	exit = run(t.Context(), args, stdio{in: strings.NewReader(""), out: &out, err: &err})
	return exit, err.String()
}

func TestForgettingAContactForgetsItsOutbox(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	book, err := contactBook()
	if err != nil {
		t.Fatal(err)
	}
	keys := contact.Keep(contact.First, bytes.Repeat([]byte{1}, contact.KeySize), make([]byte, contact.NonceSize), make([]byte, contact.NonceSize))
	c, err := book.Add(contacts.Contact{Name: "ben", Server: "https://chat.example.org", Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	outbox := filepath.Join(state, "p2pchat", "outboxes", c.ID+outboxExtension)
	if err := os.MkdirAll(filepath.Dir(outbox), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(outbox, []byte("a secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if exit, notes := inState(t, "contacts", "forget", "@ben"); exit != 0 {
		t.Fatal(notes)
	}
	if _, err := os.Stat(outbox); err == nil {
		t.Error("what was not delivered to the contact is still there")
	}
}

// The name that a contact gives itself steers no terminal, in objects for programs neither.
func TestContactsSteerNoTerminal(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	book, err := contactBook()
	if err != nil {
		t.Fatal(err)
	}
	keys := contact.Keep(contact.First, bytes.Repeat([]byte{1}, contact.KeySize), make([]byte, contact.NonceSize), make([]byte, contact.NonceSize))
	const peer = "ben\u009b2J\u001b[2J\u202e"
	c, err := book.Add(contacts.Contact{Name: "ben", Peer: peer, Server: "https://chat.example.org", Ring: contacts.RingAccept, Folder: "/in\u009b2J", Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"contacts"}, {"contacts", "--json"}} {
		var out bytes.Buffer
		if exit := run(t.Context(), args, stdio{in: strings.NewReader(""), out: &out, err: io.Discard}); exit != 0 || strings.ContainsAny(out.String(), "\u009b\u001b\u202e") {
			t.Errorf("%q prints %q, and exits with %d", args, out.String(), exit)
		}
		var read struct{ Peer string }
		if len(args) > 1 && (json.Unmarshal(out.Bytes(), &read) != nil || read.Peer != peer) {
			t.Errorf("a program reads %q", read.Peer)
		}
	}
	if err := os.WriteFile(filepath.Join(state, "p2pchat", "contacts", c.ID+".contact"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, notes bytes.Buffer
	if exit := run(t.Context(), []string{"contacts"}, stdio{in: strings.NewReader(""), out: &out, err: &notes}); exit == 0 || strings.Contains(out.String(), "no contacts") || !strings.Contains(notes.String(), "damaged") {
		t.Errorf("of a damaged contact it says %q and %q, and exits with %d", out.String(), notes.String(), exit)
	}
}

// An answer may be a pasted file: only its beginning is kept.
func TestAnAnswerIsShort(t *testing.T) {
	in := strings.NewReader("no" + strings.Repeat("o", 1<<20) + "\nthe first message\n")
	answer, err := readLine(t.Context(), stdio{in: in})
	if rest, _ := io.ReadAll(in); err != nil || len(answer) > maxAnswer || !strings.HasPrefix(answer, "no") || string(rest) != "the first message\n" {
		t.Errorf("it has %d bytes, and %q follows (%v)", len(answer), rest, err)
	}
}

func TestAnEarlierConversationIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "1-1"+outboxExtension)
	if err := os.WriteFile(path, []byte(`{"conversation":"x"}`+"\n"+`{"name":"ben\u001b"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	journal, err := chat.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer journal.End(false) //nolint:errcheck // the test's own
	was := earlierTalk{with: journal.Peer(), waiting: 2, at: time.Date(2026, 11, 28, 18, 40, 0, 0, time.Local)}
	was.point.Again.Typed.Room = "417"
	if got, want := was.String(), "the conversation of Nov 28 18:40 with ben␛ (room 417, 2 messages undelivered)"; got != want {
		t.Errorf("it is called %q, want %q", got, want)
	}
	was.waiting, was.files, was.point.Again.Typed.Room = 1, 2, signaling.Lobby
	if got, want := was.String(), "the conversation of Nov 28 18:40 with ben␛ (the lobby, 1 message and 2 files undelivered)"; got != want {
		t.Errorf("it is called %q, want %q", got, want)
	}
}

// The program looks into the outboxes of earlier conversations whenever it starts.
func TestALookKeepsTheTimeOfAnOutbox(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "1-1"+outboxExtension)
	o := talkOptions{side: signaling.Caller, server: "https://chat.example.org"}
	code, err := o.parse("417-falcon-zebra")
	if err != nil {
		t.Fatal(err)
	}
	o.code = code
	if err := o.outbox.open(path, o.side); err != nil {
		t.Fatal(err)
	}
	c := chat.New(chat.Config{Journal: o.outbox.journal})
	o.recordCode(c)
	if _, err := c.Say(t.Context(), "hello"); err != nil {
		t.Fatal(err)
	}
	if err := o.outbox.journal.End(true); err != nil {
		t.Fatal(err)
	}
	c.Close()
	week := time.Now().Add(-7 * 24 * time.Hour).Truncate(time.Second)
	if err := os.Chtimes(path, week, week); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		was, _ := o.earlier(folder, "")
		if was == nil {
			t.Fatal("it is not found")
		}
		if !was.at.Equal(week) {
			t.Errorf("it was last used %v, and not %v", was.at, week)
		}
	}
	month := time.Now().Add(-oldest - time.Hour)
	if err := os.Chtimes(path, month, month); err != nil {
		t.Fatal(err)
	}
	if was, _ := o.earlier(folder, ""); was != nil {
		t.Error("one that is too old is found")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("one that is too old is still there")
	}
}

// Of two that both call, one is told to answer: what was typed goes with that, too, unless the room has a secret.
func TestEitherSideGoesOnInAnOpenRoom(t *testing.T) {
	for _, c := range []struct {
		room   string
		met    bool
		goesOn bool
	}{{"lobby", false, true}, {"standup", false, true}, {"standup", true, false}, {"417-falcon-zebra", false, false}} {
		folder := t.TempDir()
		path := filepath.Join(folder, "1-1"+outboxExtension)
		o := talkOptions{side: signaling.Caller, server: "https://chat.example.org"}
		code, err := o.parse(c.room)
		if err != nil {
			t.Fatal(err)
		}
		again := peer.Resumption{Side: o.side, Typed: code, Token: "the caller's"}
		if c.met {
			again.Rendezvous = peer.Code{Room: "a", Secret: "b"}
		}
		if err := o.outbox.open(path, o.side); err != nil {
			t.Fatal(err)
		}
		talk := chat.New(chat.Config{Journal: o.outbox.journal})
		talk.Keep(resumePoint{Server: o.server, Again: again}.String())
		if _, err := talk.Say(t.Context(), "hello"); err != nil {
			t.Fatal(err)
		}
		if err := o.outbox.journal.End(true); err != nil {
			t.Fatal(err)
		}
		talk.Close()

		answerer := talkOptions{side: signaling.Callee, server: o.server}
		if was, _ := answerer.earlier(folder, ""); (was != nil) != c.goesOn {
			t.Errorf("%s: answer finds %v", c.room, was)
		}
		if err := answerer.outbox.open(path, answerer.side); (err == nil) != c.goesOn {
			t.Errorf("%s: answer opens it with %v", c.room, err)
		}
		if r := answerer.outbox.again(); c.goesOn && (r.Side != signaling.Callee || r.Typed != code || r.Token != "") {
			t.Errorf("%s: answer goes on with %+v", c.room, r)
		}
		if err := answerer.outbox.journal.End(false); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARoomWithTheNameOfAContactIsMentioned(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	book, err := contactBook()
	if err != nil {
		t.Fatal(err)
	}
	keys := contact.Keep(contact.First, bytes.Repeat([]byte{1}, contact.KeySize), make([]byte, contact.NonceSize), make([]byte, contact.NonceSize))
	if _, err := book.Add(contacts.Contact{Name: "ben", Server: "https://chat.example.org", Keys: keys}); err != nil {
		t.Fatal(err)
	}
	for room, want := range map[string]string{
		"ben": "This call is in the room ben, which anyone can enter. To reach your contact: p2pchat call @ben", "standup": "", "": "",
	} {
		o := talkOptions{side: signaling.Caller}
		if o.mentionContact(room); strings.Join(o.notices, "\n") != want {
			t.Errorf("%q: it notes %q", room, o.notices)
		}
	}
}

// An error about the value of a variable or of the settings file names these: the person has typed no flag.
func TestErrorsNameTheOriginOfAValue(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte("# mine\nserver = \"https://chat.example.org/#417-falcon-zebra\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		variable, value string
		args            []string
		want            string
	}{
		"a variable":       {"P2PCHAT_UI", "banana", []string{"call"}, "p2pchat: error: P2PCHAT_UI must be auto, tui, line or json, not \"banana\"\n"},
		"a negative time":  {"P2PCHAT_WAIT", "-5s", []string{"call"}, "p2pchat: error: P2PCHAT_WAIT must not be negative\n"},
		"a flag that wins": {"P2PCHAT_UI", "line", []string{"call", "--ui", "banana"}, "p2pchat: error: --ui must be auto"},
		"the file":         {configVariable, file, []string{"call"}, "config.toml, line 2: server takes an address"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(c.variable, c.value)
			if exit, notes := inState(t, c.args...); exit != exitUsage || !strings.Contains(notes, c.want) {
				t.Errorf("exit code %d, and %s", exit, notes)
			}
		})
	}
}

// On 80 columns no row of the list wraps, whatever is chosen for the contacts.
func TestContactsFitOnATerminal(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	book := contacts.Open(filepath.Join(state, "p2pchat", "contacts"))
	for i, name := range []string{"ben", "carl"} {
		keys := contact.Keep(contact.First, bytes.Repeat([]byte{byte(i)}, contact.KeySize), make([]byte, contact.NonceSize), make([]byte, contact.NonceSize))
		keys.Shown = i == 0
		if _, err := book.Add(contacts.Contact{Name: name, Peer: strings.ToUpper(name), Server: "https://chat.example.org", Ring: contacts.RingAccept, Folder: "/home/ann/inbox", Keys: keys}); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if exit := run(t.Context(), []string{"contacts"}, stdio{in: strings.NewReader(""), out: &out, err: io.Discard}); exit != 0 {
		t.Fatalf("exit code %d", exit)
	}
	for row := range strings.Lines(out.String()) {
		if len(row) > 80 {
			t.Errorf("a row of %d characters: %s", len(row), row)
		}
	}
	for _, want := range []string{"not confirmed", "Not confirmed: @carl may not have kept you.", "When @ben calls, listen answers at once, and takes files into /home/ann/inbox."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}
