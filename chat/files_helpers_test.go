package chat

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"

	"p2pchat/chat/internal/chattest"
)

// The helpers of files under their short names.
var (
	noise    = chattest.Noise
	create   = chattest.Create
	contents = chattest.Contents
	holds    = chattest.Holds
	plant    = chattest.Plant
)

// What the channel of a file carries, as docs/architecture.md has it.
const (
	fileBegin byte = 1
	fileHave  byte = 2
	fileData  byte = 3
	fileDone  byte = 4

	fileChunk   = 64 << 10
	fileMoving  = 4
	windowFirst = 128 << 10
	windowMost  = 3 << 20
	maxFiles    = 256
	maxOffers   = 64
	maxQueued   = 10_000
	maxFutile   = 5
)

// A note is what frames about an offered file say, as docs/architecture.md has it.
type note struct {
	ID     uint64 `json:"id"`
	Of     string `json:"of"`
	Reason string `json:"reason,omitempty"`
}

// Reasons that both sides read.
const (
	tooMuch    = "the sender sent more than it offered"
	tooEarly   = "the sender sent less than it offered"
	damaged    = "it arrived damaged: its SHA-256 does not match"
	lost       = "what had arrived of it is no longer there"
	unattended = "declined: the receiving side's input has ended"
)

func into(dir string) option { return func(_ *talker, c *Config) { c.DownloadDir = dir } }

func accepts(_ *talker, c *Config) { c.AcceptFiles = true }

func offers(t *testing.T, c *talker, path string) uint64 {
	t.Helper()
	ids, err := c.SendFiles(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return ids[0]
}

// failures are the reasons of what failed.
func failures(c *talker) (why []string) {
	for _, f := range only[FileFailed](c.seen()) {
		why = append(why, f.Reason)
	}
	return why
}

// meets is meetingWith, and checks that neither side has logged anything.
func meets(t *testing.T, as, bs []option, f func(t *testing.T, a, b *talker)) {
	t.Helper()
	var both []*talker
	meetingWith(t, as, bs, func(t *testing.T, a, b *talker) {
		both = []*talker{a, b}
		f(t, a, b)
	})
	for _, c := range both {
		if log := c.log.String(); log != "" {
			t.Errorf("the log says %.500s", log)
		}
	}
}

// toOne is what a side hears of why: that it has cancelled a file, it knows.
func toOne(why, side string) string {
	if why == "cancelled by its "+side {
		return Cancelled
	}
	return why
}

// A rawFile is the other side of a file, played by the test.
func (r raw) file(seq uint64, k kind, content any) {
	r.t.Helper()
	b, err := json.Marshal(content)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(frame{kind: k, seq: seq, text: string(b)})
}

func (r raw) opens(messages ...[]byte) io.ReadWriteCloser {
	r.t.Helper()
	ch, err := r.Open(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, m := range messages {
		if _, err := ch.Write(m); err != nil {
			r.t.Fatal(err)
		}
	}
	return ch
}

func part8(kind byte, n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{kind}, n) }

// accepted plays a receiver until the sender has opened the channel and said which file it
// is for.
func accepted(t *testing.T, a *talker, r raw, path string) io.ReadWriteCloser {
	t.Helper()
	r.Expect(true)
	r.hello(hello{Conversation: "hostile", First: 1})
	id := offers(t, a, path)
	r.file(1, kindAccept, note{ID: id, Of: a.stream.ID()})
	ch, err := r.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := ch.Read(b); err != nil || !bytes.Equal(b[:n], part8(fileBegin, id)) {
		t.Fatalf("it begins with %q (%v)", b[:n], err)
	}
	return ch
}

// withRawOf is withRaw with options.
func withRawOf(t *testing.T, options []option, f func(t *testing.T, a *talker, r raw)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		left, right := newPair(64)
		a := newTalker(append(options, named("Ann"))...).joins(left).run(t.Context(), nil)
		f(t, a, raw{right, t})
		a.Leave()
		right.hangUp()
		<-a.ended
	})
}

// stopsAt cuts a pipe at the nth message of that kind that goes out for a file, which still arrives.
func stopsAt(t *testing.T, e *end, kind byte, nth int) <-chan struct{} {
	t.Helper()
	stopped, seen := make(chan struct{}), 0
	e.tap = func(out bool, m []byte) {
		if out && m[0] == kind {
			if seen++; seen == nth {
				e.cut()
				close(stopped)
			}
		}
	}
	return stopped
}

func appendTo(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0) //nolint:gosec // of the test
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
