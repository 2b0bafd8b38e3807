package screen

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"p2pchat/chat"
)

func TestLine(t *testing.T) {
	t.Run("each line of the input is a message", func(t *testing.T) {
		d := begin(t, Line, strings.NewReader("one\n\n tab\there \r\nlast"), nil)
		d.other.finish(t)
		if err := errors.Join(d.end(), d.ran); err != nil {
			t.Error(err)
		}
		equal(t, "the other side reads", d.other.texts(), []string{"one", "", " tab\there ", "last"})
		if got := d.out.String(); got != "" {
			t.Errorf("the output has %q", got)
		}
	})

	t.Run("the output has the other side's messages and nothing else", func(t *testing.T) {
		d := begin(t, Line, strings.NewReader("mine\n"), nil)
		d.other.say(t, "one", "", "\x1b[2Jtwo\nlines", "Grüße 👋")
		d.other.finish(t)
		if err := errors.Join(d.end(), d.ran); err != nil {
			t.Error(err)
		}
		if got, want := d.out.String(), "one\n\n␛[2Jtwo␊lines\nGrüße 👋\n"; got != want {
			t.Errorf("the output has %q, not %q", got, want)
		}
	})

	t.Run("a terminal is told who speaks", func(t *testing.T) {
		out, _ := alone(t, Line, true, chat.Message{From: "Ben\n\x1b[1m", Text: "hi\r"}, chat.Message{From: "Ben", Text: ""})
		if want := "Ben␊␛[1m: hi␍\nBen: \n"; out != want {
			t.Errorf("it shows %q, not %q", out, want)
		}
	})

	t.Run("messages of an earlier run are counted once all of them are delivered", func(t *testing.T) {
		_, notes := alone(t, Line, true, chat.Queued{ID: 4, Text: "one", GoesOn: true}, chat.Queued{ID: 5, Text: "message"}, chat.Queued{ID: 6, Text: "two"}, chat.Delivered{ID: 5})
		if notes != "" {
			t.Errorf("too early: %q", notes)
		}
		_, notes = alone(t, Line, true, chat.Queued{ID: 5, Text: "one"}, chat.Queued{ID: 6, Text: "two"}, chat.Delivered{ID: 5}, chat.Delivered{ID: 6}, chat.Delivered{ID: 7})
		if want := "p2pchat: Your 2 messages from before have been delivered.\n"; notes != want {
			t.Errorf("it says %q", notes)
		}
	})

	t.Run("what is refused is named, and the rest is sent", func(t *testing.T) {
		long := strings.Repeat("x", chat.MaxMessage)
		in := "one\n" + long + "\n" + long + "x\n" + "\xff\n" + strings.Repeat("y", 1<<20) + "\xff\n" + "six\n" + "\xff\n"
		d := begin(t, Line, strings.NewReader(in), nil)
		d.other.finish(t)
		err := d.end()
		if r := (*Refused)(nil); !errors.As(err, &r) || r.Messages != 3 || err.Error() != "3 messages were not sent" {
			t.Errorf("it ends with %v", err)
		}
		if d.ran != nil {
			t.Errorf("the conversation ends with %v", d.ran)
		}
		equal(t, "the other side reads", d.other.texts(), []string{"one", long, long + "x", strings.Repeat("y", 1<<20), "six"})
		if notes := d.notes.String(); strings.Count(notes, "not sent") != 1 || !strings.Contains(notes, "p2pchat: Line 4 was not sent: it is not UTF-8 text. To send other data, use --send FILE.\n") {
			t.Errorf("the notes are:\n%s", notes)
		}
	})

	t.Run("a command of the full screen is sent from a terminal only when it is typed again", func(t *testing.T) {
		for typed, want := range map[bool][]string{
			true:  {"/etc/passwd is a path", "/verify", "/verify yes"},
			false: {"/help", "/etc/passwd is a path", "/send secret.txt", " /send other.txt", "/verify", "/verify", "/verify yes", "/verify yes", "/help"},
		} {
			in := "/help\n/etc/passwd is a path\n/send secret.txt\n /send other.txt\n/verify\n/verify\n/verify yes\n/verify yes\n/help\n"
			d := begin(t, Line, strings.NewReader(in), func(s *Streams) { s.Typed = typed })
			d.other.finish(t)
			if err := d.end(); err != nil {
				t.Error(err)
			}
			equal(t, "the other side reads", d.other.texts(), want)
			note := "p2pchat: /help was not sent: only the full screen (--ui tui) has commands. To send the line as a message, type it again.\n"
			if n := strings.Count(d.notes.String(), note); n != map[bool]int{true: 2}[typed] {
				t.Errorf("typed: %v; it noted:\n%s", typed, d.notes)
			}
		}
	})

	t.Run("who types /quit is told what leaves", func(t *testing.T) {
		d := begin(t, Line, strings.NewReader("/quit\n"), func(s *Streams) { s.Typed = true })
		d.other.finish(t)
		if err := d.end(); err != nil {
			t.Error(err)
		}
		if note := "p2pchat: /quit was not sent: only the full screen (--ui tui) has commands. Ctrl-C leaves. To send"; !strings.Contains(d.notes.String(), note) {
			t.Errorf("%q is not among the notes:\n%s", note, d.notes)
		}
	})

	t.Run("what is typed when it is over is said not to be sent", func(t *testing.T) {
		in, feed := io.Pipe()
		defer func() { _ = feed.Close() }()
		d := begin(t, Line, in, func(s *Streams) { s.In = io.NopCloser(in) }) // a read that cannot be ended
		d.other.Leave()
		<-d.other.over
		if _, err := io.WriteString(feed, "too late\n"); err != nil {
			t.Error(err)
		}
		if err := d.end(); err != nil {
			t.Error(err)
		}
		if note := "p2pchat: Line 1 was not sent: the conversation is over.\n"; !strings.Contains(d.notes.String(), note) {
			t.Errorf("%q is not among the notes:\n%s", note, d.notes)
		}
	})

	for what, test := range map[string]struct {
		event chat.Event
		notes string
	}{
		"the code stands alone":                {Waiting{Code: "417-amber-falcon", Command: "p2pchat answer 417-amber-falcon"}, "code: 417-amber-falcon\nWaiting for the other side: p2pchat answer 417-amber-falcon\n"},
		"the server is on this machine":        {Waiting{Code: "lobby", Command: "p2pchat answer", Lobby: true, Here: true}, "code: lobby\nWaiting for the other side, on this machine: p2pchat answer\n"},
		"this side answers":                    {Waiting{Code: "601-animal-oven", Command: "p2pchat call 601-animal-oven", Answering: true}, "Answering 601-animal-oven\n"},
		"this side answers in the lobby":       {Waiting{Code: "lobby", Command: "p2pchat call", Answering: true, Lobby: true}, "Answering in the lobby\n"},
		"no call is open":                      {NoCall{Room: "601\x1b"}, "Nobody is calling in room 601␛ yet. If the caller is already waiting, the code is mistyped or used up: ask for a new one. If this program was started again, ask the other side to type /again.\n"},
		"another one has answered":             {Taken{}, "Another person has answered this call. If the caller expected you, ask for a new code. Waiting for the next call.\n"},
		"no call is open in the lobby":         {NoCall{Room: "lobby", Command: "p2pchat call", Here: true}, "Nobody is calling in the lobby yet. If the caller has a code, leave and run p2pchat answer CODE. On this machine, the other side types: p2pchat call\n"},
		"a contact is still away":              {StillAway{After: 30 * time.Second, Contact: "ben"}, "ben has not answered for 30 s, and may be away. If ben has removed you as a contact, remove @ben, too (p2pchat contacts forget @ben), meet with a code (p2pchat call), and both type /keep.\n"},
		"a contact has not come back":          {StillAway{After: 30 * time.Second, Contact: "ben", Answering: true, Lost: true}, "ben has not come back for 30 s, and may be away. If ben has removed you as a contact, remove @ben, too (p2pchat contacts forget @ben), meet with a code (p2pchat call), and both type /keep.\n"},
		"still disconnected, without a server": {StillLost{After: 30 * time.Second, Code: "417-a-b", Server: "http://x"}, "The other side has not come back for 30 s, and http://x does not answer: without the server, the two of you cannot meet again. This program keeps trying. Check your network, and whether the server runs.\n"},
		"still disconnected, in a pipe":        {StillLost{After: 30 * time.Second, Code: "417-a-b"}, "The other side has not come back for 30 s. A program that was started again knows only the code 417-a-b. It cannot meet this one: end this program, and start both again.\n"},
		"connecting":                           {Connecting{}, "Connecting\n"},
		"connected, verified":                  {chat.Connected{Peer: "Ben\x1b", Verified: true, Path: "host", Took: 1500 * time.Microsecond}, "Connected with Ben␛ directly in 1 ms\nVerified: both sides know the code, so nobody is listening in.\n"},
		"connected, unverified":                {chat.Connected{Peer: "Ben", Path: "relay", SafetyWords: []string{"oak", "elm"}}, "Connected with Ben through a relay in 0 ms\nUnverified: this call has no secret, so the server could be listening in.\nIf you both see these words, nobody is listening in: oak elm\n"},
		"Connected with a stranger":            {chat.Connected{Peer: "stranger", Path: "host", Foreign: true}, "Connected with stranger directly in 0 ms\nUnverified: the other side is another WebRTC program, so someone could be listening in.\n"},
		"a wrong code":                         {WrongCode{Left: 2}, "The other side gave a wrong code. 2 attempts left.\n"},
		"a second wrong code":                  {WrongCode{Left: 1}, "The other side gave a wrong code. 1 attempt left.\n"},
		"the last wrong code, an error too":    {WrongCode{}, ""},
		"the other side's input has ended":     {chat.InputEnded{}, "The other side's input has ended.\n"},
		"disconnected":                         {chat.Disconnected{Reason: "a\nb"}, "Disconnected: a␊b\nWaiting for the other side to come back. What you type is kept until then.\n"},
		"moved":                                {chat.Moved{From: "relay", To: "srflx"}, "The connection now goes directly, through NAT (before: through a relay, for 0s)\n"},
		"moved as UDP works":                   {chat.Moved{From: "relay", To: "host", After: 8 * time.Second, Reason: "udp", Theirs: true}, "The connection now goes directly (before: through a relay, for 8s): the other side's network lets UDP through now\n"},
		"made again":                           {chat.Moved{From: "host", To: "host", Reason: "silence"}, "The connection is back after a break, and goes directly: for a moment, nothing arrived from the other side\n"},
		"moved as an address has gone":         {chat.Moved{From: "host", To: "host", Reason: "gone"}, "The connection has moved to another network, and still goes directly: this machine lost its address\n"},
		"moved to another network":             {chat.Moved{From: "host", To: "host"}, "The connection has moved to another network, and still goes directly\n"},
		"relayed":                              {chat.Relayed{Route: "host,relay 192.0.2.9:7,host"}, "The connection goes through a relay, not directly\n"},
		"reconnected":                          {chat.Reconnected{}, "Connected again\n"},
		"left":                                 {chat.Left{}, "The other side has left.\n"},
		"left, by closing its page":            {chat.Left{Closed: true}, "The other side closed the page.\n"},
		"left, as the words differ":            {chat.Left{Overheard: true}, "The other side says that the safety words differ: someone may be listening.\n"},
		"left, as this side wished":            {chat.Left{Reply: true}, ""},
		"a notice":                             {chat.Notice{Text: "odd\u009b\nthings"}, "Odd<U+009B>␊things\n"},
		"a file is offered":                    {chat.FileOffered{From: "Ben\x1b", Name: "a.txt", Size: 999}, "Ben␛ offers \"a.txt\" (999 B).\n"},
		"a folder is offered":                  {chat.FileOffered{From: "Ben", Name: "a", Size: 1000, Folder: true, Files: 2}, "Ben offers the folder \"a\" (2 files, 1.0 kB).\n"},
		"a folder of one":                      {chat.FileOffering{Name: "a", Size: 999_949, Folder: true, Files: 1}, "Offering the folder \"a\" (1 file, 999.9 kB).\n"},
		"a file of this side":                  {chat.FileOffering{Name: "a\x9b", Size: 999_950}, "Offering \"a\uFFFD\" (1.0 MB).\n"},
		"a file has come":                      {chat.FileReceived{Name: "a", Path: "in\n/a", Size: 5}, "Saved \"a\" (5 B, verified) to in␊.\n"},
		"a file has arrived":                   {chat.FileSent{Name: "a", Size: 1 << 62}, "Sent \"a\" (4.6 EB, verified).\n"},
		"a file failed to come":                {chat.FileFailed{Name: "a", Reason: "it\rbroke"}, "\"a\" was not received: it␍broke.\n"},
		"a file failed to go":                  {chat.FileFailed{Outgoing: true, Name: "a", Reason: "declined"}, "\"a\" was not sent: declined.\n"},
		"a file is cancelled here":             {chat.FileFailed{Name: "a", Reason: chat.Cancelled}, "You cancelled \"a\".\n"},
		"a file has come here":                 {chat.FileReceived{Name: "-rf", Path: "./-rf", Size: 5}, "Saved \"./-rf\" (5 B, verified) in the current folder. Its name begins with a dash: type it as ./-rf.\n"},
		"a file has another name":              {chat.FileReceived{Name: "b", Called: "a\x1b", Path: "in/b", Size: 5}, "Saved \"b\" (5 B, verified) as in/b.\n"},
		"a file would have another name":       {chat.FileOffered{From: "Ben", Name: "b_", Called: "b\x1b", Size: 5}, "Ben offers \"b_\" (5 B). Its name \"b␛\" cannot be used here.\n"},
		"a file has another name there":        {chat.FileSent{Name: "a", Size: 5, As: "a (1)\x1b"}, "Sent \"a\" (5 B, verified). The other side saved it as \"a (1)␛\".\n"},
		"names in a folder are others":         {chat.FileReceived{Name: "a", Path: "/in/a", Size: 5, Renamed: 2, Example: "x is now y"}, "Saved \"a\" (5 B, verified) to /in. 2 names in it had to be changed, for example x is now y.\n"},
		"a name in a folder is, there":         {chat.FileSent{Name: "a", Size: 5, Renamed: 1}, "Sent \"a\" (5 B, verified). 1 name in it had to be changed there.\n"},
		"a file of a folder was left out":      {chat.FileLeftOut{Name: "a", File: "b/c", Reason: "it is no longer there"}, "\"b/c\" was left out of \"a\": it is no longer there.\n"},
		"a file of a folder grew":              {chat.FileLeftOut{Name: "a", File: "b/c", Reason: "it grew", Kept: true}, "\"b/c\" in \"a\" is not complete: it grew.\n"},
		"an empty folder is offered":           {chat.FileOffered{From: "Ben", Name: "a", Size: 1024, Folder: true}, "Ben offers the folder \"a\" (0 files, 0 B).\n"},
		"an empty folder has come":             {chat.FileReceived{Name: "a", Path: "/in/a", Size: 1024, Folder: true}, "Saved \"a\" (0 B, verified) to /in.\n"},
		"a file is resumed":                    {chat.FileProgress{Name: "a\x1b", Size: 5, Bytes: 1, Resumed: true}, "Resuming \"a␛\" (20 % of 5 B).\n"},
		"a folder is resumed":                  {chat.FileProgress{Name: "a", Size: 5, Folder: true, Resumed: true}, "The folder \"a\" was not complete: it starts over.\n"},
		"a file begins":                        {chat.FileProgress{Name: "a", Size: 5}, ""},
		"renamed":                              {chat.Renamed{From: "Ben\x1b", To: "Bert"}, "Ben␛ is now Bert\n"},
		"delivered":                            {chat.Delivered{ID: 1}, ""},
		"stats":                                {Stats{RTT: time.Second}, ""},
		"what ended it, which main reports":    {Failed{Code: "x", Message: "y"}, ""},
	} {
		t.Run("of note: "+what, func(t *testing.T) {
			out, notes := alone(t, Line, false, test.event)
			var lines strings.Builder
			for l := range strings.Lines(test.notes) {
				lines.WriteString("p2pchat: " + l)
			}
			want := lines.String()
			if notes != want || out != "" {
				t.Errorf("noted %q, not %q; the output has %q", notes, want, out)
			}
		})
	}

	t.Run("files of one name have numbers", func(t *testing.T) {
		offer := chat.FileOffered{From: "Ben", ID: 1, Name: "a", Size: 1}
		other := offer
		other.ID = 2
		_, notes := alone(t, Line, false, offer, other, chat.FileFailed{ID: 1, Name: "a", Reason: "declined"}, chat.FileReceived{ID: 2, Name: "a", Path: "a", Size: 1})
		want := "p2pchat: Ben offers \"a\" (1 B).\np2pchat: Ben offers \"a\" (number 2) (1 B).\np2pchat: \"a\" (number 1) was not received: declined.\np2pchat: Saved \"a\" (1 B, verified) in the current folder.\n"
		if notes != want {
			t.Errorf("noted %q, not %q", notes, want)
		}
	})

	t.Run("one refused message is one", func(t *testing.T) {
		if got := (&Refused{Messages: 1}).Error(); got != "1 message was not sent" {
			t.Error(got)
		}
	})
}
