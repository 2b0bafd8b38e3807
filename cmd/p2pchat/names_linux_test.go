package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Small files of unusual names arrive, each under a name that this system allows.
func TestFilesOfUnusualNames(t *testing.T) {
	t.Parallel()
	k := newKilling(t)
	long := strings.Repeat("n", 251) + ".txt"
	want := map[string]string{}
	var send []string
	for _, f := range []struct{ name, content, arrives string }{
		{"empty", "", "empty"},
		{"one", "1", "one"},
		{long, "long", long},
		{"CON", "con", "CON"},
		{"aux.txt", "aux", "aux.txt"},
		{".hidden", "hidden", "_hidden"},
		{"-rf", "option", "-rf"},
		{"two\nlines\x1b[31m", "control", "two_lines_[31m"},
		{"bad\xff", "not UTF-8", "bad\ufffd"},
		{"\u202egnp.exe", "turned", "_gnp.exe"},
		{"ends in. ", "dot", "ends in. "},
		{"...", "dots", "_.."},
		{`a\b`, "backslash", "b"},
		{"sub/empty", "another", "empty (1)"},
	} {
		path := filepath.Join(k.dir, "out", f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(f.content), 0o600); err != nil {
			t.Fatal(err)
		}
		send = append(send, "--send", path)
		want[f.arrives] = f.content
	}
	link := filepath.Join(k.dir, "out", "link")
	if err := os.Symlink("one", link); err != nil {
		t.Fatal(err)
	}
	want["link"] = "1" // what it leads to
	caller, callee := k.begin("call", append(send, "--send", link)...), k.begin("answer")
	caller.finishes(t, 0)
	callee.finishes(t, 0)
	got := map[string]string{}
	entries, err := os.ReadDir(filepath.Join(k.dir, "in"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(k.dir, "in", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = string(b)
	}
	// Either of the two may arrive first.
	if got["empty"] == "another" {
		got["empty"], got["empty (1)"] = got["empty (1)"], got["empty"]
	}
	if !maps.Equal(got, want) {
		t.Errorf("what arrived is %q, not %q", got, want)
	}
}

// What docs/json.md says of an event of a file is what the program writes: those members, and "at" and
// "type".
func TestMembersOfFileEvents(t *testing.T) {
	t.Parallel()
	k := newKilling(t)
	for _, path := range []string{"folder/a\nb", "out/.y"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(k.dir, path)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(k.dir, path), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	caller, callee := k.begin("call", "--send", "folder", "--send", "out/.y"), k.begin("answer")
	caller.finishes(t, 0)
	callee.finishes(t, 0)
	failing, declining := k.begin("call", "--send", "out/.y"), k.start("answer", "417-falcon-zebra", "--server", "http://"+k.address, "--ui", "json")
	if err := declining.in.Close(); err != nil {
		t.Fatal(err)
	}
	failing.finishes(t, 1)
	declining.finishes(t, 0)
	doc, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	told, changed := map[string]bool{}, map[string]bool{}
	for _, p := range []*process{caller, callee, failing, declining} {
		for line := range strings.Lines(p.out.String()) {
			var e map[string]any
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			kind, _ := e["type"].(string)
			if !strings.HasPrefix(kind, "file-") {
				continue
			}
			told[kind] = true
			want, ifChanged := members(string(doc), kind)
			for name := range ifChanged {
				if _, ok := e[name]; !ok {
					delete(want, name)
				} else {
					changed[kind+" "+name] = true
				}
			}
			if e["name"] != "folder" {
				delete(want, "files")
				delete(want, "content")
			}
			if e["direction"] == "out" {
				delete(want, "from")
			}
			if e["resumed"] != true {
				delete(want, "resumed")
			}
			for name := range e {
				if name != "at" && name != "type" && !want[name] {
					t.Errorf("%s has a member %s, which is in no document", kind, name)
				}
				delete(want, name)
			}
			for name := range want {
				t.Errorf("%s has no %s: %s", kind, name, line)
			}
		}
	}
	if len(told) != 5 || len(changed) != 5 {
		t.Errorf("the program told %v, and %v of what had to be changed", told, changed)
	}
}

// members are those of an event in the table of docs/json.md, and those of them that it has only of a changed
// name.
func members(doc, kind string) (all, ifChanged map[string]bool) {
	all, ifChanged = map[string]bool{}, map[string]bool{}
	_, row, _ := strings.Cut(doc, "| `"+kind+"` | ")
	row, _, _ = strings.Cut(row, " | ")
	parts := strings.Split(row, "`")
	for i, part := range parts {
		if i%2 == 1 && part != "in" && part != "out" {
			all[part] = true
			if strings.HasPrefix(parts[i+1], " (if changed)") {
				ifChanged[part] = true
			}
		}
	}
	return all, ifChanged
}
