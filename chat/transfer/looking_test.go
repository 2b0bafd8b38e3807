//go:build unix

package transfer

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// What cannot be sent is refused before anything is offered, and no folder stays open: nor those beside it.
func TestPathsThatCannotBeSent(t *testing.T) {
	deep := folderWith(t)
	if err := os.MkdirAll(filepath.Join(deep, strings.Repeat("d/", maxDepth+1)), 0o700); err != nil {
		t.Fatal(err)
	}
	long := folderWith(t)
	for at := range 13 { // paths of more than 3,072 bytes, and not as deep
		dir := strings.Repeat("d", 250)
		root, err := os.OpenRoot(long)
		if err == nil {
			err = root.MkdirAll(strings.TrimSuffix(strings.Repeat(dir+"/", at+1), "/"), 0o700)
		}
		if err = errors.Join(err, root.Close()); err != nil {
			t.Fatal(err)
		}
	}
	good := folderWith(t, "a")
	ended, end := context.WithCancel(t.Context())
	end()
	for name, c := range map[string]struct {
		ctx  context.Context
		path string
		want error
	}{
		"nothing":           {t.Context(), "", fs.ErrNotExist},
		"what is not there": {t.Context(), filepath.Join(good, "nowhere"), fs.ErrNotExist},
		"too deep":          {t.Context(), deep, errTooDeep},
		"too long":          {t.Context(), long, errTooDeep},
		"too late":          {ended, folderWith(t, "b"), context.Canceled},
	} {
		h := &fakeHost{}
		m := New(Config{}, h, "ours", "theirs", nil)
		if _, err := m.SendFiles(c.ctx, true, []string{good, c.path}); !errors.Is(err, c.want) && (!errors.Is(c.want, fs.ErrNotExist) || !strings.Contains(err.Error(), "no such file")) {
			t.Errorf("%s: %v", name, err)
		}
		if len(h.frames) > 0 || m.Pending() {
			t.Errorf("%s: there are %q", name, h.frames)
		}
		isClosed(t, good)
		isClosed(t, c.path)
	}
}

// A large file is looked at, not read, before it is offered. A date that not every file system has is not sent.
func TestALargeFileIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	f, err := os.Create(path) //nolint:gosec // the test's own
	if err == nil {
		err = errors.Join(f.Truncate(256<<20), f.Close(), os.Chtimes(path, time.Time{}, time.Date(1850, 1, 1, 0, 0, 0, 0, time.UTC)))
	}
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s, err := newSource(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 16<<20 {
		t.Errorf("%d bytes are in memory", after.TotalAlloc-before.TotalAlloc)
	}
	if info, err := os.Stat(path); err != nil || s.Modified.Equal(info.ModTime()) && !hasDate(info.ModTime()) {
		t.Errorf("its date is %v, %v", s.Modified, err)
	}
	for year, want := range map[int]bool{1900: false, 1901: true, 2199: true, 2200: false} {
		if got := hasDate(time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)); got != want {
			t.Errorf("%d is a date: %t", year, got)
		}
	}
}
