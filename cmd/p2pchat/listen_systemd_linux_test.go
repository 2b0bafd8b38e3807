package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// systemd is the service manager, which is on no PATH.
const systemd = "/lib/systemd/systemd"

// runsUserManager is a script that runs a user's service manager with one unit, apart from the machine's own.
const runsUserManager = `set -e
mount -t tmpfs none /run
mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR"
systemd-analyze verify --user "$1" 2>&1
echo verified
` + systemd + ` --user --unit="${1##*/}" --log-target=console & # not as process 1: that is the machine's manager
wait`

// The unit for listen in docs/contacts.md, as a user's systemd runs it: a call is answered by the program, and again after listen was killed.
func TestListenUnderSystemd(t *testing.T) {
	inFull(t)
	if _, err := os.Stat(systemd); err != nil || os.Getuid() != 0 {
		t.Skip("NOT RUN: systemd and root are needed")
	}
	t.Parallel()
	docs, err := os.ReadFile("../../docs/contacts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, unit, _ := strings.Cut(string(docs), "```ini\n")
	unit, _, _ = strings.Cut(unit, "```")
	path, err := exec.LookPath("p2pchat")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(unit, "ExecStart=/usr/bin/p2pchat listen --exec %h/bin/bot\n") {
		t.Fatalf("the unit in docs/contacts.md:\n%s", unit)
	}
	home, theirs := t.TempDir(), t.TempDir()
	file, state := filepath.Join(home, ".config/systemd/user/p2pchat-listen.service"), filepath.Join(home, ".local/state")
	pid := filepath.Join(home, "pid")
	err = errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.Mkdir(filepath.Join(home, "bin"), 0o700),
		os.WriteFile(file, []byte(strings.NewReplacer("/usr/bin/p2pchat", path, "[Service]\n", "[Service]\nStandardError=file:%h/log\n").Replace(unit)), 0o600),                                                                      //nolint:gosec // the test's own
		os.WriteFile(filepath.Join(home, "bin/bot"), []byte("#!/bin/sh\necho $PPID > '"+pid+"'\necho '{\"type\":\"message\",\"text\":\"from the bot\"}'\nwhile read -r line; do case $line in *bye*) exit 0;; esac; done\n"), 0o700)) //nolint:gosec // it is run
	if err != nil {
		t.Fatal(err)
	}
	kept(t, serving(t), state, 1, func(int) string { return theirs })
	env := append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, ".config"), "XDG_RUNTIME_DIR=/run/user", "XDG_STATE_HOME="+state, "P2PCHAT_NAME=ben")
	launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + state}, "contacts", "ring", "@c0", "accept").finishes(t, 0)
	manager := launchCommand(t, exec.Command("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", runsUserManager, "sh", file), home, env) //nolint:gosec // the test's own
	select {
	case <-manager.ended:
		t.Skipf("NOT RUN: no user's systemd can run here: %s%s", manager.out, manager.err)
	case err := <-waitsFor(manager, "verified\n"):
		if said := manager.out.String(); err != nil || !strings.HasPrefix(said, "verified\n") {
			t.Fatalf("systemd-analyze says: %v\n%s%s", err, said, manager.err)
		}
	}
	t.Cleanup(func() {
		log, _ := os.ReadFile(filepath.Join(home, "log")) //nolint:gosec // the test's own, of what has failed
		t.Logf("listen:\n%s\nsystemd:\n%s", log, manager.err)
	})
	calls := func() {
		t.Helper()
		ann := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + theirs, "P2PCHAT_NAME=ann"}, "call", "@ben", "--ui", "json")
		ann.prints(t, `"text":"from the bot"`)
		ann.say(t, `{"type":"message","text":"bye"}`)
		ann.finishes(t, 0)
	}
	calls()
	// Numbers of processes are the manager's own: the one that listens is found in its namespace.
	number, err := os.ReadFile(pid) //nolint:gosec // the test's own
	if err == nil {
		err = exec.Command("nsenter", "--target", strconv.Itoa(childOf(t, manager.cmd.Process.Pid)), "--pid", "--mount", "kill", "-KILL", strings.TrimSpace(string(number))).Run() //nolint:gosec // written by the bot
	}
	if err != nil {
		t.Fatal(err)
	}
	calls()
}

// childOf returns the only child of a process.
func childOf(t *testing.T, pid int) (child int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err == nil {
		_, err = fmt.Sscan(string(text), &child)
	}
	if err != nil {
		t.Fatal(err)
	}
	return child
}
