package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// The program in docs/embedding.md builds in a module of its own, and chats.
func TestEmbedding(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "embedding.md")) //nolint:gosec // of this repository
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("(?s)```go\n(.*?)```").FindSubmatch(page)
	if code == nil {
		t.Fatal("docs/embedding.md has no program")
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum")) //nolint:gosec // of this repository
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.org/chatter\n\ngo 1.26.0\n\nrequire p2pchat v0.0.0\n\nreplace p2pchat => " + root + "\n",
		"go.sum":  string(sums),
		"main.go": string(code[1]),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-mod=mod", "-o", "chatter", ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	address := serving(t)
	call := chatter(t, dir, "call", address)
	answer := chatter(t, dir, "answer", address)
	call.prints(t, "connected with chatter verified: true")
	for _, p := range []*process{call, answer} {
		p.say(t, "hello")
	}
	for _, p := range []*process{call, answer} {
		p.prints(t, "hello")
		if err := p.in.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []*process{call, answer} {
		p.finishes(t, 0)
	}
}

func chatter(t *testing.T, dir, side, server string) *process {
	t.Helper()
	p, err := begin(exec.Command(filepath.Join(dir, "chatter"), side, server, "417-amber-falcon"), dir, os.Environ()) //nolint:gosec // the program under test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}
