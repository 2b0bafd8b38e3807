package screen

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"p2pchat/chat"
)

// objectsOf is what JSON wrote, without "at", which has to be there and be a time.
func objectsOf(t *testing.T, out string) (all []map[string]any) {
	t.Helper()
	for l := range strings.Lines(out) {
		var o map[string]any
		if err := json.Unmarshal([]byte(l), &o); err != nil || !strings.HasSuffix(l, "\n") {
			t.Fatalf("a line is %.200q (%v)", l, err)
		}
		at, _ := o["at"].(string)
		if when, err := time.Parse(time.RFC3339, at); err != nil || time.Since(when).Abs() > time.Hour {
			t.Errorf("it happened at %q (%v)", at, err)
		}
		delete(o, "at")
		all = append(all, o)
	}
	return all
}

// A lineWriter passes on what is written to it.
type lineWriter chan string

func (w lineWriter) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

// A lateInput has a line only when it is closed.
type lateInput struct {
	io.Reader
	to *io.PipeWriter
}

func (i lateInput) Close() error {
	_, err := io.WriteString(i.to, `{"type":"message","text":"too late"}`+"\n")
	return errors.Join(err, i.to.Close())
}

func TestJSONOut(t *testing.T) {
	for want, e := range map[string]chat.Event{
		`{"type":"waiting","code":"417-a-b","command":"p2pchat answer 417-a-b","link":"http://x/#417-a-b"}`:                                            Waiting{Code: "417-a-b", Command: "p2pchat answer 417-a-b", Link: "http://x/#417-a-b"},
		`{"type":"waiting","answering":true,"code":"417-a-b","command":"p2pchat call 417-a-b"}`:                                                        Waiting{Code: "417-a-b", Command: "p2pchat call 417-a-b", Answering: true},
		`{"text":"Another person has answered this call. If the caller expected you, ask for a new code. Waiting for the next call.","type":"notice"}`: Taken{},
		`{"type":"no-call","room":"417"}`:                                                NoCall{Room: "417"},
		`{"type":"no-call","room":"lobby","command":"p2pchat call"}`:                     NoCall{Room: "lobby", Command: "p2pchat call"},
		`{"type":"still-away","after_s":30,"contact":"ben"}`:                             StillAway{After: 30 * time.Second, Contact: "ben"},
		`{"type":"still-away","after_s":30,"contact":"ben","lost":true}`:                 StillAway{After: 30 * time.Second, Contact: "ben", Lost: true},
		`{"type":"still-disconnected","after_s":30,"code":"417-a-b"}`:                    StillLost{After: 30 * time.Second, Code: "417-a-b"},
		`{"type":"still-disconnected","after_s":30,"code":"417-a-b","server_away":true}`: StillLost{After: 30 * time.Second, Code: "417-a-b", Server: "http://x"},
		`{"left":2,"type":"wrong-code"}`:                                                 WrongCode{Left: 2},
		`{"type":"wrong-code"}`:                                                          WrongCode{Left: -1},
		`{"type":"connecting"}`:                                                          Connecting{},
		`{"type":"connected","verified":true,"safety_words":["oak","elm"],"peer":"Ben","path":"relay","route":["host","relay 192.0.2.1:5","host"],"took_ms":1500}`: chat.Connected{Peer: "Ben", Verified: true, SafetyWords: []string{"oak", "elm"}, Path: "relay", Route: "host,relay 192.0.2.1:5,host", Took: 1500 * time.Millisecond},
		`{"type":"connected","verified":false,"safety_words":[],"peer":"stranger","path":"host","took_ms":0}`:                                                      chat.Connected{Peer: "stranger", Path: "host", Foreign: true},
		`{"type":"message","id":7,"from":"Ben","text":"a\u0000\u001b\n\u2028\u202e\u009b\u007f\"\\<>"}`:                                                            chat.Message{ID: 7, From: "Ben", Text: "a\x00\x1b\n\u2028\u202e\u009b\x7f\"\\<>"},
		`{"type":"delivered","id":3}`:             chat.Delivered{ID: 3},
		`{"type":"stats","rtt_ms":1.5}`:           Stats{RTT: 1500 * time.Microsecond},
		`{"type":"input-ended"}`:                  chat.InputEnded{},
		`{"type":"disconnected","reason":"lost"}`: chat.Disconnected{Reason: "lost"},
		`{"type":"moved","from":"relay","path":"host","after_s":2,"reason":"relay","theirs":false}`:               chat.Moved{From: "relay", To: "host", After: 2 * time.Second, Reason: "relay"},
		`{"type":"relayed","path":"relay","route":["host","relay 192.0.2.9:7","host"]}`:                           chat.Relayed{Route: "host,relay 192.0.2.9:7,host"},
		`{"type":"moved","from":"relay","path":"host","after_s":0,"route":["host 10.0.0.1:1","host 10.0.0.2:2"]}`: chat.Moved{From: "relay", To: "host", Route: "host 10.0.0.1:1,host 10.0.0.2:2"},
		`{"type":"kept","name":"ben"}`:                 chat.Kept{Name: "ben"},
		`{"type":"kept","name":"ben-2","taken":"ben"}`: chat.Kept{Name: "ben-2", Taken: "ben"},
		`{"type":"reconnected"}`:                       chat.Reconnected{},
		`{"type":"left"}`:                              chat.Left{},
		`{"type":"left","page_closed":true}`:           chat.Left{Closed: true},
		``:                                             chat.Left{Reply: true},
		`{"type":"notice","text":"hm"}`:                chat.Notice{Text: "hm"},
		`{"type":"file-offered","direction":"in","id":3,"from":"Ben","name":"a","size":5,"folder":true,"files":2}`:                              chat.FileOffered{ID: 3, From: "Ben", Name: "a", Size: 5, Folder: true, Files: 2},
		`{"type":"file-offered","direction":"in","id":3,"from":"Ben","name":"a","size":1024,"content":0,"folder":true,"files":0}`:               chat.FileOffered{ID: 3, From: "Ben", Name: "a", Size: 1024, Folder: true},
		`{"type":"file-progress","direction":"out","id":3,"name":"a","bytes":1,"size":1536,"content":5}`:                                        chat.FileProgress{ID: 3, Outgoing: true, Name: "a", Bytes: 1, Size: 1536, Folder: true, Files: 1, Content: chat.FolderContent{Bytes: 5, Known: true}},
		`{"type":"file-sent","direction":"out","id":3,"name":"a","size":1024,"content":0,"sha256":"` + strings.Repeat("00", 32) + `"}`:          chat.FileSent{ID: 3, Name: "a", Size: 1024, Folder: true},
		`{"type":"file-offered","direction":"out","id":3,"name":"a","size":5,"folder":false}`:                                                   chat.FileOffering{ID: 3, Name: "a", Size: 5},
		`{"type":"file-progress","direction":"in","id":3,"name":"a","bytes":1,"size":5,"resumed":true}`:                                         chat.FileProgress{ID: 3, Name: "a", Bytes: 1, Size: 5, Resumed: true},
		`{"type":"file-progress","direction":"out","id":3,"name":"a","bytes":1,"size":5}`:                                                       chat.FileProgress{ID: 3, Outgoing: true, Name: "a", Bytes: 1, Size: 5},
		`{"type":"file-received","direction":"in","id":3,"name":"a","path":"in/a","size":5,"sha256":"` + "01" + strings.Repeat("00", 31) + `"}`: chat.FileReceived{ID: 3, Name: "a", Path: "in/a", Size: 5, SHA256: [32]byte{1}},
		`{"type":"file-sent","direction":"out","id":3,"name":"a","size":5,"sha256":"` + "01" + strings.Repeat("00", 31) + `"}`:                  chat.FileSent{ID: 3, Name: "a", Size: 5, SHA256: [32]byte{1}},
		`{"type":"file-failed","direction":"in","id":3,"name":"a","reason":"declined"}`:                                                         chat.FileFailed{ID: 3, Name: "a", Reason: "declined"},
		`{"type":"error","code":"occupied","message":"no"}`:                                                                                     Failed{Code: "occupied", Message: "no"},
	} {
		t.Run(fmt.Sprintf("%T is %.30s", e, want), func(t *testing.T) {
			out, notes := alone(t, JSON, true, e)
			var expected []map[string]any
			if want != "" {
				expected = []map[string]any{{}}
				if err := json.Unmarshal([]byte(want), &expected[0]); err != nil {
					t.Fatal(err)
				}
			}
			if got := objectsOf(t, out); !reflect.DeepEqual(got, expected) || notes != "" {
				t.Errorf("it writes %v, not %v; notes: %q", got, expected, notes)
			}
		})
	}

	t.Run("nothing that steers is written as it is, and nothing is lost", func(t *testing.T) {
		var every strings.Builder
		for r := range rune(0x3000) {
			every.WriteRune(r)
		}
		text := every.String() + "👩\u200d🚀\ufffd"
		out, _ := alone(t, JSON, false, chat.Message{From: "\u202eBen\x9b", Text: text}, chat.Notice{Text: "\xff\u009b"})
		if raw := strings.ReplaceAll(out, "\n", ""); strings.ContainsFunc(raw, steers) || strings.Contains(raw, "\t") {
			t.Error("it is")
		}
		if got := objectsOf(t, out); got[0]["text"] != text {
			t.Error("the text comes back changed")
		}
	})
}

