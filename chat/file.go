package chat

import (
	"context"
	"errors"
)

// What answers about a file can be, beside ErrOver.
var (
	// ErrNoFiles: the other side is a plain WebRTC program.
	ErrNoFiles = errors.New("the other side takes no files: it is another WebRTC program")
	// ErrNoFile: no file of that ID waits for this.
	ErrNoFile = errors.New("there is no such file")
)

// SendFile offers the other side the file or the folder at path, now or as soon as there is
// one, and returns the ID that its events will name. The error is ErrNoFiles, ErrOver, the
// context's, or says why the path cannot be sent.
func (c *Conversation) SendFile(ctx context.Context, path string) (id uint64, err error) {
	return 0, ErrNoFiles
}

// Accept takes the file that the other side offered. The error is ErrNoFile, ErrOver, or
// says why the download folder cannot be written to.
func (c *Conversation) Accept(id uint64) error { return ErrNoFile }

// Decline refuses the file that the other side offered. The error is ErrNoFile or ErrOver.
func (c *Conversation) Decline(id uint64) error { return ErrNoFile }

// Cancel gives up a file, this side's if outgoing, else the other's, whether it was accepted
// yet or not. The error is ErrNoFile or ErrOver.
func (c *Conversation) Cancel(id uint64, outgoing bool) error { return ErrNoFile }
