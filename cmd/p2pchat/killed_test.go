package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Two thousand messages each way, while both programs and the server are killed. With an outbox, no message is lost or
// reordered, and only the message that was being shown may come twice, with the same ID.
func TestKilledWithAnOutbox(t *testing.T) {
	t.Parallel()
	const messages = 2000
	dir := t.TempDir()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	side := func(command string) *process {
		return launchWith(t, dir, []string{"P2PCHAT_NAME=" + command}, command, "417-falcon-zebra", "--server", "http://"+address, "--outbox", command+".box", "--ui", "json")
	}
	serve := func() *process { return launchWith(t, dir, nil, "serve", "--listen", address) }

	server, caller, callee := serve(), side("call"), side("answer")
	callee.prints(t, `"type":"connected"`)
	caller.prints(t, `"type":"connected"`)
	var shown [2]strings.Builder
	said := 0
	say := func(ps []*process, n int) {
		var wg sync.WaitGroup
		for _, p := range ps {
			wg.Go(func() {
				w := bufio.NewWriter(p.in)
				for i := said; i < said+n; i++ {
					fmt.Fprintf(w, `{"type":"message","text":"%d"}`+"\n", i)
				}
				// A line that is answered shows that those before it were taken.
				if _, err := io.WriteString(w, `{"type":"message"}`+"\n"); err == nil {
					_ = w.Flush() // or else the line is not answered
				}
			})
		}
		wg.Wait()
		said += n
		for _, p := range ps {
			p.prints(t, fmt.Sprintf(`"input line %d: a message needs a text"`, n+1))
		}
	}
	for life := range 4 { // killed in the middle of what it says and shows
		say([]*process{caller, callee}, messages/4)
		if life == 3 {
			break
		}
		if life == 1 {
			server.kill()
			server = serve()
		}
		caller.kill()
		callee.kill()
		shown[0].WriteString(caller.out.String())
		shown[1].WriteString(callee.out.String())
		caller, callee = side("call"), side("answer")
	}
	for i, p := range []*process{caller, callee} {
		p.prints(t, fmt.Sprintf(`"text":"%d"`, messages-1))
		p.prints(t, fmt.Sprintf(`"id":%d,"type":"delivered"`, messages))
		shown[i].WriteString(p.out.String())
	}
	for i, name := range []string{"caller", "callee"} {
		next, twice := 0, 0
		for line := range strings.Lines(shown[i].String()) {
			var e struct {
				Type, Text string
				ID         int
			}
			if json.Unmarshal([]byte(line), &e) != nil || e.Type != "message" {
				continue // half of a line is what a killed program was about to write
			}
			switch {
			case e.Text != strconv.Itoa(e.ID-1):
				t.Fatalf("the %s was shown %q as message %d", name, e.Text, e.ID)
			case e.ID == next: // the one that was being shown
				twice++
			case e.ID != next+1:
				t.Fatalf("the %s was shown message %d after %d", name, e.ID, next)
			}
			next = e.ID
		}
		if next != messages || twice > 3 {
			t.Errorf("the %s was shown %d messages, and %d twice", name, next, twice)
		}
	}
}
