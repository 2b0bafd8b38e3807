package main

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// A badSetting is a value that a flag refuses, and the command that has the flag.
type badSetting struct {
	value   string
	command []string
}

// badSettings has a value for each setting that not every text will do for.
var badSettings = map[string]badSetting{
	"accept-files":        {"on", []string{"call"}},
	"connections":         {"client=+5", []string{"serve"}},
	"cors-origin":         {"https://example.org/page", []string{"serve"}},
	"ice-server":          {"stun", []string{"call"}},
	"json":                {"please", []string{"doctor"}},
	"keep":                {"b.en", []string{"call"}},
	"lan":                 {"alway", []string{"call"}},
	"leave-on-eof":        {"on", []string{"call"}},
	"listen":              {"3000", []string{"serve"}},
	"log-addresses":       {"on", []string{"serve"}},
	"log-format":          {"xml", []string{"listen"}},
	"log-level":           {"loud", []string{"answer"}},
	"mail":                {"on", []string{"serve"}},
	"mail-quota":          {"box=100", []string{"serve", "--mail"}},
	"mail-ttl":            {"7", []string{"serve", "--mail"}},
	"max-body":            {"99999999999", []string{"serve"}},
	"max-candidates":      {"0", []string{"serve"}},
	"max-client-rooms":    {"-1", []string{"serve"}},
	"max-client-waiting":  {"-1", []string{"serve"}},
	"max-rooms":           {"0", []string{"serve"}},
	"max-waiting":         {"0", []string{"serve"}},
	"metrics-listen":      {"99", []string{"serve"}},
	"no-notify":           {"on", []string{"listen"}},
	"no-outbox":           {"on", []string{"call"}},
	"no-port-mapping":     {"on", []string{"call"}},
	"proxy":               {"ftp://127.0.0.1", []string{"call"}},
	"public-url":          {"here", []string{"serve"}},
	"qr":                  {"on", []string{"call"}},
	"rate":                {"client=5,burst=0", []string{"serve"}},
	"relay":               {"on", []string{"serve"}},
	"relay-allow-private": {"on", []string{"serve"}},
	"relay-ip":            {"here", []string{"serve", "--relay"}},
	"relay-listen":        {"3478", []string{"serve", "--relay"}},
	"relay-only":          {"on", []string{"call"}},
	"relay-open":          {"on", []string{"serve"}},
	"relay-ports":         {"5", []string{"serve", "--relay"}},
	"relay-quota":         {"lifetime=5", []string{"serve", "--relay"}},
	"room-ttl":            {"600", []string{"serve"}},
	"server":              {"ftp://chat.example.org", []string{"listen"}},
	"shutdown-grace":      {"-1s", []string{"serve"}},
	"store":               {"redis://127.0.0.1", []string{"serve"}},
	"stripes":             {"alway", []string{"answer"}},
	"tls-auto":            {"https://chat.example.org", []string{"serve"}},
	"tls-auto-server":     {"http://127.0.0.1", []string{"serve", "--tls-auto", "chat.example.org"}},
	"trusted-proxy":       {"here", []string{"serve"}},
	"ui":                  {"tty", []string{"call"}},
	"wait":                {"-1s", []string{"call"}},
}

// anyText are the settings that take any text: a name, or what may come to exist on this machine before a command uses it.
var anyText = []string{
	"access-key-file", "download-dir", "exec", "log-file", "name", "outbox", "send", "store-ca", "store-creds", "tls-auto-ca", "tls-auto-cache", "tls-cert", "tls-key",
}

