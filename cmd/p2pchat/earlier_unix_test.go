//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// A person whose program was killed is asked whether to go on; Enter does, and n begins another conversation.
func TestGoOnWithAnEarlierConversation(t *testing.T) {
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	env := []string{"XDG_STATE_HOME=" + dir, "P2PCHAT_NO_OUTBOX=false", "P2PCHAT_SERVER=" + server}
	first := launchWith(t, dir, env, "call", "417-falcon-zebra", "--ui", "json")
	first.prints(t, `"type":"waiting"`)
	first.say(t, `{"type":"message","text":"what the killed program did not deliver"}`)
	first.say(t, `{"type":"message"}`)
	first.prints(t, `"code":"bad-input"`)
	first.kill()

	other := sitDown(t, env, "call", "--ui", "line")
	other.sees(`Go on with the conversation of .* \(room 417, 1 message undelivered\)\? \[Enter/n/drop\]`)
	other.types("417-falcon-zebra\n") // is no answer
	other.sees(`Enter goes on with it\. n begins another conversation, and keeps it for later\. drop forgets it, and what was not delivered, and deletes the parts of files that have arrived\.\r\nGo on with`)
	other.types("n\n")
	other.sees(`code: lobby`)
	gone := sitDown(t, env, "call", "--ui", "line")
	gone.sees(`Go on with the conversation of`)
	gone.types("\x04") // Ctrl-D
	gone.ends(exitInterrupted)
	if strings.Contains(gone.screen.String(), "error") {
		t.Errorf("Ctrl-D is told as an error: %s", gone.screen)
	}

	again := sitDown(t, env, "call", "--ui", "line")
	again.sees(`Go on with the conversation of .* \(room 417, 1 message undelivered\)`)
	twin := sitDown(t, env, "call", "--ui", "line")
	twin.sees(`Go on with the conversation of .* \(room 417, 1 message undelivered\)`)
	again.types("\n")
	again.sees(`code: 417-falcon-zebra`)
	twin.types("\n")
	twin.sees(`error: another p2pchat already goes on with the conversation of .* \(room 417, 1 message undelivered\)\r\n.*hint: use that program, or run this command again`)
	twin.ends(exitUsage)
	fourth := sitDown(t, env, "call", "418-falcon-zebra", "--ui", "json") // leaves a conversation
	fourth.sees(`"type":"waiting"`)
	fourth.types(`{"type":"message","text":"forget me"}` + "\n" + `{"type":"message"}` + "\n")
	fourth.sees(`"code":"bad-input"`)
	_ = fourth.cmd.Process.Kill()
	_ = fourth.cmd.Wait()
	fifth := sitDown(t, env, "call", "--ui", "line")
	fifth.sees(`Go on with the conversation of .* \(room 418, 1 message undelivered\)`)
	fifth.types("drop\n")
	fifth.sees(`error: another 'p2pchat call' on this machine already waits in the lobby`)
	fifth.ends(exitUsage)
	if left, _ := filepath.Glob(filepath.Join(dir, "p2pchat", "outboxes", "*")); len(left) != 2 {
		t.Errorf("these are left: %s", left)
	}
	late := launchWith(t, t.TempDir(), env, "call", "--resume")
	late.finishes(t, exitUsage)
	if told := late.err.String(); !strings.Contains(told, "another p2pchat has the conversation open") {
		t.Errorf("it says %q", told)
	}
	answer := launchWith(t, t.TempDir(), []string{"P2PCHAT_SERVER=" + server}, "answer", "417-falcon-zebra")
	answer.hears(t, "what the killed program did not deliver")
}

// A program that was killed goes on under the name that its person took during the call, unless the command line has a name.
func TestGoOnUnderTheLastName(t *testing.T) {
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	env := []string{"XDG_STATE_HOME=" + dir, "P2PCHAT_NO_OUTBOX=false", "P2PCHAT_SERVER=" + server}
	w := openWindow(t, 80, 24, env, "call", "417-falcon-zebra", "--name", "Anna")
	w.shows(`waiting for the other side`)
	ben := launchWith(t, t.TempDir(), []string{"P2PCHAT_SERVER=" + server}, "answer", "417-falcon-zebra", "--ui", "json")
	ben.prints(t, `"peer":"Anna".*"type":"connected"`)
	w.types("/name Ada\r")
	w.shows(`You are now Ada`)
	ben.prints(t, `"from":"Anna","to":"Ada","type":"renamed"`)
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
	ben.prints(t, `"type":"disconnected"`)
	again := launchWith(t, t.TempDir(), env, "call", "--resume", "--ui", "json")
	again.say(t, `{"type":"message","text":"it is me"}`)
	ben.prints(t, `"from":"Ada".*"text":"it is me"`)
	again.kill()
	ben.prints(t, `(?s)"type":"disconnected".*"type":"disconnected"`)
	named := launchWith(t, t.TempDir(), env, "call", "--resume", "--ui", "json", "--name", "Anna")
	named.say(t, `{"type":"message","text":"it is me again"}`)
	ben.prints(t, `(?s)"peer":"Ada".*"peer":"Anna".*"from":"Anna".*"text":"it is me again"`)
}

// A second call beside a running one says that it is another one: the person may have wanted the first. The other side's program is none.
func TestAnotherCallIsRunning(t *testing.T) {
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	env := []string{"XDG_STATE_HOME=" + dir, "P2PCHAT_NO_OUTBOX=false", "P2PCHAT_SERVER=" + server}
	const told = "Another 'p2pchat call' is running on this machine. This one begins a conversation of its own."
	call := launchWith(t, t.TempDir(), env, "call", "--ui", "json")
	call.prints(t, `"type":"waiting"`)
	answer := launchWith(t, t.TempDir(), env, "answer", "--ui", "json")
	answer.prints(t, `"type":"connected"`)
	call.prints(t, `"type":"connected"`)

	second := openWindow(t, 80, 24, env, "call")
	second.shows(`(?s)Another 'p2pchat call' is running on this machine\. This one begins a\s+conversation of its own\.`)

	// This one would take the room in which the second one waits.
	third := launchWith(t, t.TempDir(), env, "call", "--ui", "json")
	third.finishes(t, exitUsage)
	if want := "p2pchat: error: another 'p2pchat call' on this machine already waits in the lobby\np2pchat: hint: to answer it: p2pchat answer --server " + server; !strings.HasPrefix(third.err.String(), want) {
		t.Errorf("it says %q, want %q", third.err, want)
	}
	second.shows(`waiting for the other side`)
	second.types("\x04")
	second.ends(0)
	another := launchWith(t, t.TempDir(), env, "call", "417-falcon-zebra", "--ui", "json")
	another.prints(t, `"code":"417-falcon-zebra"`)
	script := launchWith(t, t.TempDir(), append(env, "P2PCHAT_SERVER=http://127.0.0.1:1"), "call", "--ui", "line", "--wait", "100ms") // elsewhere it takes no room from the others
	_ = script.end()
	resumed := launchWith(t, t.TempDir(), env, "answer", "--resume")
	resumed.finishes(t, exitUsage)
	for p, text := range map[*process]string{answer: "Another 'p2pchat", another: told, script: told} {
		if all := p.out.String() + p.err.String(); strings.Contains(all, text) {
			t.Errorf("it says that another call is running: %s", all)
		}
	}
}
