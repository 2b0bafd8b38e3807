package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/signaling"
)

// A postman stands in for a malicious server: it passes all requests to a real one, and changes what readers of mailboxes get.
type postman struct {
	lie   func(list, seen []signaling.Block) []signaling.Block
	empty string // what it sends for an empty list while it is lying; "[]" if empty
	jam   int    // the status of all that it does not let into boxes, or out of them, while it is lying; 0: none
	lying atomic.Bool
	reads atomic.Int64   // while it was lying
	hurry chan time.Time // when it sent empty

	mu   sync.Mutex // guards what follows
	seen map[string][]signaling.Block
}

// atDoor starts the postman before a server that keeps mail, and returns its address.
func (p *postman) atDoor(t *testing.T, more ...string) string {
	t.Helper()
	behind, err := url.Parse(serving(t, append([]string{"--mail"}, more...)...))
	if err != nil {
		t.Fatal(err)
	}
	p.seen, p.hurry = map[string][]signaling.Block{}, make(chan time.Time, 3)
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.ModifyResponse, proxy.ErrorLog = p.change, log.New(io.Discard, "", 0)
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if box, isMail := strings.CutPrefix(r.URL.Path, "/mail/"); isMail && p.lying.Load() && len(p.noted(box, nil)) > 0 {
			r.Header.Del("Prefer") // it can lie at once
		}
		if strings.HasPrefix(r.URL.Path, "/mail/") && r.Method != http.MethodGet && p.lying.Load() && p.jam != 0 {
			w.WriteHeader(p.jam)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	return door.URL
}

func (p *postman) change(r *http.Response) error {
	box, isMail := strings.CutPrefix(r.Request.URL.Path, "/mail/")
	if !isMail || r.Request.Method != http.MethodGet || r.StatusCode != http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	var list []signaling.Block
	if err := json.Unmarshal(body, &list); err != nil {
		return err
	}
	if p.lying.Load() {
		p.reads.Add(1)
		list = p.lie(slices.Clone(list), p.noted(box, list))
	}
	if body, err = json.Marshal(list); err != nil {
		return err
	}
	if p.lying.Load() && p.empty != "" && len(list) == 0 {
		body = []byte(p.empty)
		select {
		case p.hurry <- time.Now():
		default:
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// noted returns all blocks of a box that were read before, and notes those of list.
func (p *postman) noted(box string, list []signaling.Block) []signaling.Block {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.seen[box]
	p.seen[box] = append(slices.Clip(before), list...)
	return before
}

// isReadSlowly checks that one who is told at once that there is nothing does not read again without a pause.
func (p *postman) isReadSlowly(t *testing.T) {
	t.Helper()
	first := <-p.hurry
	<-p.hurry
	if took := (<-p.hurry).Sub(first); took < 1500*time.Millisecond {
		t.Errorf("a server that has nothing is read three times in %v", took)
	}
}

// A server that lies about letters makes the reader show nothing twice and nothing in another order, and the reader is told. What it
// held back comes when the two meet.
func TestAServerThatLiesAboutLetters(t *testing.T) {
	t.Parallel()
	truth := func(list, _ []signaling.Block) []signaling.Block { return list }
	for name, lie := range map[string]struct {
		tell  func(list, seen []signaling.Block) []signaling.Block
		told  string // by the reader's program; empty: nothing was lost
		shown bool   // all three letters, before the two meet
		empty string // what it sends for an empty list
		jam   int    // with which it answers to what is left or deleted
	}{
		"repeats": {func(list, seen []signaling.Block) []signaling.Block { return slices.Concat(seen, list, list) },
			`The server sent \d letters? again; (each|it) is shown once\.`, true, "", 0},
		"reorders": {func(list, _ []signaling.Block) []signaling.Block { slices.Reverse(list); return list }, "", true, "", 0},
		"withholds": {func(list, _ []signaling.Block) []signaling.Block { return list[min(1, len(list)):] },
			`1 letter is missing: it expired, or the server withholds it\. Its sender still has it\.`, false, "", 0},
		"invents": {func(list, _ []signaling.Block) []signaling.Block {
			for _, b := range list[:len(list):len(list)] {
				noise := make([]byte, 512)
				_, _ = rand.Read(noise)
				list = append([]signaling.Block{{Number: b.Number, Bytes: noise}, {Number: b.Number + 4000, Bytes: noise}}, list...)
			}
			return list
		}, `The server sent \d letters? that your contact did not write; (none|it) is (not )?shown\.`, true, "", 0},
		"truncates": {func(list, _ []signaling.Block) []signaling.Block {
			for i := range list {
				list[i].Bytes = list[i].Bytes[:100]
			}
			return list
		}, `The program cannot look for letters: .* If ann has left you any, you get them when you meet\.`, false, "", 0},
		"says nothing in many bytes": {truth, "", true, "[" + strings.Repeat(" ", 100) + "]", 0},
		"says null":                  {truth, `The program cannot look for letters: `, true, "null", 0},
		"takes no receipt":           {oneByOne, "", true, "", http.StatusServiceUnavailable},
		"deletes no letter":          {oneByOne, `The server did not delete the letters that you have read: `, true, "", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &postman{lie: lie.tell, empty: lie.empty, jam: lie.jam}
			p := newPair(t, m.atDoor(t))
			p.keep(t)
			ann := withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
			for n := range 3 {
				ann.say(t, fmt.Sprintf(`{"type":"message","text":"letter %d"}`, n))
				ann.prints(t, fmt.Sprintf(`"id":%d,"kept_s":\d+,"type":"mailed"`, n+1)) // each is in a letter of its own
			}
			ann.kill()
			m.lying.Store(true)
			ben := withOutbox(t, p, 1, "answer", "@ann", "--ui", "json")
			if lie.shown {
				ben.prints(t, `"text":"letter 2"`)
			}
			if lie.told != "" {
				ben.prints(t, lie.told)
			} else if lie.empty != "" {
				m.isReadSlowly(t)
			}
			ann = withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
			ann.prints(t, `"type":"connected"`)
			ann.say(t, `{"type":"message","text":"last"}`)
			ben.prints(t, `"text":"last"`)
			ann.say(t, `{"type":"leave"}`)
			ann.finishes(t, 0)
			ben.finishes(t, 0)
			checkShown(t, []*process{ben})
			if n := strings.Count(ben.out.String(), `"type":"message"`); n != 4 {
				t.Errorf("ben is shown %d messages, want 4:\n%s", n, ben.out)
			}
			if reads := m.reads.Load(); reads == 0 || reads > 20 {
				t.Errorf("ben's program and ann's read %d times from a server that lies", reads)
			}
		})
	}
}

// oneByOne is how a server lets its readers wait for the next letter until they have read the one before.
func oneByOne(list, _ []signaling.Block) []signaling.Block { return list[:min(1, len(list))] }

// keep lets the two keep each other.
func (p pair) keep(t *testing.T) {
	t.Helper()
	first, second := p.launch(t, 0, "call", "417-falcon-zebra", "--ui", "json", "--keep", "ben"), p.launch(t, 1, "answer", "417-falcon-zebra", "--ui", "json", "--keep", "ann")
	first.prints(t, `"type":"kept"`)
	second.prints(t, `"type":"kept"`)
	first.say(t, `{"type":"leave"}`)
	first.finishes(t, 0)
	second.finishes(t, 0)
}

// Letters that have expired at the server, or that a server in memory has lost, are left again, and the sender is told.
func TestExpiredLetters(t *testing.T) {
	t.Parallel()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	serve := func() *process {
		s := launch(t, "serve", "--listen", address, "--mail")
		s.notes(t, "listening on")
		return s
	}
	server := serve()
	p := newPair(t, "http://"+address)
	p.keep(t)
	ann := withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
	ann.say(t, `{"type":"message","text":"first"}`)
	ann.prints(t, `"type":"mailed"`)
	ann.say(t, `{"type":"message","text":"second"}`)
	ann.prints(t, `"id":2,"kept_s":\d+,"type":"mailed"`)
	ann.kill()
	server.kill() // and with it, the letters
	serve()

	book := contacts.Open(p.states[0] + "/p2pchat/contacts")
	ben, err := book.Find("ben")
	if err != nil {
		t.Fatal(err)
	}
	held, err := book.TryHold(ben.ID)
	if err != nil {
		t.Fatal(err)
	}
	if until := time.Until(held.Mail.Until); until < 6*24*time.Hour || until > 7*24*time.Hour {
		t.Errorf("the letters expire in %v", until)
	}
	if err := held.Update(func(c *contacts.Contact) { c.Mail.Until = time.Now().Add(-time.Second) }); err != nil {
		t.Fatal(err)
	}
	held.Release()

	ann = withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
	ann.prints(t, `What you left for ben at the server has expired there\. It is left again\.`)
	ann.prints(t, `"id":2,"kept_s":\d+,"type":"mailed"`)
	ann.kill()
	reader := withOutbox(t, p, 1, "answer", "@ann", "--ui", "json")
	reader.prints(t, `"text":"second"`)
	reader.kill()
	checkShown(t, []*process{reader})
}

// Letters that expire while their writer's program waits for the reader are left again at once, and the writer is told.
func TestLettersExpireWhileTheirWriterWaits(t *testing.T) {
	t.Parallel()
	p := newPair(t, serving(t, "--mail", "--mail-ttl", "3s"))
	p.keep(t)
	ann := withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
	ann.say(t, `{"type":"message","text":"first"}`)
	ann.prints(t, `"id":1,"kept_s":\d,"type":"mailed"(?s:.*)What you left for ben at the server has expired there\. It is left again\.(?s:.*)"id":1,"kept_s":\d,"type":"mailed"`)
	ben := withOutbox(t, p, 1, "answer", "@ann", "--ui", "json")
	ann.prints(t, `"id":1,"type":"delivered"`)
	ann.say(t, `{"type":"message","text":"second"}`)
	ben.prints(t, `"text":"second"`)
	checkShown(t, []*process{ben})
}
