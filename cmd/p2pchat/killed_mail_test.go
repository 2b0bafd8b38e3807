package main

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/signaling"
)

// One who writes and one who reads, both killed again and again, together or alone: every message that the writer's program has
// taken comes in order, and none comes twice but the one that was being shown at a kill.
func TestKilledWithMail(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(18, uint64(kills(t)))) //nolint:gosec // the same each time
	p := newPair(t, serving(t, "--mail"))
	ann, ben := withOutbox(t, p, 0, "call", "417-falcon-zebra", "--ui", "json", "--keep", "ben"), withOutbox(t, p, 1, "answer", "417-falcon-zebra", "--ui", "json", "--keep", "ann")
	ann.prints(t, `"type":"kept"`)
	ben.prints(t, `"type":"kept"`)
	killEach(random, time.Millisecond, ann, ben)
	said := 0
	var runs []*process // of the reader
	for round := range kills(t) {
		ann := withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
		ben := ann
		if together := round%2 == 0; together {
			ben = withOutbox(t, p, 1, "answer", "@ann", "--ui", "json")
		}
		for range 1 + random.IntN(3) {
			said++
			ann.say(t, `{"type":"message","text":"`+strconv.Itoa(said)+`"}`)
		}
		switch round % 4 {
		case 0, 1:
			ann.prints(t, `"type":"(mailed|delivered)"`)
		}
		killEach(random, 400*time.Millisecond, ann, ben)
		if ben == ann {
			ben = withOutbox(t, p, 1, "answer", "@ann", "--ui", "json")
			time.Sleep(time.Duration(random.Int64N(int64(400 * time.Millisecond))))
			ben.kill()
		}
		runs = append(runs, ben)
	}
	ann = withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
	ann.say(t, `{"type":"message","text":"last"}`)
	ben = withOutbox(t, p, 1, "answer", "@ann", "--ui", "json")
	ben.prints(t, `"text":"last"`)
	ben.kill()
	checkShown(t, append(runs, ben))
}

// withOutbox starts the program of a side, with its outbox, which letters need.
func withOutbox(t *testing.T, p pair, side int, args ...string) *process {
	t.Helper()
	return launchWith(t, t.TempDir(), p.withOutbox(side), args...)
}

// withOutbox returns the environment of a side whose programs have an outbox.
func (p pair) withOutbox(side int) []string {
	return []string{"XDG_STATE_HOME=" + p.states[side], "P2PCHAT_NO_OUTBOX=false", "P2PCHAT_NAME=" + []string{"ann", "ben"}[side], "P2PCHAT_SERVER=" + p.server}
}

// A server is killed while letters are left and read, and starts again with the mailboxes that NATS has. The writer is told of each
// letter that it is left, and has gone when the reader comes, who gets each once, in order.
func TestMailOutlivesItsServer(t *testing.T) {
	inFull(t)
	t.Parallel()
	random := rand.New(rand.NewPCG(19, uint64(kills(t)))) //nolint:gosec // the same each time
	nats, stop, err := startNATS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	serve := func() *process {
		s := launch(t, "serve", "--listen", address, "--mail", "--rate", "client=0", "--store", "nats://ann:s3cret@"+nats)
		s.notes(t, "listening on")
		return s
	}
	server := serve()
	restart := func() {
		server.kill()
		server = serve()
	}
	p := newPair(t, "http://"+address)
	p.keep(t)
	var runs []*process // of the reader
	for round := range kills(t) {
		text := strconv.Itoa(round)
		ann := withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
		ann.say(t, `{"type":"message","text":"`+text+`"}`)
		if round%2 == 0 { // after the letter was left; else at any moment
			ann.prints(t, `"type":"mailed"`)
		} else {
			time.Sleep(time.Duration(random.Int64N(int64(100 * time.Millisecond))))
		}
		restart()
		ann.prints(t, `"id":`+strconv.Itoa(round+1)+`,"kept_s":\d+,"type":"mailed"`)
		ann.kill()
		ben := withOutbox(t, p, 1, "answer", "@ann", "--ui", "json")
		if round%3 == 0 {
			restart()
		}
		ben.prints(t, `"text":"`+text+`"`)
		ben.kill()
		runs = append(runs, ben)
	}
	checkShown(t, runs)
}

// checkShown checks that the runs of a reader's program have shown each message once, in order.
func checkShown(t *testing.T, runs []*process) {
	t.Helper()
	last, text := uint64(0), ""
	for i, run := range runs {
		begins := true
		for line := range strings.Lines(run.out.String()) {
			var m struct {
				Type, Text string
				ID         uint64
			}
			if json.Unmarshal([]byte(line), &m) != nil || m.Type != "message" {
				continue
			}
			again := begins && m.ID == last && m.Text == text
			if begins = false; m.ID != last+1 && !again {
				t.Errorf("run %d shows message %d, %q, after message %d, %q", i, m.ID, m.Text, last, text)
			}
			last, text = m.ID, m.Text
		}
	}
	t.Logf("%d messages were shown by %d runs", last, len(runs))
	if last < 2 {
		t.Error("too few messages came to show anything")
	}
}

// The names of the boxes change with each call. When that happens between a letter's put and the reader's look, because one of the
// two is late, each message comes once, the writer is told so, and neither of them takes the server for a liar.
func TestBoxesChangeBetweenAPutAndALook(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]*postman{
		"the reader looks after the call": {lie: func(list, _ []signaling.Block) []signaling.Block { return list[:0] }},
		"the letter comes after the call": {lie: func(list, _ []signaling.Block) []signaling.Block { return list }, jam: http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &postman{lie: late.lie, jam: late.jam}
			p := newPair(t, m.atDoor(t))
			p.keep(t)
			m.lying.Store(true)
			ann := withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
			ann.say(t, `{"type":"message","text":"first"}`)
			if m.jam == 0 {
				ann.prints(t, `"id":1,"kept_s":\d+,"type":"mailed"`)
			}
			eventually(t, func() bool {
				c, err := contacts.Open(p.states[0] + "/p2pchat/contacts").Find("ben")
				return err == nil && c.Mail.Through == 1 && (len(c.Mail.Pending) == 0) == (m.jam == 0)
			}, func() string { return "the letter is not sealed, or not put:\n" + ann.out.String() })
			ben := withOutbox(t, p, 1, "answer", "@ann", "--ui", "json")
			ann.prints(t, `"id":1,"type":"delivered"`)
			ann.kill()
			ben.kill()
			m.lying.Store(false)
			ann = withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
			ann.say(t, `{"type":"message","text":"second"}`)
			ann.prints(t, `"id":2,"kept_s":\d+,"type":"mailed"`)
			ann.kill()
			reader := withOutbox(t, p, 1, "answer", "@ann", "--ui", "json")
			reader.prints(t, `"text":"second"`)
			ann = withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
			ann.prints(t, `"id":2,"type":"delivered"`)
			ann.say(t, `{"type":"message","text":"third"}`)
			reader.prints(t, `"text":"third"`)
			checkShown(t, []*process{ben, reader})
			for _, run := range []*process{ben, reader} {
				if blames := regexp.MustCompile(`letters? (is|are) missing|The server (sent|repeat)`).FindString(run.out.String()); blames != "" {
					t.Errorf("the reader is told: %s\n%s", blames, run.out)
				}
			}
		})
	}
}
