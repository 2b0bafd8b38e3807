package disk

import (
	"io"
	"os"
)

const eagerEach = 8 << 20 // bytes

// Eager returns a Writer to file. Every 8 MiB it lets the system begin to write them to the disk, where that can be asked for
// (Linux), so that Sync at the end of a large file has little left to wait for. Its errors are those of file.
func Eager(file *os.File) io.Writer { return &eager{file: file} }

type eager struct {
	file    *os.File
	waiting int // bytes since the system last began
}

func (e *eager) Write(b []byte) (int, error) {
	n, err := e.file.Write(b)
	if e.waiting += n; e.waiting >= eagerEach {
		e.waiting = 0
		beginWriting(e.file)
	}
	return n, err
}
