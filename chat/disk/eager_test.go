package disk

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// What is written eagerly is what was written, over several beginnings, and errors are the file's.
func TestEager(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 3*eagerEach/16+1)
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	w := Eager(f)
	for rest := content; len(rest) > 0; {
		n, err := w.Write(rest[:min(len(rest), 100_001)])
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the file has %d bytes, or others (%v)", len(got), err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write([]byte("x")); n != 0 || err == nil {
		t.Errorf("a closed file takes %d bytes (%v)", n, err)
	}
}
