package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Two thousand messages each way, while both programs and the server are killed: with an
// outbox none is lost, none is reordered, and none comes twice but the one that was
// being shown, with the same ID.
func TestKilledWithAnOutbox(t *testing.T) {
	t.Parallel()
	const messages = 2000
	dir := t.TempDir()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	begins := func(args ...string) *process {
		t.Helper()
		p, err := start(dir, append(os.Environ(), "P2PCHAT_NAME="+args[0]), args...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = p.cmd.Process.Kill() // it may have ended
			<-p.ended
		})
		return p
	}
	side := func(command string) *process {
		return begins(command, "417-falcon-zebra", "--server", "http://"+address, "--outbox", command+".box", "--ui", "json")
	}
	serve := func() *process { return begins("serve", "--listen", address) }

	server, caller, callee := serve(), side("call"), side("answer")
	sees(t, callee, `"type":"connected"`)
	sees(t, caller, `"type":"connected"`)
	var shown [2]strings.Builder
	kill := func(p *process) {
		_ = p.cmd.Process.Kill() // it has not ended
		<-p.ended
	}
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
			sees(t, p, fmt.Sprintf(`"input line %d: a message needs a text"`, n+1))
		}
	}
	for life := range 4 { // killed in the middle of what it says and shows
		say([]*process{caller, callee}, messages/4)
		if life == 3 {
			break
		}
		if life == 1 {
			kill(server)
			server = serve()
		}
		kill(caller)
		kill(callee)
		shown[0].WriteString(caller.out.String())
		shown[1].WriteString(callee.out.String())
		caller, callee = side("call"), side("answer")
	}
	for i, p := range []*process{caller, callee} {
		sees(t, p, fmt.Sprintf(`"text":"%d"`, messages-1))
		sees(t, p, fmt.Sprintf(`"id":%d,"type":"delivered"`, messages))
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

func sees(t *testing.T, p *process, pattern string) {
	t.Helper()
	if _, err := p.out.wait(regexp.MustCompile(pattern)); err != nil {
		t.Fatalf("%v\nits stderr:\n%s", err, p.err)
	}
}
