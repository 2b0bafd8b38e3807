package screen

import (
	"fmt"
	"io"
	"sync"
	"time"

	"p2pchat/chat"
)

// A progressLine shows how far files are: on a terminal in one line that is replaced, elsewhere in
// a line every noteInterval.
type progressLine struct {
	to      io.Writer
	watched bool

	mu    sync.Mutex // guards what follows
	files map[fileKey]*fileRate
	shown bool // the line is there
}

type fileKey struct {
	id       uint64
	outgoing bool
}

// A fileRate measures how fast a file moves.
type fileRate struct {
	begun time.Time // of the measurement
	from  int64     // the bytes that there were then
	last  time.Time // when the file moved last
	noted time.Time // when the last line was written that is not replaced
}

const (
	noteInterval = 10 * time.Second // between two lines where none can be replaced
	stall        = 2 * time.Second  // after which the measurement begins again
)

func (b *progressLine) move(e chat.FileProgress, number uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key, now := fileKey{e.ID, e.Outgoing}, time.Now()
	p := b.files[key]
	if p == nil {
		p = &fileRate{noted: now}
		if b.files == nil {
			b.files = map[fileKey]*fileRate{}
		}
		b.files[key] = p
	}
	if now.Sub(p.last) > stall {
		p.begun, p.from = now, e.Bytes
	}
	p.last = now
	name := quotedName(e.Name)
	if number != 0 {
		name += fmt.Sprintf(" (number %d)", number)
	}
	text := map[bool]string{true: "Sending ", false: "Receiving "}[e.Outgoing] + name + ": " + p.text(e, now)
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
func (b *progressLine) end(id uint64, outgoing bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.files, fileKey{id, outgoing})
}

// hide makes room for another line.
func (b *progressLine) hide() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown {
		fmt.Fprint(b.to, "\r\x1b[K")
		b.shown = false
	}
}

func (p *fileRate) text(e chat.FileProgress, now time.Time) string {
	text := fmt.Sprintf("%d %% of %s", Percent(e.Bytes, e.Size), Bytes(e.Size))
	took := now.Sub(p.begun)
	if took < time.Second || e.Bytes <= p.from {
		return text
	}
	rate := float64(e.Bytes-p.from) / took.Seconds()
	left := time.Duration(float64(e.Size-e.Bytes) / rate * float64(time.Second))
	return fmt.Sprintf("%s, %s/s, %s left", text, Bytes(int64(rate)), left.Round(time.Second))
}

// Percent returns how much of size bytes are, rounded down.
func Percent(bytes, size int64) int {
	if size <= 0 {
		return 100
	}
	return int(100*(float64(bytes)/float64(size)) + 1e-9) // 29 of 100 are not 28
}

// Bytes returns a size as people read it, in powers of 1000.
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
