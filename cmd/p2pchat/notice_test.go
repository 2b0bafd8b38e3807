package main

import (
	"cmp"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// NOTICE names every module whose code is in the binary, on each system, with the licence that comes with its source.
func TestNotice(t *testing.T) {
	t.Parallel()
	var linked []byte
	for _, system := range []string{"linux", "darwin", "windows"} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Dir}}{{end}}", ".")
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
	for line := range strings.Lines(string(linked)) {
		module, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		// Of several modules below one path, all but the first are named without it.
		_, short, _ := strings.Cut(module, "/")
		_, shorter, _ := strings.Cut(short, "/")
		says := cmp.Or(named[module], named[base.ReplaceAllString(module, "")], named[base.ReplaceAllString(shorter, "")])
		if is := licenceIn(t, dir); module != "p2pchat" && module != "" && says != is {
			t.Errorf("the licence of %s is %s, and NOTICE says %q", module, is, says)
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
