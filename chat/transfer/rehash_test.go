package transfer

import (
	"crypto/sha256"
	"testing"
)

// The hash of a folder goes back to the end of a message, more than once, and then counts what is sent from there on. How many such places
// are remembered does not grow with the folder, and a file has none.
func TestRewindHash(t *testing.T) {
	m, f := &Manager{}, &file{Offer: Offer{Folder: true}, hash: sha256.New()}
	send := func(text string) { m.streamed(f, []byte(text), f.hashed+int64(len(text))) }
	send("aa")
	send("bb")
	send("cc")
	m.rewindHash(f, 2)
	send("xx")
	send("yy")
	m.rewindHash(f, 4)
	send("zz")
	if got, want := [sha256.Size]byte(f.hash.Sum(nil)), sha256.Sum256([]byte("aaxxzz")); got != want {
		t.Error("the hash is not that of what was sent")
	}
	for range 1000 {
		f.bytes = f.hashed - 6
		send("more")
	}
	if n := len(f.points); n > 4 {
		t.Errorf("%d places are remembered", n)
	}
	m.rewindHash(f, 0)
	f.bytes = 0
	send("from the beginning")
	if got, want := [sha256.Size]byte(f.hash.Sum(nil)), sha256.Sum256([]byte("from the beginning")); got != want || len(f.points) != 1 {
		t.Errorf("after a restart the hash is another one, with %d places", len(f.points))
	}
	if f.Folder = false; f.points != nil {
		f.points = nil
		if send("a file's"); f.points != nil {
			t.Error("places of a file are remembered")
		}
	}
}