// What a flag refuses is not saved as a setting either, in the same words. A command that finds it in the file names the line, and so does
// config; it can be removed.
func TestSettingsAreChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	t.Setenv(configVariable, path)
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	for _, name := range []string{"P2PCHAT_LAN", "P2PCHAT_NO_OUTBOX", keyVariable} {
		if value, set := os.LookupEnv(name); set {
			t.Setenv(name, value) // puts it back
			_ = os.Unsetenv(name)
		}
	}
	refused := func(args ...string) string {
		t.Helper()
		var out strings.Builder
		if exit := run(t.Context(), args, stdio{in: strings.NewReader(""), out: io.Discard, err: &out}); exit != exitUsage {
			t.Errorf("%v exits with %d, after\n%s", args, exit, out.String())
		}
		said, _, _ := strings.Cut(out.String(), "\n")
		return strings.TrimPrefix(said, "p2pchat: error: ")
	}
	file := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	known := settable(rootCommand(stdio{out: io.Discard, err: io.Discard}))
	for _, name := range slices.Sorted(maps.Keys(known)) {
		bad, checked := badSettings[name]
		if !checked {
			if !slices.Contains(anyText, name) {
				t.Errorf("which values does %s refuse?", name)
			}
			continue
		}
		t.Run(name, func(t *testing.T) {
			const before = "# mine\n"
			file(before)
			byFlag := refused(append(bad.command, "--"+name+"="+bad.value)...)
			words := strings.ReplaceAll(byFlag, "--"+name, name)
			if byFlag == words {
				t.Errorf("the flag is refused with %q", byFlag)
			}
			if got := refused("config", "set", "--", name, bad.value); got != words {
				t.Errorf("the flag is refused with %q, the setting with %q", byFlag, got)
			}
			if text, _ := os.ReadFile(path); string(text) != before { //nolint:gosec // the test's own
				t.Errorf("the file has become %q", text)
			}
			file(before + name + " = '" + bad.value + "'\n")
			words = strings.ReplaceAll(byFlag, "--"+name, path+", line 2: "+name)
			for _, args := range [][]string{bad.command, {"config"}} {
				if got := refused(args...); got != words {
					t.Errorf("%v refuses the line with %q, and not with %q", args, got, words)
				}
			}
			if exit := run(t.Context(), []string{"config", "unset", name}, stdio{in: strings.NewReader(""), out: io.Discard, err: io.Discard}); exit != 0 {
				t.Errorf("unset exits with %d", exit)
			}
			if text, _ := os.ReadFile(path); string(text) != before { //nolint:gosec // the test's own
				t.Errorf("unset leaves %q", text)
			}
		})
	}
}

// A setting may name a host that DNS does not have yet: neither to save nor to show it asks a name server.
func TestSettingsThatNameAHost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	t.Setenv(configVariable, path)
	for _, name := range []string{"listen", "metrics-listen", "relay-listen"} {
		for _, args := range [][]string{{"config", "set", name, "chat.invalid:3478"}, {"config"}} {
			var out strings.Builder
			if exit := run(t.Context(), args, stdio{in: strings.NewReader(""), out: io.Discard, err: &out}); exit != 0 {
				t.Errorf("%v exits with %d, after\n%s", args, exit, out.String())
			}
		}
	}
}

// Two flags that contradict each other are refused where one person or file has set both, and else the nearer one counts.
func TestFlagsThatContradictEachOther(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	box := filepath.Join(t.TempDir(), "box")
	for want, args := range map[string][]string{
		"--outbox keeps undelivered messages in a file, and --no-outbox keeps none": {"call", "standup", "--outbox", box, "--no-outbox"},
		"--stripes always needs a direct path, and --relay-only allows none":        {"listen", "--stripes", "always", "--relay-only"},
		"--resume: there is no conversation in " + box + " to go on with":           {"answer", "--outbox", box, "--resume"},
		"--store-ca has no effect without --store nats://HOST":                      {"serve", "--store-ca", "ca.pem"},
	} {
		if exit, notes := inState(t, args...); exit != exitUsage || !strings.HasPrefix(notes, "p2pchat: error: "+want+"\np2pchat: hint: ") {
			t.Errorf("%v: exit code %d, and %s", args, exit, notes)
		}
	}
	if _, err := os.Stat(box); err == nil {
		t.Error("a run that was refused has left an outbox")
	}
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte("no-outbox = true\noutbox = 'saved'\nstripes = 'always'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(configVariable, file)
	t.Setenv(variable("no-outbox"), "") // or it would win
	if _, notes := inState(t, "call", "standup", "--wait", "1s"); !strings.HasSuffix(notes, "\np2pchat: hint: remove the setting (p2pchat config unset no-outbox), or name no file\n") {
		t.Errorf("of two settings it says %s", notes)
	}
	for _, c := range []struct {
		args, variables []string
		outbox          string
	}{
		{[]string{"--outbox", "typed"}, []string{"P2PCHAT_NO_OUTBOX=true"}, "typed"},
		{[]string{"--outbox", "typed", "--relay-only"}, nil, "typed"},
		{[]string{"--no-outbox"}, []string{"P2PCHAT_OUTBOX=set"}, ""},
		{nil, []string{"P2PCHAT_OUTBOX=set"}, "set"},
	} {
		o, root, command := talkOptions{}, &cobra.Command{Use: "p2pchat"}, &cobra.Command{Use: "call"}
		root.AddCommand(command)
		o.register(command.Flags())
		err := command.ParseFlags(c.args)
		if err == nil {
			err = environment(command, c.variables, stdio{err: io.Discard})
		}
		if err == nil {
			err = applySettings(command, file)
		}
		if err == nil {
			err = o.checkPairs(command)
		}
		if err != nil || o.outboxPath != c.outbox || o.noOutbox != (c.outbox == "") {
			t.Errorf("%v with %v: --outbox %q, --no-outbox %v, %v", c.args, c.variables, o.outboxPath, o.noOutbox, err)
		}
	}
}
