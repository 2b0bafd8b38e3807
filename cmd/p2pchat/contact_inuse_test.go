package main

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A command that waits for the program which is in a call with the contact says so, and goes on when that program ends.
func TestAContactIsInUse(t *testing.T) {
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	kept(t, server, dir, 1, func(int) string { return "" })
	env := []string{"XDG_STATE_HOME=" + dir, "P2PCHAT_NAME=ben"}
	call := launchWith(t, t.TempDir(), env, "call", "@c0", "--ui", "json")
	call.prints(t, `"contact":"c0","type":"waiting"`)
	for _, command := range [][]string{{"contacts", "rename", "@c0", "@carl"}, {"call", "@c0", "--ui", "json", "--wait", "1ns"}} {
		p := launchWith(t, t.TempDir(), env, command...)
		p.notes(t, `(?m)^p2pchat: Waiting up to 5 s for the program that uses @c0$`)
		if err := p.cmd.Process.Signal(signals["INT"]); err != nil {
			t.Fatal(err)
		}
		p.finishes(t, exitInterrupted)
		if told := p.err.String(); strings.Contains(told, "error") {
			t.Errorf("%s was interrupted, and says %q", command, told)
		}
	}
	forget := launchWith(t, t.TempDir(), env, "contacts", "forget", "@c0")
	forget.notes(t, `(?m)^p2pchat: Waiting up to 5 s for the program that uses @c0$`)
	call.say(t, `{"type":"leave"}`)
	forget.finishes(t, 0)
	if left, _ := filepath.Glob(filepath.Join(dir, "p2pchat", "contacts", "*.contact")); len(left) > 0 {
		t.Errorf("the contact is still there: %s", left)
	}
}

// While a call has the lines, listen says of another contact that it calls and cannot be answered yet, and lists the contacts only
// after the call.
func TestAnotherContactCallsDuringACall(t *testing.T) {
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	state := func(i int) string { return filepath.Join(dir, strconv.Itoa(i)) }
	ours := filepath.Join(dir, "ben")
	kept(t, server, ours, 2, state)
	for _, ui := range []string{"line", "json"} {
		ben := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + ours, "P2PCHAT_NAME=ben"}, "listen", "--ui", ui)
		call := func(i int) *process {
			return launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + state(i)}, "call", "@ben", "--ui", "json")
		}
		lists := func() int {
			return strings.Count(ben.err.String(), "Listening for @c0, @c1") + strings.Count(ben.out.String(), `"type":"listening"`)
		}
		eventually(t, func() bool { return lists() == 1 }, func() string { return ben.err.String() })
		one := call(1)
		one.prints(t, `"type":"ringing"`)
		ben.say(t, map[string]string{"line": "a", "json": `{"type":"answer"}`}[ui])
		one.prints(t, `"type":"connected"`)
		zero := call(0)
		zero.prints(t, `"type":"ringing"`)
		if ui == "line" {
			ben.notes(t, `@c0 is calling, too, for a minute at most\. You can answer once this call has ended\.`)
		}
		zero.say(t, `{"type":"leave"}`)
		zero.finishes(t, 0)
		one.say(t, `{"type":"message","text":"still here"}`)
		if ui == "line" {
			ben.notes(t, `Missed a call of @c0\.`)
			ben.hears(t, "still here")
		} else {
			ben.prints(t, `"contact":"c0","how":"missed"`)
			ben.prints(t, `"text":"still here"`)
		}
		during := lists()
		one.say(t, `{"type":"leave"}`)
		one.finishes(t, 0)
		eventually(t, func() bool { return lists() == 2 }, func() string { return ben.out.String() + ben.err.String() })
		if during != 1 {
			t.Errorf("in %s, the contacts were listed %d times before the call ended, want 1", ui, during)
		}
		ben.kill()
	}
}
