package main

import (
	"testing"
	"time"
)

// A page takes a file over a link that loses a packet in a hundred much faster over stripes than over one connection.
func TestNATSendsAPageStripes(t *testing.T) {
	needsLab(t)
	l := newLab(t, cone, cone, quality{delay: 12500 * time.Microsecond, loss: 0.01 / 2, rate: 100e6 / 8})
	l.serve("--relay", "--relay-open")
	browser := l.browse(t, "b")
	took := map[string]time.Duration{}
	for _, stripes := range []string{"never", "auto"} {
		page := browser.open(t, labServer)
		path, sum := random(t, "data", 10e6)
		a := l.start("a", "call", "417-falcon-zebra", "--server", labServer, "--ui", "json", "--stripes", stripes, "--send", path)
		l.sees(a, `"type":"waiting"`)
		page.answer("417-falcon-zebra")
		verified(t, page)
		l.sees(a, `"type":"connected"`)
		begun := time.Now()
		page.accepts("data")
		l.sees(a, `"type":"file-sent"`)
		took[stripes] = time.Since(begun)
		t.Logf("--stripes %s: %.1f MB/s", stripes, 10/took[stripes].Seconds())
		if got := page.whole("data"); got != sum {
			t.Errorf("the file has SHA-256 %s, not %s", got, sum)
		}
		page.click("leave")
		a.finish(t)
	}
	if took["auto"] > took["never"]/2 {
		t.Errorf("over stripes it takes %s, and %s without", took["auto"], took["never"])
	}
}
