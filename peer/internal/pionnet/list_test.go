package pionnet

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The package documentation names each file that does something to pion, apart from those of other systems.
func TestTheListIsComplete(t *testing.T) {
	list, err := os.ReadFile("pionnet.go")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	part := regexp.MustCompile(`_(linux|other)\.go$`) // of the file without it, unless there is none
	for _, name := range files {
		whole := part.ReplaceAllString(name, ".go")
		if strings.HasSuffix(name, "_test.go") || name == "pionnet.go" || strings.Contains(string(list), " "+whole) || strings.Contains(string(list), "\t"+whole) {
			continue
		}
		if linux := strings.TrimSuffix(whole, ".go") + "_linux.go"; !strings.Contains(string(list), "\t"+linux) {
			t.Errorf("the list lacks %s", name)
		}
	}
}
