package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// linkedModules returns the folders of all modules whose code is in the binary, on any system, by their paths.
func linkedModules(t *testing.T) map[string]string {
	t.Helper()
	linked := map[string]string{}
	for _, system := range []string{"linux", "darwin", "windows"} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Dir}}{{end}}", ".")
		list.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if module, dir, _ := strings.Cut(strings.TrimSpace(line), " "); module != "p2pchat" && module != "" {
				linked[module] = dir
			}
		}
	}
	return linked
}

// NOTICE names every module whose code is in the binary, on each system, with the licence that comes with its source.
func TestNotice(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	works, _, _ := strings.Cut(string(text), "The words of codes")
	named := map[string]string{} // the licence of each
	licence := ""
	for line := range strings.Lines(works) {
		if found := regexp.MustCompile(`^  ([A-Z]\S+) `).FindStringSubmatch(line); found != nil {
			licence = found[1]
		}
		for _, word := range regexp.MustCompile(`[\w.@/-]+\w`).FindAllString(line, -1) {
			named[word] = licence
		}
	}
	base := regexp.MustCompile(`/v\d+$`)
	for module, dir := range linkedModules(t) {
		// Of several modules below one path, all but the first are named without it.
		_, short, _ := strings.Cut(module, "/")
		_, shorter, _ := strings.Cut(short, "/")
		says := cmp.Or(named[module], named[base.ReplaceAllString(module, "")], named[base.ReplaceAllString(shorter, "")])
		if is := licenceIn(t, dir); says != is {
			t.Errorf("the licence of %s is %s, and NOTICE says %q", module, is, says)
		}
	}
}

// testLicences is the variable of a file into which TestLicences writes the texts of all licences: they have to go with each program that is
// handed on.
const testLicences = "P2PCHATTEST_LICENCES"

func TestLicences(t *testing.T) {
	t.Parallel()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	works := linkedModules(t)
	works["the Go standard library"] = strings.TrimSpace(string(root))
	for _, library := range []string{"ciphers", "curves", "hashes", "post-quantum"} {
		works["@noble/"+library] = filepath.Join("../../signaling/web/noble", library)
	}
	var b strings.Builder
	b.WriteString("Licences of the works that the p2pchat binary contains, and notices that come with them. NOTICE lists them.\n")
	for _, work := range slices.Sorted(maps.Keys(works)) {
		texts := 0
		for _, pattern := range []string{"LICEN[CS]E*", "NOTICE*", "PATENTS*"} {
			paths, err := filepath.Glob(filepath.Join(works[work], pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range paths {
				text, err := os.ReadFile(path) //nolint:gosec // in the cache of modules
				if errors.Is(err, syscall.EISDIR) {
					continue // of other files of that module
				}
				if err != nil {
					t.Fatal(err)
				}
				if pattern == "LICEN[CS]E*" {
					texts++
				}
				fmt.Fprintf(&b, "\n%s\n%s: %s\n\n%s\n", strings.Repeat("=", 80), work, filepath.Base(path), bytes.TrimSpace(text))
			}
		}
		if texts == 0 {
			t.Errorf("%s has no text of a licence in %s", work, works[work])
		}
	}
	if path := os.Getenv(testLicences); path != "" {
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil { //nolint:gosec // the task says where
			t.Error(err)
		}
	}
}

// licences has words of each licence.
var licences = map[string]string{
	"Apache-2.0": "Apache License", "MIT": "Permission is hereby granted, free of charge", "BSD-3-Clause": "Redistribution and use in source and binary forms",
}

// licenceIn returns the name of the licence of the module in dir.
func licenceIn(t *testing.T, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "LICEN[CS]E*"))
	for _, path := range paths {
		text, bad := os.ReadFile(path) //nolint:gosec // in the cache of modules
		if err = errors.Join(err, bad); err != nil {
			break
		}
		is, first, at := strings.Join(strings.Fields(string(text)), " "), "", len(text)
		for name, words := range licences { // of several, the first is that of the module as a whole
			if i := strings.Index(is, words); i >= 0 && i < at {
				at, first = i, name
			}
		}
		if first != "" {
			return first
		}
	}
	t.Errorf("%s has no licence that is known: %v, %v", dir, paths, err)
	return ""
}
