package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/peer/contact"
)

// kept lets two people have kept each other n times: each contact of the first is a book of its own on the other side. The second
// side's folder for contact i is theirs(i).
func kept(t *testing.T, server, ours string, n int, theirs func(i int) string) {
	t.Helper()
	for i := range n {
		key, nonce := fmt.Appendf(nil, "%032d", i), make([]byte, contact.NonceSize)
		sides := [2]contact.Keys{contact.Keep(contact.First, key, nonce, nonce), contact.Keep(contact.Second, key, nonce, nonce)}
		for side, state := range []string{ours, theirs(i)} {
			if state == "" {
				continue
			}
			keys := sides[side]
			keys.Shown = true
			c := contacts.Contact{ID: fmt.Sprintf("%016x", i), Name: map[int]string{0: fmt.Sprint("c", i), 1: "ben"}[side], Server: server, Kept: time.Now(), Seen: time.Now(), Keys: keys}
			text, err := json.Marshal(c)
			folder := filepath.Join(state, "p2pchat", "contacts") // Book.Add would sync each of a thousand files
			if err = errors.Join(err, os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, c.ID+".contact"), text, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// One listen waits for 1,000 contacts over two connections, and the last of them rings.
func TestListenForManyContacts(t *testing.T) {
	inFull(t)
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	last := filepath.Join(dir, "last")
	kept(t, server, filepath.Join(dir, "ben"), 1000, func(i int) string { return map[int]string{999: last}[i] })
	ben := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + filepath.Join(dir, "ben"), "P2PCHAT_NAME=ben"}, "listen", "--ui", "json")
	ben.prints(t, `"type":"listening"`)
	for range 3 {
		begun := time.Now()
		ann := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + last, "P2PCHAT_NAME=ann"}, "call", "@ben", "--ui", "json")
		ann.prints(t, `"type":"ringing"`)
		t.Logf("from the start of the caller's program it rings after %s", time.Since(begun).Round(time.Millisecond))
		if runtime.GOOS == "linux" {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", ben.cmd.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			t.Log("memory of listen: ", regexp.MustCompile(`VmRSS:.*`).FindString(string(status)))
		}
		ben.say(t, `{"type":"answer","contact":"c999"}`)
		ann.prints(t, `"type":"connected"`)
		ann.say(t, `{"type":"leave"}`)
		ann.finishes(t, 0)
	}
}

// With --exec, each accepted call has a program of its own, and several run at once.
func TestListenExec(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the program is a shell script")
	}
	server, dir := serving(t), t.TempDir()
	state := func(i int) string { return filepath.Join(dir, fmt.Sprint("c", i)) }
	ours := filepath.Join(dir, "ben")
	kept(t, server, ours, 3, state)
	bot := filepath.Join(dir, "bot")
	// It says who calls, then ends when it hears "bye"; the other side's text reaches its input alone.
	// A process that it leaves behind has its stdout and stderr, and keeps no call open.
	left := filepath.Join(dir, "left behind")
	t.Cleanup(func() {
		pids, _ := os.ReadFile(left) //nolint:gosec // the test's own
		for pid := range strings.FieldsSeq(string(pids)) {
			n, _ := strconv.Atoi(pid)
			if p, err := os.FindProcess(n); err == nil && n > 1 {
				_ = p.Kill()
			}
		}
	})
	script := "#!/bin/sh\nsleep 600 &\necho $! >> '" + left + "'\necho \"{\\\"type\\\":\\\"message\\\",\\\"text\\\":\\\"hi $P2PCHAT_CONTACT, $#\\\"}\"\n" +
		"while read -r line; do case $line in *bye*) exit 0;; *'\"type\":\"left\"'*) echo left >> " + filepath.Join(dir, "told") + ";; esac; done\necho ended >> " + filepath.Join(dir, "told") + "\n"
	if err := os.WriteFile(bot, []byte(script), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	env := []string{"XDG_STATE_HOME=" + ours, "P2PCHAT_NAME=ben"}
	for i, policy := range []string{"accept", "accept", "refuse"} {
		set := launchWith(t, t.TempDir(), env, "contacts", "ring", fmt.Sprint("@c", i), policy)
		set.finishes(t, 0)
	}
	ben := launchWith(t, t.TempDir(), env, "listen", "--ui", "json", "--exec", bot)
	ben.prints(t, `"contacts":\["c0","c1"\],"type":"listening"`)
	second := launchWith(t, t.TempDir(), env, "listen")
	second.finishes(t, exitUsage)
	if !strings.Contains(second.err.String(), "another p2pchat listen waits for your contacts") {
		t.Error(second.err)
	}
	var callers []*process
	for i := range 2 {
		p := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + state(i), "P2PCHAT_NAME=$(reboot)"}, "call", "@ben", "--ui", "json")
		p.prints(t, fmt.Sprintf(`"text":"hi c%d, 0"`, i))
		callers = append(callers, p)
	}
	busy := launchWith(t, t.TempDir(), env, "call", "@c0") // a call of listen holds the contact
	busy.finishes(t, exitUsage)
	callers[0].say(t, `{"type":"message","text":"bye"}`) // its program ends, and so does the call
	callers[0].finishes(t, 0)
	callers[1].say(t, `{"type":"leave"}`) // the call ends, and its program is told
	callers[1].finishes(t, 0)
	told := func() string {
		b, _ := os.ReadFile(filepath.Join(dir, "told")) //nolint:gosec // the test's own; it comes to be later
		return string(b)
	}
	eventually(t, func() bool { return told() == "left\nended\n" }, func() string { return fmt.Sprintf("the program was told %q", told()) })
	refused := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + state(2)}, "call", "@ben", "--ui", "json", "--wait", "3s")
	refused.finishes(t, exitAbsent)
	if strings.Contains(refused.out.String(), "connecting") {
		t.Error("a contact who is refused learns that this side is there")
	}
	_ = ben.cmd.Process.Signal(signals["TERM"])
	ben.finishes(t, 0)
	if strings.Contains(ben.out.String(), "The call with") || strings.Contains(ben.err.String(), "The call with") {
		t.Errorf("a program that ends its call is taken for a failure:\n%s%s", ben.out, ben.err)
	}
}
