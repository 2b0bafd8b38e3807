package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// What this module's packages may allocate when a program starts, in bytes. Each program starts with all of them, so
// regular expressions and tables are made where they are first used.
const (
	maxInit    = 3 << 10 // of one package
	maxAllInit = 16 << 10
)

func TestStartAllocatesLittle(t *testing.T) {
	t.Parallel()
	p := launchWith(t, t.TempDir(), []string{"GODEBUG=inittrace=1"}, "version")
	p.finish(t)
	packages, total := 0, 0
	for _, line := range regexp.MustCompile(`(?m)^init (p2pchat/\S+) @.* clock, (\d+) bytes`).FindAllStringSubmatch(p.err.String(), -1) {
		if strings.HasSuffix(line[1], "test") || line[1] == "p2pchat/cmd/p2pchat" { // the tests' program has other variables
			continue
		}
		n, err := strconv.Atoi(line[2])
		if err != nil || n > maxInit {
			t.Errorf("%s allocates %s bytes at start; %d is the most", line[1], line[2], maxInit)
		}
		packages, total = packages+1, total+n
	}
	if packages < 5 || total > maxAllInit {
		t.Errorf("%d packages allocate %d bytes at start; %d is the most", packages, total, maxAllInit)
	}
}
