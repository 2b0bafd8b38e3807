package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/peer/contact"
)

// A receiver with an outbox that is killed in the middle of a file continues with the file when it is started again.
func TestKilledWhileReceiving(t *testing.T) {
	t.Parallel()
	k := interrupt(t, "data.bin", "answer")
	k.holds(`^\.p2pchat-[A-Z2-7]{12}\.kept$`)
	callee := k.begin("answer")
	k.other.finishes(t, 0)
	callee.finishes(t, 0)
	sent, received := one(t, k.other, "file-sent"), one(t, callee, "file-received")
	if sent.SHA256 != k.sum || received.SHA256 != k.sum || received.Path != filepath.Join(k.dir, "in", "data.bin") {
		t.Errorf("sent %v, received %v; its SHA-256 is %s", sent, received, k.sum)
	}
	if first := one(t, callee, "file-progress"); first.Bytes == 0 {
		t.Error("it started from the beginning")
	}
	k.holds(`^data\.bin$`)
}

// Who drops the conversation keeps no part of its files; a part that is not of the conversation stays, and one that cannot be removed is
// named.
func TestDropRemovesPartsOfFiles(t *testing.T) {
	t.Parallel()
	k := interrupt(t, "data.bin", "answer")
	in := filepath.Join(k.dir, "in")
	parts, _ := filepath.Glob(filepath.Join(in, ".p2pchat-*.kept"))
	another := filepath.Join(in, ".p2pchat-ABCDEFGHIJKL.kept")
	if err := os.WriteFile(another, []byte("of another conversation"), 0o600); err != nil || len(parts) != 1 {
		t.Fatal(parts, err)
	}
	box := filepath.Join(k.dir, "answer.box")
	copied, err := os.ReadFile(box) //nolint:gosec // the test's own
	if err != nil {
		t.Fatal(err)
	}
	drop := func() string {
		t.Helper()
		o := talkOptions{}
		if err := o.drop(earlierTalk{path: box}); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(box); err == nil {
			t.Error("the conversation is still there")
		}
		return strings.Join(o.notices, "\n")
	}
	if told := drop(); told != "" {
		t.Errorf("it says %q", told)
	}
	k.holds(`^\.p2pchat-ABCDEFGHIJKL\.kept$`)

	if err := errors.Join(os.WriteFile(box, copied, 0o600), os.Remove(another), os.Symlink(k.dir, parts[0])); err != nil { //nolint:gosec // the test's own
		t.Fatal(err)
	}
	if told := drop(); !strings.Contains(told, "could not be deleted") || !strings.Contains(told, filepath.Base(parts[0])) {
		t.Errorf("it says %q", told)
	}
	k.holds(`\.kept$`)
}

