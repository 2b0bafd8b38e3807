package chat

import (
	"errors"
	"fmt"

	"p2pchat/chat/transfer"
)

// Errors returned by Conversation methods.
var (
	ErrTooLong = fmt.Errorf("a message holds at most %d bytes", MaxMessage)
	ErrNotText = errors.New("a message must be UTF-8")
	ErrOver    = transfer.ErrOver
	ErrLate    = fmt.Errorf("%w: the other side has left", ErrOver) // Run counts the message: see Config.Drain
	ErrUnkept  = errors.New("the outbox cannot be written")
	ErrSilent  = errors.New("the other side connected, but sent nothing that p2pchat understands")
	ErrPurpose = errors.New("the other side runs 'p2pchat bench', which measures the connection and does not chat")
)

var (
	errHungUp   = errors.New("the connection dropped")
	errReplaced = errors.New("another pipe has taken the place of this one")
)

// Undelivered is returned by Run if the other side's reader has not read all of this side's input.
type Undelivered struct { //nolint:errname // chat.Undelivered says it
	Messages int    // 0 if the other side left before the input had ended
	What     string // Config.Input
}

func (u *Undelivered) Error() string {
	switch u.Messages {
	case 0:
		return "the other side left before the input had ended"
	case 1:
		return fmt.Sprintf("1 %s was not delivered", u.What)
	}
	return fmt.Sprintf("%d %ss were not delivered", u.Messages, u.What)
}

// Incomplete is returned by Run if files that were to be sent or received did not get through.
type Incomplete struct{ Files int } //nolint:errname // chat.Incomplete says it

func (i *Incomplete) Error() string {
	if i.Files == 1 {
		return "1 file did not get through"
	}
	return fmt.Sprintf("%d files did not get through", i.Files)
}

// and joins two errors, of which err may be nil.
func and(err, also error) error {
	if err == nil {
		return also
	}
	return fmt.Errorf("%w, and %w", err, also)
}
