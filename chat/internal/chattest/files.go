// Package chattest has what the tests of chat and of the packages below it share.
package chattest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Noise returns n bytes, the same for the same n.
func Noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%032d", n)))).Read(b) // it never fails
	return b
}

// Create writes a file into a folder of its own, and returns its path.
func Create(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Contents returns the files and folders below dir: their modes, and the SHA-256 of each file.
func Contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path) // it is below
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := info.Mode().String()
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path) //nolint:gosec // of the test
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x", sha256.Sum256(b))
		}
		all[name] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Holds checks that the Contents of dir are those.
func Holds(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := Contents(t, dir)
	if maps.Equal(got, want) {
		return
	}
	if len(got) > 20 {
		t.Errorf("the folder holds %d files and folders, not %d, or others", len(got), len(want))
		return
	}
	t.Errorf("the folder holds %v, not %v", got, want)
}

// Plant makes a folder called tree with all that can be in one, and returns its path.
func Plant(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	for name, mode := range map[string]fs.FileMode{"empty": 0o755, "sub/sub": 0o700} {
		if err := os.MkdirAll(filepath.Join(root, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, size := range map[string]int{
		"a": 0, "b": 1, ".hidden": 511, "sub/c": 512, "sub/sub/d": 513, "sub/Grüße 👋": 100_000,
		"sub/" + strings.Repeat("long", 60): 5,
	} {
		if err := os.WriteFile(filepath.Join(root, name), Noise(size), 0o640); err != nil { //nolint:gosec // to see that it is kept
			t.Fatal(err)
		}
	}
	return root
}
