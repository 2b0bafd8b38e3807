package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

func beginWriting(file *os.File) {
	_ = unix.SyncFileRange(int(file.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE) // what it cannot write, Sync reports
}
