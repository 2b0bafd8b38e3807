package main

import (
	"os"
	"os/exec"
	"path/filepath"
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

// maxSize is how many bytes the stripped program may have for linux/amd64; the goal is 22 MB (docs/performance.md).
const maxSize = 22_600_000

// One call can make the program megabytes larger: as soon as anything looks up methods by a name that the linker cannot know, as templates do, it
// keeps the methods of all types.
func TestProgramIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the program once more, without the race detector")
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "p2pchat")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", path, ".") //nolint:gosec // to a folder of the test
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")                // as 'task cross' compiles it, too
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxSize {
		t.Errorf("the program has %d bytes; %d is the most. docs/decisions/building.md says what is in it. If it grew by megabytes, 'go build -ldflags=-dumpdep ./cmd/p2pchat' "+
			"marks what looks up methods by name: <ReflectMethod>", info.Size(), maxSize)
	}
}
