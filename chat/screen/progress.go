package screen

import (
	"fmt"
	"io"
	"sync"
	"time"

	"p2pchat/chat"
)

// A bar shows how far files are: on a terminal in one line that is replaced, elsewhere in
// a line now and then.
type bar struct {
	to      io.Writer
	watched bool

	mu    sync.Mutex // guards what follows
	files map[fileKey]*pace
	shown bool // the line is there
}

type fileKey struct {
	id       uint64
	outgoing bool
}

// A pace is how fast a file moves.
type pace struct {
	begun time.Time // when it went on last
	from  int64     // the bytes that there were then
	last  time.Time // when it moved last
	noted time.Time
}

const (
	noteInterval = 10 * time.Second // between two lines that nobody watches
	stall        = 2 * time.Second  // after one it is measured anew
)

func (b *bar) move(e chat.FileProgress, number uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key, now := fileKey{e.ID, e.Outgoing}, time.Now()
	p := b.files[key]
	if p == nil {
		p = &pace{noted: now}
		if b.files == nil {
			b.files = map[fileKey]*pace{}
		}
		b.files[key] = p
	}
	if now.Sub(p.last) > stall {
		p.begun, p.from = now, e.Bytes
	}
	p.last = now
	name := Name(e.Name)
	if number != 0 {
		name += fmt.Sprintf(" (number %d)", number)
	}
	text := map[bool]string{true: "Sending ", false: "Receiving "}[e.Outgoing] + name + ": " + p.tell(e, now)
	switch {
	case b.watched:
		fmt.Fprintf(b.to, "\r\x1b[K%.79s", "p2pchat: "+text)
		b.shown = true
	case now.Sub(p.noted) >= noteInterval:
		p.noted = now
		fmt.Fprintf(b.to, "p2pchat: %s\n", text)
	}
}

// end forgets a file.
func (b *bar) end(id uint64, outgoing bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.files, fileKey{id, outgoing})
}

// hide makes room for another line.
func (b *bar) hide() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown {
		fmt.Fprint(b.to, "\r\x1b[K")
		b.shown = false
	}
}

func (p *pace) tell(e chat.FileProgress, now time.Time) string {
	text := fmt.Sprintf("%d %% of %s", Percent(e.Bytes, e.Size), Bytes(e.Size))
	took := now.Sub(p.begun)
	if took < time.Second || e.Bytes <= p.from {
		return text
	}
	rate := float64(e.Bytes-p.from) / took.Seconds()
	left := time.Duration(float64(e.Size-e.Bytes) / rate * float64(time.Second))
	return fmt.Sprintf("%s, %s/s, %s left", text, Bytes(int64(rate)), left.Round(time.Second))
}

// Percent is how much of size there is.
func Percent(bytes, size int64) int {
	if size <= 0 {
		return 100
	}
	return int(100*(float64(bytes)/float64(size)) + 1e-9) // 29 of 100 are not 28
}

// Bytes is a size as people read it.
func Bytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), 0
	for ; f >= 999.95 && unit < 6; unit++ {
		f /= 1000
	}
	return fmt.Sprintf("%.1f %cB", f, " kMGTPE"[unit])
}
