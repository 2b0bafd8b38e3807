package tui

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"p2pchat/chat"
)

// How a file has ended is told to one who names it, and the number of one that goes on after a restart.
func TestFilesThatAreNoTransfers(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(benIs, chat.FileOffered{ID: 1, Name: "a"}, chat.FileOffered{ID: 2, Name: "b"}, chat.FileOffered{ID: 3, Name: "c"},
		chat.FileFailed{ID: 2, Name: "b", Reason: chat.Cancelled}, chat.FileReceived{ID: 3, Name: "c", Path: "c"})
	for typed, hint := range map[string]string{"/accept 2": "File 2 was cancelled.", "/decline 3": "File 3 has arrived.", "/accept 4": "There is no file 4 to accept."} {
		if r.press(typed + "<enter>"); r.hint != hint {
			t.Errorf("%s: %q, want %q", typed, r.hint, hint)
		}
	}
	r.happens(chat.FileFailed{ID: 1, Name: "a", Reason: "the disk is full"})
	if r.press("/accept 1<enter>"); r.hint != "File 1 did not get through." {
		t.Error(r.hint)
	}

	r = newRig(t, 80, 24).happens(chat.FileOffering{ID: 1, Name: "a", Size: 5, Accepted: true}, benIs, chat.FileProgress{ID: 2, Name: "b", Size: 5, Bytes: 1, Resumed: true})
	r.shows(`Resuming "a" \(5 B\), which the other side accepted\. To stop it: /cancel.1$`)
	r.shows(`Resuming "b" \(20 % of 5 B\)\. To stop it: /cancel.2$`)
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		typed, hint string
		did         []string
	}{
		{"/accept", "Which one? /accept all, or a number: 1 a.txt, 2 b.txt", nil},
		{"/accept 2", "", []string{"accept 5"}},
		{"/accept all", "", []string{"accept 4", "accept 5"}},
		{"/accept 2 1 2", "", []string{"accept 5", "accept 4"}},
		{"/accept 1, 2", "", []string{"accept 4", "accept 5"}},
		{"/accept 1 9", "There is no file 9 to accept.", []string{"accept 4"}},
		{"/accept 8 2,9", "There are no files 8, 9 to accept.", []string{"accept 5"}},
		{"/accept 1 and 2", "and is not the number of a file: /accept takes numbers, as in /accept 1, or all.", []string{"accept 4", "accept 5"}},
		{"/decline 1 2", "", []string{"decline 4", "decline 5"}},
		{"/accept 9", "There is no file 9 to accept.", nil},
		{"/accept x", "takes numbers, as in /accept 1, or all", nil},
		{"/decline 1", "", []string{"decline 4"}},
		{"/cancel", "No file is on its way.", nil},
		{"/send", "Which file?", nil},
		{"/verify them", "/verify yes", nil},
		{"/name Annie", "", []string{"name Annie"}},
		{"/name", "Which name?", nil},
		{"/name p2pchat: bot", "That name cannot be used: it could pass for the name of this program", nil},
		{`/send /a\ b "c d" 'e f'`, "", []string{"send /a b", "send c d", "send e f"}},
	} {
		r := newRig(t, 80, 24).happens(benIs, chat.FileOffered{ID: 4, Name: "a.txt"}, chat.FileOffered{ID: 5, Name: "b.txt"})
		r.press(test.typed + "<enter>")
		if !slices.Equal(r.talk.did, test.did) || !strings.Contains(r.hint, test.hint) || r.input.text != "" {
			t.Errorf("%s does %q, hints %q and leaves %q", test.typed, r.talk.did, r.hint, r.input.text)
		}
	}

	t.Run("of either side have numbers of their own", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(benIs, chat.FileOffered{ID: 3, Name: "theirs"}, chat.FileOffering{ID: 3, Name: "own"})
		r.press("/accept<enter>").happens(chat.FileProgress{ID: 3, Name: "theirs", Size: 10})
		r.press("/cancel<enter>")
		if want := "1 theirs, 2 own"; !strings.HasSuffix(r.hint, want) {
			t.Errorf("it hints %q", r.hint)
		}
		if r.press("/cancel 2<enter>"); !slices.Equal(r.talk.did, []string{"accept 3", "cancel 3 true"}) {
			t.Errorf("it did %q", r.talk.did)
		}
	})

	t.Run("of many files a hint names a few", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(benIs)
		for id := range uint64(9) {
			r.happens(chat.FileOffered{ID: id, Name: "x"})
		}
		r.press("/accept<enter>")
		if want := "1 x, 2 x, 3 x, and 6 more"; !strings.HasSuffix(r.hint, want) {
			t.Errorf("it hints %q", r.hint)
		}
	})

	t.Run("all of as many files as are offered at a time takes those that follow", func(t *testing.T) {
		t.Parallel()
		offer := func(r *rig, first, many uint64) {
			for id := first; id < first+many; id++ {
				r.happens(chat.FileOffered{ID: id, Name: "x"})
			}
		}
		for many, want := range map[uint64]int{63: 63, 64: 66} {
			r := newRig(t, 80, 24).happens(benIs)
			offer(r, 1, many)
			r.press("/accept all<enter>")
			offer(r, 101, 2)
			if len(r.talk.did) != want {
				t.Errorf("of %d and 2 more it accepts %d", many, len(r.talk.did))
			}
		}

		r := newRig(t, 80, 24).happens(benIs)
		offer(r, 1, 64)
		r.press("/accept all<enter>")
		for id := range uint64(64) {
			r.happens(chat.FileReceived{ID: id + 1, Name: "x"})
		}
		if offer(r, 101, 1); len(r.talk.did) != 64 {
			t.Error("what is offered after the last one has arrived is accepted, too")
		}
	})

	t.Run("a second /keep renames the contact", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 120, 24).happens(benIs, chat.Kept{Name: "ben"})
		r.shows(`You have kept each other\. From now on: p2pchat call @ben, or p2pchat answer @ben$`)
		if r.happens(chat.Kept{Name: "benny"}); strings.Count(r.seen(), "You have kept each other") != 1 {
			t.Error("it says again that they have kept each other")
		}
		r.shows(`The contact is now called benny\. From now on: p2pchat call @benny, or p2pchat answer @benny$`)
	})

	t.Run("/keep answers what the other side has asked", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(benIs).press("/keep<enter>")
		r.shows("You will have kept each other once Ben keeps you, too")
		r = newRig(t, 80, 24).happens(benIs, chat.KeepAsked{From: "Ben", Verified: true}).press("/keep<enter>")
		if strings.Contains(r.seen(), "You will have kept each other once") {
			t.Errorf("it waits for what Ben has typed:\n%s", r.seen())
		}
		r.talk.err = chat.ErrKeepUnproven
		r.press("/keep<enter>").shows("First compare the safety words: /verify")
	})

	t.Run("a file is offered, flows, stalls, flows again and arrives", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 100, 24)
		files(r)
		r.shows(`Ben offers "harbour.jpg" \(3.1 MB, image\): /accept.1 or /decline.1`)
		r.shows(`Ben offers "plans" \(12.0 kB, folder with 12 files\)`)
		r.shows(`↓ harbour.jpg █+░+ 1.2 MB of 3.1 MB   38 %  2.4 MB/s  1 s left`)
		r.shows(`↑ film.mkv +█*░+ 20.0 MB of 1.5 GB    1 %  40.0 MB/s  37 s left`)
		r.happens(chat.Disconnected{Reason: "x"})
		r.shows(`38 %  waits`)
		r.happens(chat.Reconnected{}, benIs)
		r.happens(chat.FileReceived{ID: 4, Name: "harbour.jpg", Size: 3_100_000, Path: "/home/ann/harbour.jpg"})
		r.shows(`Saved "harbour.jpg" \(3.1 MB, verified\) to /home/ann$`)
		r.happens(chat.FileReceived{ID: 5, Name: "plans", Size: 12_000, Path: "/home/ann/plans", Renamed: 2, Example: "a is now b"})
		r.shows(`(?s)Saved "plans" \(12.0 kB, verified\) to /home/ann. 2 names in it had to be changed, for example\s+a is now b`)
		r.happens(chat.FileSent{ID: 8, Name: "maps", Size: 12_000, Renamed: 1})
		r.shows(`Ben has "maps" \(12.0 kB, verified\). 1 name in it had to be changed there`)
		r.happens(chat.FileFailed{ID: 2, Outgoing: true, Name: "film.mkv", Reason: "their disk is full"})
		r.shows(`Could not send "film.mkv": their disk is full`)
		if len(r.runningTransfers()) != 0 {
			t.Errorf("there are still bars:\n%s", r.seen())
		}
		r.happens(chat.FileSent{ID: 7, Name: "x", Size: 12})
		r.happens(chat.FileOffered{ID: 9, Name: "empty", Size: 1024, Folder: true})
		r.shows(`"empty" \(0 B, folder with 0 files\)`)
		r.shows(`Ben has "x" \(12 B, verified\)`)
	})

	t.Run("who takes all files is not asked", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24)
		r.streams.Accepts = true
		r.happens(benIs, chat.FileOffered{ID: 4, Name: "a.txt"})
		r.shows(`Ben offers "a.txt" \(0 B, text\)$`)
	})

	t.Run("words that were compared count for those words only", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(evesdrp).press("/verify yes<enter>")
		r.shows("● Ben · words compared")
		r.happens(chat.Disconnected{}, chat.Reconnected{}, evesdrp)
		r.shows("● Ben · words compared")
		other := evesdrp
		other.SafetyWords = []string{"yew", "box", "bay", "oak"}
		r.happens(chat.Disconnected{}, chat.Reconnected{}, other)
		r.shows("● Ben · unverified: yew box bay oak")
	})

	t.Run("what cannot be done is told", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(benIs)
		r.talk.err = errors.New("it is a device")
		r.press("/send /dev/null<enter>")
		r.shows("Nothing was offered: it is a device")
		r.happens(chat.Connected{Peer: chat.Stranger, Foreign: true}).press("/send x<enter>")
		r.shows("takes no files")
	})

	t.Run("more files than there is room for are counted", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(benIs)
		for i := range 9 {
			r.happens(chat.FileProgress{ID: uint64(i), Name: fmt.Sprint("file", i), Size: 10})
		}
		r.shows("and 6 more files")
	})
}

