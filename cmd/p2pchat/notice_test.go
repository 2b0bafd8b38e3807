package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// NOTICE names every module whose code is in the binary, on each system.
func TestNotice(t *testing.T) {
	t.Parallel()
	var linked []byte
	for _, system := range []string{"linux", "darwin", "windows"} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
		list.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		linked = append(linked, out...)
	}
	text, err := os.ReadFile("../../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	works, _, _ := strings.Cut(string(text), "The words of codes")
	named := map[string]bool{}
	for _, word := range regexp.MustCompile(`[\w.@/-]+\w`).FindAllString(works, -1) {
		named[word] = true
	}
	base := regexp.MustCompile(`/v\d+$`)
	for module := range strings.FieldsSeq(string(linked)) {
		// Of several modules below one path, all but the first are named without it.
		_, short, _ := strings.Cut(module, "/")
		_, shorter, _ := strings.Cut(short, "/")
		if module != "p2pchat" && !named[module] && !named[base.ReplaceAllString(module, "")] && !named[base.ReplaceAllString(shorter, "")] {
			t.Errorf("NOTICE does not name %s", module)
		}
	}
}
