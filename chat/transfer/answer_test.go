package transfer

import (
	"errors"
	"log/slog"
	"os"
	"syscall"
	"testing"
)

// A channel that comes before the answer is kept does not leave the file waiting if it cannot be kept.
func TestAcceptedWithoutAnAnswer(t *testing.T) {
	dir, h := t.TempDir(), &fakeHost{}
	m := New(Config{DownloadDir: dir, Log: slog.New(slog.DiscardHandler)}, h, "ours", "theirs", nil)
	f := &file{Offer: Offer{Name: "a", Size: 5}, id: 1, of: "theirs"}
	m.put(f)
	h.fails = func(k Kind) error {
		if k == KindAccept && m.awaited(1) == f {
			m.release(f)
		}
		return syscall.ENOSPC
	}
	if err := m.Accept(1); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Accept returns %v", err)
	}
	if m.Pending() || len(h.events) != 1 {
		t.Errorf("it is pending: %v; the reader is told %v", m.Pending(), h.events)
	}
	if left, err := os.ReadDir(dir); len(left) != 0 || err != nil {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}
