package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// answersAs answers a call with a Session of this process, whose frames the test writes.
func answersAs(t *testing.T, server, code string) *peer.Session {
	t.Helper()
	client, err := signaling.NewClient(server, signaling.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdle)
	parsed, err := peer.ParseCode(code)
	if err != nil {
		t.Fatal(err)
	}
	session := peer.Answer(client, parsed, peer.Config{})
	t.Cleanup(session.Close)
	return session
}

// A malicious other side knows the code. The page drops each of its frames that makes no sense, and
// the conversation goes on.
func TestPageAmongStrangers(t *testing.T) {
	inFull(t)
	b := sharedBrowser(t) // not in parallel: the flood at the end takes a core
	server := serving(t)
	page := b.open(t, server)
	const code = "417-falcon-zebra"
	page.call(code)
	session := answersAs(t, server, code)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	pipe, err := session.Pipe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	send := func(frame string) {
		t.Helper()
		if err := pipe.Send(ctx, []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	numbered := func(kind byte, seq uint64, body string) string {
		return string(kind) + string(binary.BigEndian.AppendUint64(nil, seq)) + body
	}
	for _, early := range []string{
		"", "\x01", "\x01[]", "\x01null", "\x01{\"first\":-1}", "\x01{\"conversation\":7}", "\x01" + strings.Repeat(" ", 5000) + "{}",
		numbered(2, 1, "before the hello"), "\xff\x00\x80",
	} {
		send(early)
	}
	send("\x01" + `{"conversation":"theirs","name":"p2pchat <b>Mallory</b>\u202e","first":1,"heard":99,"of":"nobody's"}`)
	page.connected()
	if name := eval[string](page, `document.getElementById("peer-name").textContent`); name != "stranger" {
		t.Errorf("it is called %q", name)
	}
	for _, nonsense := range []string{
		"", "\x00", "\x02", "\x02\x00\x00", "\xff", strings.Repeat("\xa5", 300),
		"\x01" + `{"conversation":"another","first":100}`,
		numbered(2, 7, "out of order"), numbered(2, 0, "zero"), numbered(2, 1<<63, "beyond numbers"),
		numbered(2, 1, "not UTF-8 \xff"), numbered(2, 1, strings.Repeat("x", 64<<10+1)), numbered(2, 1, strings.Repeat("x", 200<<10)),
		numbered(4, 1<<60, ""), numbered(4, 5, ""), numbered(9, 99, "{}"),
	} {
		send(nonsense)
	}
	seq := uint64(0)
	say := func(kind byte, body string) {
		t.Helper()
		seq++
		send(numbered(kind, seq, body))
	}
	for _, body := range []string{
		"", "{", "[]", `{"name":"x","size":-1}`, `{"name":"x","size":1e300}`, `{"name":"x","size":1.5}`, `{"size":"many"}`, `{"name":"x","size":1,"files":-1}`,
	} {
		say(6, body)
	}
	say(7, `{"id":1,"of":"theirs"}`)
	say(8, `{"id":12345,"of":"nobody"}`)
	say(9, `{"id":{"a":1},"of":[]}`)
	say(6, `{"name":"../../<img src=x onerror=alert(1)>\u202egnp.exe","size":10}`)
	page.sees("offers a file")
	name := `document.querySelector("#log .file b").textContent`
	if got := eval[string](page, name); got != "<img src=x onerror=alert(1)>gnp.exe" { // as sent, but for what could mislead
		t.Errorf("the file is called %q", got)
	}
	if eval[bool](page, `document.querySelector("#log .file b").childElementCount > 0`) {
		t.Error("a file's name is taken for markup")
	}
	for range 100 { // no more than the page shows at a time
		say(6, `{"name":"many","size":1}`)
	}
	say(2, "still here")
	page.hears("still here")
	if n := eval[int](page, `document.querySelectorAll("#log .file").length`); n > 64 {
		t.Errorf("%d files are offered at a time", n)
	}
	send(numbered(10, 0, "\xff"))
	send(numbered(10, 0, "p2pchat"))
	send(numbered(10, 0, "Eve\u202e"))
	page.sees("stranger is now Eve.")
	page.say("and I, too")
	var got []byte
	for !bytes.Contains(got, []byte("and I, too")) {
		if got, err = pipe.Recv(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for range 10_000 { // a flood of the longest lines that fit on a screen
		say(2, "flood")
	}
	say(2, "the last")
	until[bool](page, `document.getElementById("log").lastElementChild.querySelector(".text")?.textContent === "the last"`)
	if n := eval[int](page, `document.querySelectorAll("#log > div").length`); n > 2000 {
		t.Errorf("the page keeps %d messages", n)
	}
}

// The page keeps the messages that come before the proof that the other side knows the code: as many
// as an outbox holds.
func TestPageKeepsWhatComesEarly(t *testing.T) {
	inFull(t)
	t.Parallel()
	b := sharedBrowser(t)
	server := serving(t)
	behind, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy, arrived := httputil.NewSingleHostReverseProxy(behind), make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/offer-candidates") {
			proxy.ServeHTTP(w, r)
			return
		}
		// The server has the page's nonce, and the page does not know that yet.
		answer := httptest.NewRecorder()
		proxy.ServeHTTP(answer, r)
		<-arrived
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // the page may be gone
	}))
	t.Cleanup(front.Close)
	page := b.open(t, front.URL)
	const code, messages = "417-falcon-zebra", 1500
	page.call(code)
	session := answersAs(t, server, code)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	release := sync.OnceFunc(func() { close(arrived) })
	defer release()
	pipe, err := session.Pipe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	frames := []string{"\x01" + `{"conversation":"theirs","name":"Bob","first":1,"heard":0,"of":""}`}
	for i := range uint64(messages) {
		frames = append(frames, "\x02"+string(binary.BigEndian.AppendUint64(nil, i+1))+fmt.Sprint("line ", i+1))
	}
	for _, f := range frames {
		if err := pipe.Send(ctx, []byte(f)); err != nil {
			t.Fatal(err)
		}
	}
	if err := pipe.Flush(ctx); err != nil { // the browser has all of it
		t.Fatal(err)
	}
	release()
	page.hears(fmt.Sprint("line ", messages))
}
