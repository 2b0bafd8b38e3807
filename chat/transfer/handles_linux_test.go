package transfer

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"testing"

	"p2pchat/chat/internal/chattest"
)

// A folder of any number of files is sent and received with a few handles, also if its files change in the meantime.
func TestFewHandles(t *testing.T) {
	const files, few = 200, 10
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would close what is forgotten
	root := t.TempDir()
	for i := range files {
		if err := os.WriteFile(filepath.Join(root, strconv.Itoa(i)), chattest.Noise(100), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := handles(t)
	check := func(what string) {
		t.Helper()
		if n := handles(t) - before; n > few {
			t.Errorf("%d handles are open %s", n, what)
		}
	}
	s, err := newSource(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	read := func() []byte {
		t.Helper()
		r := s.open(0)
		defer r.Close()
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	stream := read()
	check("after sending")
	if _, err := comesDown(t.TempDir(), s.Offer, bytes.Clone(stream)); err != nil {
		t.Fatal(err)
	}
	check("after receiving")
	for range files { // pipes that break in the middle of a file
		r := s.open(tarBlock + 10)
		if _, err := r.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	check("after many channels")
	for i := range files {
		if err := os.Truncate(filepath.Join(root, strconv.Itoa(i)), 1); err != nil {
			t.Fatal(err)
		}
	}
	if read(); len(s.leftOuts()) != files {
		t.Errorf("%d files are left out", len(s.leftOuts()))
	}
	check("after sending what has changed")
}

func handles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
