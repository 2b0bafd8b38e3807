package chat

import (
	"context"
	"errors"
	"time"
)

// A side that is called may be a program that waits for many. It asks its person before the conversation begins:
//
//	Run ── hello ─────────────▶ (it waits until the person has decided)
//	Ringing ◀────── ringing ──── Ring, every few seconds
//	Connected ◀─────── hello ──── Run, or
//	ErrDeclined ◀─── declined ──── Decline

const (
	ringInterval = 3 * time.Second // between two ringing frames
	longestRing  = 2 * time.Minute // that a caller waits
)

// Errors of a Conversation whose other side did not answer.
var (
	ErrDeclined   = errors.New("the other side declined the call")
	ErrUnanswered = errors.New("the other side did not answer the call")
)

// unanswered is the text of a declined frame if the person has not decided.
const unanswered = "unanswered"

// Ring tells the caller at the other end of a pipe that this side's person is being asked, until ctx ends. It returns an error if
// the pipe breaks before. A Conversation may begin on the pipe when Ring has returned.
func Ring(ctx context.Context, p Pipe) error {
	b, err := frame{kind: kindRinging}.encode()
	for err == nil {
		if err = p.Send(context.WithoutCancel(ctx), b); err != nil {
			return err
		}
		select {
		case <-time.After(ringInterval):
		case <-ctx.Done():
			return nil
		}
	}
	return err
}

// Decline tells the caller at the other end of a pipe that the person declines the call, or (missed) has not decided. No
// Conversation may follow on the pipe.
func Decline(ctx context.Context, p Pipe, missed bool) error {
	b, err := frame{kind: kindDeclined, text: map[bool]string{true: unanswered}[missed]}.encode()
	if err == nil {
		err = p.Send(ctx, b)
	}
	if err == nil {
		err = p.Flush(ctx)
	}
	return err
}

// awaitHello handles the other side's hello, and drops what comes before. While the other side rings, it waits up to
// longestRing. It returns ErrSilent if nothing comes within helloTimeout, ErrPurpose if the other side does not chat, and
// ErrDeclined or ErrUnanswered if it does not answer.
func (c *Conversation) awaitHello(ctx context.Context, link Link) error {
	begun := time.Now()
	last, late := begun, ErrSilent
	for {
		f, err := recvFrame(ctx, link, min(helloTimeout-time.Since(last), longestRing-time.Since(begun)), late)
		switch {
		case errors.Is(err, errFrame):
			c.drop(err)
		case err != nil:
			return err
		case f.kind == kindRinging:
			if late != ErrUnanswered { //nolint:errorlint // nothing is wrapped around it
				c.Tell(Ringing{})
			}
			last, late = time.Now(), ErrUnanswered
		case f.kind == kindDeclined:
			if link.Shows != "" && c.config.Keeper != nil {
				c.config.Keeper.Declined(link.Shows)
			}
			return map[bool]error{true: ErrUnanswered, false: ErrDeclined}[f.text == unanswered]
		case f.kind != kindHello:
			c.drop("no hello before it", "kind", f.kind)
		case f.hello.Purpose != "":
			return ErrPurpose
		default:
			c.handleHello(f.hello, link)
			return nil
		}
	}
}

// recvFrame receives a frame. After limit it returns late.
func recvFrame(ctx context.Context, link Link, limit time.Duration, late error) (frame, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, late)
	defer cancel()
	b, err := link.Recv(ctx)
	switch {
	case ctx.Err() != nil:
		return frame{}, context.Cause(ctx)
	case err != nil:
		return frame{}, err
	}
	return decode(b)
}
