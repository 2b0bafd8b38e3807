//go:build unix

package main

import (
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
	other.sees(`Go on with the conversation of .* \(417, 1 undelivered\)\? \[Enter/n\]`)
	other.types("n\n")
	other.sees(`code: lobby`)

	again := sitDown(t, env, "call", "--ui", "line")
	again.sees(`Go on with the conversation of .* \(417, 1 undelivered\)`)
	twin := sitDown(t, env, "call", "--ui", "line")
	twin.sees(`Go on with the conversation of .* \(417, 1 undelivered\)`)
	again.types("\n")
	again.sees(`code: 417-falcon-zebra`)
	twin.types("\n")
	twin.sees(`error: another p2pchat already goes on with the conversation of .* \(417, 1 undelivered\)\r\n.*hint: use that program, or run this command again`)
	twin.ends(exitUsage)
	late := launchWith(t, t.TempDir(), env, "call", "--resume")
	late.finishes(t, exitUsage)
	if told := late.err.String(); !strings.Contains(told, "another p2pchat has the conversation open") {
		t.Errorf("it says %q", told)
	}
	answer := launchWith(t, t.TempDir(), []string{"P2PCHAT_SERVER=" + server}, "answer", "417-falcon-zebra")
	answer.hears(t, "what the killed program did not deliver")
}