// A download that another run continues has the path as a whole.
func TestTheCurrentFolderIsHere(t *testing.T) {
	t.Chdir(t.TempDir())
	whole, err := filepath.Abs("a")
	if err != nil {
		t.Fatal(err)
	}
	newRig(t, 80, 24).happens(benIs, chat.FileReceived{ID: 1, Name: "a", Size: 5, Path: whole}).shows(`Saved "a" \(5 B, verified\) here$`)
}

// The time without a connection does not count: a file is as fast after it as before.
func TestTheRateAfterALoss(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(benIs, chat.FileOffering{ID: 1, Name: "a", Size: 100_000_000})
	for _, at := range []struct {
		after time.Duration
		bytes int64
		lost  bool
		shows string
	}{
		{0, 0, false, `  0 %$`}, {time.Second, 10_000_000, false, `10\.0 MB/s  9 s left$`}, {0, 0, true, `10 %  waits$`},
		{time.Minute, 12_000_000, false, `12 %$`}, {time.Second, 22_000_000, false, `22 %  10\.0 MB/s  8 s left$`},
	} {
		if r.clock = r.clock.Add(at.after); at.lost {
			r.happens(chat.Disconnected{Reason: "lost"}).shows(at.shows)
			r.happens(benIs)
			continue
		}
		r.happens(chat.FileProgress{ID: 1, Outgoing: true, Name: "a", Bytes: at.bytes, Size: 100_000_000}).shows(at.shows)
	}
}
