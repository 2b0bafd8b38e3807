package screen

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat"
)

func TestProgress(t *testing.T) {
	const size = 1000_000_000
	// moves shows a file that moves every second, and stands still for a minute in between.
	moves := func(t *testing.T, watched bool) string {
		t.Helper()
		var notes safeBuffer
		synctest.Test(t, func(*testing.T) {
			l := lineScreen{progress: progressLine{to: &notes, watched: watched}}
			l.Notes = &notes
			for i := range int64(30) {
				l.file(chat.FileProgress{ID: 1, Outgoing: true, Name: "a.bin", Bytes: i * 10_000_000, Size: size})
				time.Sleep(time.Second)
			}
			l.note("something else")
			time.Sleep(time.Minute)
			l.file(chat.FileProgress{ID: 1, Outgoing: true, Name: "a.bin", Bytes: 300_000_000, Size: size})
			time.Sleep(time.Second)
			l.file(chat.FileProgress{ID: 1, Outgoing: true, Name: "a.bin", Bytes: 500_000_000, Size: size})
			l.file(chat.FileSent{ID: 1, Name: "a.bin", Size: size})
		})
		return notes.String()
	}

	t.Run("is a line now and then", func(t *testing.T) {
		want := []string{
			"p2pchat: Sending \"a.bin\": 10 % of 1.0 GB, 10.0 MB/s, 1m30s left", "p2pchat: Sending \"a.bin\": 20 % of 1.0 GB, 10.0 MB/s, 1m20s left", "p2pchat: something else",
			"p2pchat: Sending \"a.bin\": 30 % of 1.0 GB", "p2pchat: Sent \"a.bin\" (1.0 GB, verified).", "",
		}
		equal(t, "it shows", strings.Split(moves(t, false), "\n"), want)
	})

	t.Run("is one line on a terminal, out of the way of others", func(t *testing.T) {
		shown := strings.Split(moves(t, true), "\r\x1b[K")
		if len(shown) != 30+1+2+2+1-1 {
			t.Fatalf("it shows %d lines: %q", len(shown), shown)
		}
		equal(t, "it shows", []string{shown[0], shown[1], shown[30], shown[31], shown[32], shown[33]}, []string{
			"", "p2pchat: Sending \"a.bin\": 0 % of 1.0 GB", "p2pchat: Sending \"a.bin\": 29 % of 1.0 GB, 10.0 MB/s, 1m11s left", "p2pchat: something else\n", "p2pchat: Sending \"a.bin\": 30 % of 1.0 GB", "p2pchat: Sending \"a.bin\": 50 % of 1.0 GB, 200.0 MB/s, 3s left",
		})
	})

	t.Run("of nothing is all of it", func(t *testing.T) {
		if p := Percent(0, 0); p != 100 {
			t.Errorf("%d %%", p)
		}
	})
}