// Who forgets a contact keeps no part of its files either.
func TestForgettingAContactRemovesPartsOfFiles(t *testing.T) {
	t.Parallel()
	k := interrupt(t, "data.bin", "answer")
	another := filepath.Join(k.dir, "in", ".p2pchat-ABCDEFGHIJKL.kept")
	state := t.TempDir()
	ben := keptContact(t, state, "ben")
	outboxes := filepath.Join(state, "p2pchat", "outboxes")
	if err := errors.Join(os.WriteFile(another, []byte("of another conversation"), 0o600), os.MkdirAll(outboxes, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(k.dir, "answer.box"), filepath.Join(outboxes, ben.ID+outboxExtension)); err != nil {
		t.Fatal(err)
	}
	forget := launchWith(t, k.dir, []string{"XDG_STATE_HOME=" + state}, "contacts", "forget", "@ben")
	forget.finishes(t, 0)
	k.holds(`^\.p2pchat-ABCDEFGHIJKL\.kept$`)
	if left, _ := os.ReadDir(outboxes); len(left) != 0 || forget.err.String() != "" {
		t.Errorf("these outboxes are left: %v; it says %q", left, forget.err)
	}
}

// keptContact keeps a contact of that name in a folder of state.
func keptContact(t *testing.T, state, name string) contacts.Contact {
	t.Helper()
	keys := contact.Keep(contact.First, bytes.Repeat([]byte{1}, contact.KeySize), make([]byte, contact.NonceSize), make([]byte, contact.NonceSize))
	c, err := contacts.Open(filepath.Join(state, "p2pchat", "contacts")).Add(contacts.Contact{Name: name, Server: "https://chat.example.org", Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A folder starts from the beginning.
func TestKilledWhileReceivingAFolder(t *testing.T) {
	t.Parallel()
	k := interrupt(t, "folder", "answer")
	callee := k.begin("answer")
	k.other.finishes(t, 0)
	callee.finishes(t, 0)
	one(t, callee, "file-received")
	k.holds(`^folder$`)
}

// If a partial file is removed while the receiver is not running, both sides are told.
func TestKilledWhileReceivingWhatIsRemoved(t *testing.T) {
	t.Parallel()
	k := interrupt(t, "data.bin", "answer")
	if err := os.RemoveAll(filepath.Join(k.dir, "in")); err != nil {
		t.Fatal(err)
	}
	callee := k.begin("answer")
	k.other.finishes(t, 1)
	callee.finishes(t, 1)
	const why = "what had arrived of it is no longer there"
	for _, p := range []*process{k.other, callee} {
		if f := one(t, p, "file-failed"); f.Reason != why || f.Name != "data.bin" {
			t.Errorf("it is told %+v", f)
		}
	}
}

// A sender that was killed continues, too. The same command does not offer the file twice.
func TestKilledWhileSending(t *testing.T) {
	t.Parallel()
	k := interrupt(t, "data.bin", "call")
	caller := k.begin("call", "--send", "data.bin")
	caller.finishes(t, 0)
	k.other.finishes(t, 0)
	if sent := one(t, caller, "file-sent"); sent.SHA256 != k.sum {
		t.Errorf("sent %v; its SHA-256 is %s", sent, k.sum)
	}
	if first := one(t, caller, "file-progress"); first.Bytes == 0 {
		t.Error("it started from the beginning")
	}
	if n := strings.Count(k.other.out.String(), `"type":"file-offered"`); n != 1 {
		t.Errorf("it was offered %d times", n)
	}
	k.holds(`^data\.bin$`)
}

// A file that changed while its sender was not running is not sent. Both sides are told.
func TestKilledWhileSendingWhatChanges(t *testing.T) {
	t.Parallel()
	k := interrupt(t, "data.bin", "call")
	if err := os.Truncate(filepath.Join(k.dir, "data.bin"), 1<<20); err != nil {
		t.Fatal(err)
	}
	caller := k.begin("call")
	k.other.finishes(t, 1)
	caller.finishes(t, 0) // it was asked to send nothing
	const why = "it changed while the sender's program was not running"
	for _, p := range []*process{caller, k.other} {
		if f := one(t, p, "file-failed"); f.Reason != why {
			t.Errorf("it is told %+v", f)
		}
	}
}

// A killing is a call in which one of the two programs is killed.
type killing struct {
	*testing.T
	dir, address string
	sum          string   // of what is sent
	other        *process // is not killed
}

// interrupt sends a file, or a folder with one file, and kills the victim before half of the file has arrived. On a
// machine that is too quick for that, interrupt tries again with twice the size.
func interrupt(t *testing.T, name, victim string) *killing {
	t.Helper()
	for size := int64(4 << 20); ; size *= 2 {
		k := newKilling(t)
		file := name
		if name == "folder" {
			file = "folder/data.bin"
		}
		k.writes(file, size)
		caller, callee := k.begin("call", "--send", name), k.begin("answer")
		dying := callee
		k.other = caller
		if victim == "call" {
			dying, k.other = caller, callee
		}
		dying.prints(t, `"bytes":[1-9]\d*,.*"type":"file-progress"|"type":"file-(received|sent)"`)
		dying.kill()
		out := dying.out.String()
		if last := lastOf(out, "file-progress"); last.Bytes < size/2 && !strings.Contains(out, "file-received") && !strings.Contains(out, "file-sent") {
			return k
		}
		k.other.kill() // it would wait for a side that does not come back
	}
}

func lastOf(out, kind string) (e told) {
	for line := range strings.Lines(out) {
		var f told
		if json.Unmarshal([]byte(line), &f) == nil && f.Type == kind {
			e = f
		}
	}
	return e
}

func newKilling(t *testing.T) *killing {
	t.Helper()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	k := &killing{T: t, dir: t.TempDir(), address: address}
	k.start("serve", "--listen", address)
	return k
}

func (k *killing) start(args ...string) *process {
	k.Helper()
	return launchWith(k.T, k.dir, nil, args...)
}

// begin starts a caller or an answerer whose input has ended.
func (k *killing) begin(command string, args ...string) *process {
	k.Helper()
	if command == "answer" {
		args = append(args, "--accept-files", "--download-dir", "in")
	}
	args = append([]string{command, "417-falcon-zebra", "--server", "http://" + k.address, "--ui", "json", "--leave-on-eof", "--outbox", command + ".box"}, args...)
	p := k.start(args...)
	if err := p.in.Close(); err != nil {
		k.Fatal(err)
	}
	return p
}

// writes creates a file of noise, and remembers its hash.
func (k *killing) writes(name string, size int64) {
	k.Helper()
	path, hash := filepath.Join(k.dir, name), sha256.New()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		k.Fatal(err)
	}
	f, err := os.Create(path) //nolint:gosec // the test's own
	if err != nil {
		k.Fatal(err)
	}
	if _, err := io.CopyN(io.MultiWriter(f, hash), rand.NewChaCha8([32]byte{}), size); err != nil {
		k.Fatal(err)
	}
	if err := f.Close(); err != nil {
		k.Fatal(err)
	}
	k.sum = hex.EncodeToString(hash.Sum(nil))
}

// holds checks that the download folder has one entry, with this name.
func (k *killing) holds(name string) {
	k.Helper()
	entries, err := os.ReadDir(filepath.Join(k.dir, "in"))
	if err != nil {
		k.Fatal(err)
	}
	if len(entries) != 1 || !regexp.MustCompile(name).MatchString(entries[0].Name()) {
		k.Errorf("the download folder holds %v", entries)
	}
}

type told struct {
	Type, Name, Path, Reason, SHA256 string
	Bytes                            int64
}

// one returns the first event of a kind.
func one(t *testing.T, p *process, kind string) (e told) {
	t.Helper()
	for line := range strings.Lines(p.out.String()) {
		if json.Unmarshal([]byte(line), &e) == nil && e.Type == kind {
			return e
		}
	}
	t.Errorf("there was no %s", kind)
	return told{}
}