func TestJSONIn(t *testing.T) {
	most := strings.Repeat("x", chat.MaxMessage)
	escaped := strings.Repeat(`\u0078`, chat.MaxMessage)
	for name, test := range map[string]struct {
		in     string
		says   []string
		errors []string // code and message
	}{
		"a message is said":                         {`{"type":"message","text":"hi\n\u001b 👋"}`, []string{"hi\n\x1b 👋"}, nil},
		"an empty one, too":                         {`{"type":"message","text":""}`, []string{""}, nil},
		"members that are not known are ignored":    {`{"type":"message","text":"hi","to":["x"],"id":{}}`, []string{"hi"}, nil},
		"types that are not known are ignored":      {`{"type":"dance","text":{"a":1},"id":2}` + "\n" + `{"type":"sing","id":1}`, nil, nil},
		"an object without a type is refused":       {`{}`, nil, []string{"bad-input", "input line 1: an object needs a type, such as message"}},
		"an object with a mistyped type, too":       {`{"tpye":"message","text":"hi"}`, nil, []string{"bad-input", "input line 1: an object needs a type, such as message"}},
		"null is refused":                           {`null`, nil, []string{"bad-input", "input line 1: an object needs a type, such as message"}},
		"empty lines are ignored":                   {"\n\r\n\n" + `{"type":"message","text":"hi"}` + "\r\n\n", []string{"hi"}, nil},
		"the longest message fits, all escaped":     {`{"type":"message","text":"` + escaped + `"}`, []string{most}, nil},
		"a message that is too long is refused":     {`{"type":"message","text":"x` + escaped + `"}`, nil, []string{"too-long", "input line 1: a message holds at most 65536 bytes"}},
		"a line that is too long is refused":        {"\n" + `{"type":"message","text":"` + escaped + escaped + `"}`, nil, []string{"too-long", "input line 2: a message holds at most 65536 bytes"}},
		"a line that is not UTF-8 is refused":       {`{"type":"message","text":"` + "\xff" + `"}`, nil, []string{"not-text", "input line 1: a message must be UTF-8"}},
		"half a surrogate pair is refused":          {`{"type":"message","text":"\ud800"}`, nil, []string{"not-text", "input line 1: half of a surrogate pair is no character"}},
		"a line that is no JSON is refused":         {`hello`, nil, []string{"bad-input", "input line 1: it is not a JSON object of a known form"}},
		"a line of other JSON is refused":           {`["message"]`, nil, []string{"bad-input", "input line 1: it is not a JSON object of a known form"}},
		"a type that is no string is refused":       {`{"type":1}`, nil, []string{"bad-input", "input line 1: it is not a JSON object of a known form"}},
		"a message without a text is refused":       {`{"type":"message"}`, nil, []string{"bad-input", "input line 1: a message needs a text"}},
		"a message with null for text is refused":   {`{"type":"message","text":null}`, nil, []string{"bad-input", "input line 1: a message needs a text"}},
		"a message with another text is refused":    {`{"type":"message","text":5}`, nil, []string{"bad-input", "input line 1: a message needs a text"}},
		"a message that is not complete is refused": {`{"type":"message","text":"hi"`, nil, []string{"bad-input", "input line 1: it is not a JSON object of a known form"}},
	} {
		t.Run(name+", and the next line counts", func(t *testing.T) {
			d := begin(t, JSON, strings.NewReader(test.in+"\n"+`{"type":"message","text":"next"}`), nil)
			d.other.finish(t)
			refused := (*Refused)(nil)
			switch err := d.end(); {
			case d.ran != nil, err != nil && !errors.As(err, &refused):
				t.Error(err, d.ran)
			case (refused != nil) != (test.errors != nil), refused != nil && *refused != Refused{Messages: 1, Objects: true}:
				t.Errorf("it ends with %v", err)
			}
			equal(t, "the other side reads", d.other.texts(), append(test.says, "next"))
			var got []string
			for _, o := range objectsOf(t, d.out.String()) {
				if o["type"] == "error" {
					got = append(got, fmt.Sprint(o["code"]), fmt.Sprint(o["message"]))
				}
			}
			equal(t, "the program is told", got, test.errors)
		})
	}

	t.Run("leave leaves, and says what was said before; what comes after it is refused", func(t *testing.T) {
		in := `{"type":"message","text":"bye"}` + "\n" + `{"type":"leave"}` + "\n" + `{"type":"message","text":"too late"}` + "\n" + `{"type":"message","text":"later"}` + "\n" + `{"type":"leave"}` + "\n"
		d := begin(t, JSON, strings.NewReader(in), nil)
		refused := (*Refused)(nil)
		if err := d.end(); !errors.As(err, &refused) || *refused != (Refused{Messages: 2, Objects: true}) || d.ran != nil {
			t.Errorf("it ends with %v, and the conversation with %v", err, d.ran)
		}
		for _, line := range []string{"input line 3", "input line 4"} {
			if !strings.Contains(d.out.String(), line+": the conversation is over") {
				t.Errorf("%s is not among the errors:\n%s", line, d.out)
			}
		}
		equal(t, "the other side reads", d.other.texts(), []string{"bye"})
		if d.other.left() != 1 {
			t.Error("the other side was not told")
		}
	})

	t.Run("a message after leaving is refused", func(t *testing.T) {
		c := chat.New(chat.Config{})
		c.Leave()
		written, shown := make(lineWriter, 1), make(chan error, 1)
		in := io.NopCloser(strings.NewReader(`{"type":"message","text":"too late"}` + "\n"))
		go func() { shown <- JSON(t.Context(), c, Streams{In: in, Out: written, Notes: io.Discard}) }()
		if o := objectsOf(t, <-written)[0]; o["type"] != "error" || o["code"] != "over" {
			t.Errorf("the program is told %v", o)
		}
		c.Close()
		if err := (*Refused)(nil); !errors.As(<-shown, &err) || err.Messages != 1 {
			t.Error("the program ends as if it had been sent")
		}
	})

	t.Run("it is refused with an object also where the conversation is already over", func(t *testing.T) {
		c := chat.New(chat.Config{})
		c.Leave()
		c.Close()
		var out safeBuffer
		in, to := io.Pipe() // its line is read once the screen closes the input
		err := JSON(t.Context(), c, Streams{In: lateInput{in, to}, Out: &out, Notes: io.Discard})
		if refused := (*Refused)(nil); !errors.As(err, &refused) || !strings.Contains(out.String(), `"code":"over"`) {
			t.Errorf("it ends with %v, having written:\n%s", err, out.String())
		}
	})

	t.Run("a whole conversation is told in order", func(t *testing.T) {
		d := begin(t, JSON, strings.NewReader(`{"type":"message","text":"hi"}`), nil)
		d.other.say(t, "yo")
		d.other.finish(t)
		if err := errors.Join(d.end(), d.ran); err != nil {
			t.Error(err)
		}
		told := map[any]int{}
		all := objectsOf(t, d.out.String())
		for _, o := range all {
			told[o["type"]]++
		}
		if len(all) == 0 || all[0]["type"] != "connected" {
			t.Errorf("it begins with %v", all)
		}
		delete(told, "left") // if the other one was first
		if want := (map[any]int{"connected": 1, "message": 1, "delivered": 1, "input-ended": 1}); !maps.Equal(told, want) {
			t.Errorf("it tells %v, not %v", told, want)
		}
	})
}
