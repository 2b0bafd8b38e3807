package chat

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"p2pchat/chat/transfer"
)

const (
	filePiece byte = 5
	garbled        = "the sender broke the protocol of transfers"
)

// piece is a message on a stripe of the file 1.
func piece(offset int64, b []byte) []byte { return pieceOf(1, offset, b) }

func pieceOf(id uint64, offset int64, b []byte) []byte {
	head := binary.BigEndian.AppendUint64(part8(filePiece, id), uint64(offset)) //nolint:gosec // some are negative
	return append(head, b...)
}

// doneOf is the last message on the channel of a file.
func doneOf(content []byte) []byte {
	sum := sha256.Sum256(content)
	return append([]byte{fileDone}, sum[:]...)
}

// hostileFiles offers files of those sizes: their IDs are 1, 2, …
func hostileFiles(r raw, sizes ...int64) {
	r.hello(hello{Conversation: "hostile", First: 1, Stripes: true, Haves: true})
	for i, size := range sizes {
		r.file(uint64(i+1), kindOffer, transfer.Offer{Name: string(rune('x' + i)), Size: size})
	}
	r.drain()
}

// writes sends messages until the channel closes.
func writes(ch io.Writer, messages ...[]byte) {
	for _, m := range messages {
		if _, err := ch.Write(m); err != nil {
			return
		}
	}
	synctest.Wait()
}

// untilClosed reads until the other side has closed the channel, and returns how many bytes came.
func untilClosed(ch io.Reader) (bytes int) {
	b := make([]byte, 100_000)
	for {
		n, err := ch.Read(b)
		if err != nil {
			return bytes
		}
		bytes += n
	}
}

func TestPiecesInAnyOrder(t *testing.T) {
	const size, chunk = 1<<20 + 17, 10_000
	content, dir := noise(size), t.TempDir()
	withRawOf(t, []option{into(dir), accepts}, func(t *testing.T, a *talker, r raw) {
		hostileFiles(r, size)
		ch := r.opens(part8(fileBegin, 1))
		synctest.Wait()
		go func() { _, _ = io.Copy(io.Discard, ch) }() // the haves
		var pieces [][]byte                            // some twice, and some overlap
		for at := 0; at < size; at += chunk {
			pieces = append(pieces, piece(int64(at), content[at:min(at+chunk, size)]))
			pieces = append(pieces, piece(int64(at), content[at:min(at+2*chunk, size)]))
		}
		rand.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] }) //nolint:gosec // no secret
		stripes := [3]io.ReadWriteCloser{r.opens(), r.opens(), r.opens()}
		for i, p := range pieces {
			writes(stripes[i%len(stripes)], p)
		}
		writes(ch, doneOf(content))
		if got := only[FileReceived](a.seen()); len(got) != 1 || got[0].SHA256 != sha256.Sum256(content) {
			t.Fatalf("it has received %+v, and failed with %v", got, failures(a))
		}
	})
	if got, err := os.ReadFile(filepath.Join(dir, "x")); err != nil || !bytes.Equal(got, content) { //nolint:gosec // of this test
		t.Errorf("it holds %d bytes, or others (%v)", len(got), err)
	}
}

// A receiver says what it has over the stripes, too: each 32 KiB, to a sender that reads it there.
func TestHavesOverStripes(t *testing.T) {
	const size, chunk = 1 << 20, 8 << 10
	for _, reads := range []bool{true, false} {
		t.Run(fmt.Sprint("if the sender reads them: ", reads), func(t *testing.T) {
			withRawOf(t, []option{into(t.TempDir()), accepts}, func(t *testing.T, _ *talker, r raw) {
				r.hello(hello{Conversation: "hostile", First: 1, Stripes: true, Haves: reads})
				r.file(1, kindOffer, transfer.Offer{Name: "x", Size: size})
				r.drain()
				ch := r.opens(part8(fileBegin, 1))
				synctest.Wait()
				stripes := [2]io.ReadWriteCloser{r.opens(), r.opens()}
				var pieces [9][]byte // the first one comes last
				for i := range pieces {
					pieces[i] = piece(int64((i+1)%len(pieces)*chunk), noise(chunk))
				}
				writes(stripes[0], pieces[:4]...)
				writes(stripes[1], pieces[4:]...)
				for i, beyond := range []uint64{4 * chunk, 8 * chunk} {
					said := make(chan []byte, 1)
					go func() {
						b := make([]byte, 100)
						if n, err := stripes[i].Read(b); err == nil {
							said <- b[:n]
						}
					}()
					synctest.Wait()
					var want []byte
					if reads {
						want = binary.BigEndian.AppendUint64(part8(fileHave, 0), beyond)
					}
					var got []byte
					if len(said) > 0 {
						got = <-said
					}
					if !bytes.Equal(got, want) {
						t.Errorf("over stripe %d it says %q", i, got)
					}
					_ = stripes[i].Close()
				}
				_ = ch.Close()
			})
		})
	}
}

