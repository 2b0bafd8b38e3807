package chat

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat/transfer"
)

func TestHostileSender(t *testing.T) {
	begin, data := part8(fileBegin, 1), append([]byte{fileData}, "four"...)
	done := func(text string) []byte {
		sum := sha256.Sum256([]byte(text))
		return append([]byte{fileDone}, sum[:]...)
	}
	for what, test := range map[string]struct {
		messages [][]byte
		why      string
	}{
		"sends more than it offered":   {[][]byte{begin, data, data, data}, tooMuch},
		"ends too early":               {[][]byte{begin, data, done("four")}, tooEarly},
		"promises another hash":        {[][]byte{begin, data, data, done("four")}, damaged},
		"says what makes no sense":     {[][]byte{begin, {9}}, "the sender broke the protocol of transfers"},
		"says nothing":                 {[][]byte{begin, {}}, "the sender broke the protocol of transfers"},
		"says half an end":             {[][]byte{begin, data, data, {fileDone, 1}}, "the sender broke the protocol of transfers"},
		"goes on after it was told so": {[][]byte{begin, {9}, data, data, done("fourfour")}, "the sender broke the protocol of transfers"},
	} {
		t.Run("a sender that "+what+" is told so, and leaves nothing", func(t *testing.T) {
			dir := t.TempDir()
			withRawOf(t, []option{into(dir), accepts}, func(t *testing.T, a *talker, r raw) {
				r.hello(hello{Conversation: "hostile", First: 1})
				r.file(1, kindOffer, transfer.Offer{Name: "x", Size: 8})
				r.drain()
				r.opens(test.messages...)
				synctest.Wait()
				equal(t, "the reader hears", failures(a), []string{test.why})
				var said note
				for _, f := range r.drain() {
					if f.kind == kindCancel {
						_ = json.Unmarshal([]byte(f.text), &said) // or it is not what is wanted
					}
				}
				if said != (note{ID: 1, Of: "hostile", Reason: test.why}) {
					t.Errorf("the other side is told %+v", said)
				}
				holds(t, dir, nil)
			})
		})
	}

	t.Run("offers that make no sense are not shown, and what follows is", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(hello{Conversation: "hostile", First: 1})
			seq := uint64(1)
			for _, text := range []string{"", "{", `{"name":"x","size":-1}`, `{"name":"x","size":1e300}`, `{"name":"x","files":1}`, `{"name":"x","folder":true,"files":-1}`, `{"name":["x"]}`} {
				r.write(frame{kind: kindOffer, seq: seq, text: text})
				r.write(frame{kind: kindAccept, seq: seq + 1, text: text})
				seq += 2
			}
			for _, k := range []kind{kindAccept, kindReceived, kindCancel} { // of nothing
				for _, of := range []string{a.stream.ID(), "hostile", "x"} {
					r.file(seq, k, note{ID: 1, Of: of})
					seq++
				}
			}
			r.file(seq, kindOffer, transfer.Offer{Name: "\x1b[2J../../.bashrc\u202e", Size: 1, Mode: 1 << 31})
			for _, k := range []kind{kindAccept, kindReceived} { // of its own
				r.file(seq+1, k, note{ID: seq, Of: "hostile"})
				seq++
			}
			synctest.Wait()
			if got := only[FileOffered](a.seen()); len(got) != 1 || got[0].Name != "_bashrc_" {
				t.Errorf("it is offered %+v", got)
			}
		})
	})

	t.Run("unexpected channels are closed", func(t *testing.T) {
		dir := t.TempDir()
		withRawOf(t, []option{into(dir)}, func(t *testing.T, a *talker, r raw) {
			r.hello(hello{Conversation: "hostile", First: 1})
			closed := func(what string, messages ...[]byte) {
				ch := r.opens()
				for _, m := range messages {
					if _, err := ch.Write(m); err != nil && !errors.Is(err, errCut) { // it may be closed already
						t.Fatal(err)
					}
				}
				synctest.Wait()
				time.Sleep(2 * helloTimeout)
				if n, err := ch.Read(make([]byte, 100)); err == nil {
					t.Errorf("%s: it says %d bytes", what, n)
				}
			}
			closed("nothing was offered", begin)
			r.file(1, kindOffer, transfer.Offer{Name: "x", Size: 8})
			closed("nothing was accepted", begin)
			synctest.Wait()
			if err := a.Accept(1); err != nil {
				t.Fatal(err)
			}
			closed("another file", part8(fileBegin, 2))
			closed("no file", data)
			closed("silence")
			ch := r.opens(begin)
			synctest.Wait()
			closed("a second one", begin)
			r.file(2, kindCancel, note{ID: 1, Of: "hostile"})
			_ = ch.Close() // the pair knows no other way
			synctest.Wait()
			equal(t, "the reader hears", failures(a), []string{"the other side cancelled it"})
			closed("a cancelled one", begin)
			holds(t, dir, nil)
		})
	})

	t.Run("it cannot fill the memory with offers", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(hello{Conversation: "hostile", First: 1})
			for i := range uint64(3 * maxFiles) {
				r.file(i+1, kindOffer, transfer.Offer{Name: "x"})
			}
			synctest.Wait()
			if n := len(only[FileOffered](a.seen())); n != maxFiles {
				t.Errorf("%d are shown", n)
			}
		})
	})
}

func TestHostileReceiver(t *testing.T) {
	const nonsense = "the receiver broke the protocol of transfers"
	for what, says := range map[string][][]byte{
		"has what was not sent":    {part8(fileHave, 1)},
		"has less than nothing":    {part8(fileHave, 1<<63)},
		"says what makes no sense": {{fileData, 1}},
		"says half a number":       {{fileHave, 0}},
	} {
		t.Run("a receiver that "+what+" is sent nothing more", func(t *testing.T) {
			path := create(t, "data", noise(8))
			withRaw(t, func(t *testing.T, a *talker, r raw) {
				ch := accepted(t, a, r, path)
				for _, m := range says {
					if _, err := ch.Write(m); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				equal(t, "the reader hears", failures(a), []string{nonsense})
			})
		})
	}

	t.Run("a receiver that has received what was not sent is not believed", func(t *testing.T) {
		path := create(t, "data", noise(8))
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			accepted(t, a, r, path)
			r.file(2, kindReceived, note{ID: 1, Of: a.stream.ID()})
			synctest.Wait()
			equal(t, "the reader hears", failures(a), []string{"the receiver confirmed what was not sent"})
			if a.Sent(1) {
				t.Error("it counts as sent")
			}
		})
	})

	t.Run("a receiver that closes every channel is given up", func(t *testing.T) {
		path := create(t, "data", noise(8))
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			ch := accepted(t, a, r, path)
			for range maxFutile - 1 {
				_ = ch.Close() // as it is
				var err error
				if ch, err = r.Accept(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			_ = ch.Close() // as it is
			synctest.Wait()
			equal(t, "the reader hears", failures(a), []string{"the other side keeps closing the channel of the file"})
		})
	})

	t.Run("memory does not grow with a receiver that falls behind", func(t *testing.T) {
		path := create(t, "data", noise(3*windowFirst))
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			ch := accepted(t, a, r, path)
			if _, err := ch.Write(part8(fileHave, 0)); err != nil {
				t.Fatal(err)
			}
			received := 0
			b := make([]byte, 1+fileChunk)
			go func() {
				for {
					n, err := ch.Read(b)
					if err != nil {
						return
					}
					received += n - 1
				}
			}()
			synctest.Wait()
			if received != windowFirst {
				t.Errorf("%d bytes came without an acknowledgement", received)
			}
		})
	})
}