func TestPiecesThatMakeNoSense(t *testing.T) {
	const size = 1<<20 + 17
	var tiny, large [][]byte // of which those that wait have more than 4 MiB in all, as they count
	for i := range int64(1100) {
		tiny = append(tiny, piece(10+2*i, []byte{1}))
	}
	for i := range int64(70) {
		large = append(large, piece(10+i, noise(60_000)))
	}
	for what, test := range map[string]struct {
		messages [][]byte
		why      string
	}{
		"has a negative offset":        {[][]byte{piece(-1, noise(9))}, garbled},
		"has an endless offset":        {[][]byte{piece(1<<62, noise(9))}, garbled},
		"is far ahead":                 {[][]byte{piece(5<<20, noise(9))}, garbled},
		"is more than was offered":     {[][]byte{piece(size-4, noise(5))}, tooMuch},
		"is not one":                   {[][]byte{piece(0, noise(9)), {fileData, 1}}, garbled},
		"has half an offset":           {[][]byte{piece(0, noise(9)), piece(9, nil)[:12]}, garbled},
		"is another file's":            {[][]byte{piece(0, noise(9)), pieceOf(2, 9, noise(9))}, garbled},
		"comes in very many portions":  {tiny, garbled},
		"overlaps very many that wait": {large, garbled},
	} {
		t.Run("a piece that "+what+" is not kept", func(t *testing.T) {
			dir := t.TempDir()
			withRawOf(t, []option{into(dir), accepts}, func(t *testing.T, a *talker, r raw) {
				hostileFiles(r, size)
				r.opens(part8(fileBegin, 1))
				synctest.Wait()
				stripe := r.opens()
				go func() { _, _ = io.Copy(io.Discard, stripe) }() // haves
				writes(stripe, test.messages...)
				equal(t, "the reader hears", failures(a), []string{test.why})
				holds(t, dir, nil)
			})
		})
	}
}

// All files of the other side together hold at most 4 MiB out of order, because one at a time has stripes.
func TestStripesOfSeveralFiles(t *testing.T) {
	withRawOf(t, []option{into(t.TempDir()), accepts}, func(t *testing.T, a *talker, r raw) {
		hostileFiles(r, 100, 100, 100)
		r.opens(part8(fileBegin, 1))
		second := r.opens(part8(fileBegin, 2))
		synctest.Wait()
		stripe := r.opens(pieceOf(1, 9, noise(9)))
		synctest.Wait()
		for _, id := range []uint64{2, 3, 4} { // one that moves, one that does not, and none
			if n := untilClosed(r.opens(pieceOf(id, 9, noise(9)))); n > 0 {
				t.Errorf("a stripe of %d says %d bytes", id, n)
			}
		}
		writes(stripe, pieceOf(1, -1, nil)) // ends the first file
		equal(t, "the reader hears", failures(a), []string{garbled})
		go func() { _, _ = io.Copy(io.Discard, second) }() // the haves
		content := noise(100)
		writes(r.opens(), pieceOf(2, 50, content[50:]))
		writes(r.opens(), pieceOf(2, 0, content[:50]))
		writes(second, doneOf(content))
		if got := only[FileReceived](a.seen()); len(got) != 1 || got[0].ID != 2 {
			t.Errorf("it has received %+v, and failed with %v", got, failures(a))
		}
	})
}

func TestLatePieces(t *testing.T) {
	dir := t.TempDir()
	withRawOf(t, []option{into(dir), accepts}, func(t *testing.T, a *talker, r raw) {
		hostileFiles(r, 8)
		ch := r.opens(part8(fileBegin, 1))
		synctest.Wait()
		stripe := r.opens(piece(0, []byte("four")))
		synctest.Wait()
		ch.Close()
		synctest.Wait()
		ch = r.opens(part8(fileBegin, 1))
		synctest.Wait()
		writes(stripe, piece(4, []byte("FOUR")), piece(0, []byte("FOURFOUR"))) // they belong to the channel before
		b := make([]byte, 100)
		if n, err := ch.Read(b); err != nil || !bytes.Equal(b[:n], part8(fileHave, 4)) {
			t.Fatalf("it goes on from %q (%v)", b[:n], err)
		}
		writes(ch, append([]byte{fileData}, "five"...), doneOf([]byte("fourfive")))
		equal(t, "the reader hears", failures(a), nil)
	})
	if got, err := os.ReadFile(filepath.Join(dir, "x")); err != nil || string(got) != "fourfive" { //nolint:gosec // of this test
		t.Errorf("it holds %q (%v)", got, err)
	}
}
