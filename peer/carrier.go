package peer

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"sync"
	"time"

	"p2pchat/signaling"
)

// A carrier has the documents of a meeting that goes over a channel of a Pipe instead of a Store. Each side sends its own, and
// "stands" once it is connected:
//
//	{"description": …}    once, the caller's first; with "reason": …  of the side that began
//	{"candidates": [ … ]}
//	{"stands": true}
type carrier struct {
	c    *channel
	size int // bytes that have come; owned by read

	reason string // why this side has begun; empty if the other one has

	writing sync.Mutex

	mu      sync.Mutex    // guards what follows
	changed chan struct{} // closed, and replaced, with each change
	theirs  carried
	ended   bool // the channel has ended, or the other side breaks the rules
}

// maxCarried is how many bytes the documents of one side may have: a candidate has 200, a description 4,000.
const maxCarried = 256 << 10

// carried is what one side has sent, and the form of each message.
type carried struct {
	Description json.RawMessage   `json:"description,omitempty"`
	Reason      string            `json:"reason,omitempty"` // with the description of the side that began
	Candidates  []json.RawMessage `json:"candidates,omitempty"`
	Stands      bool              `json:"stands,omitempty"`
}

func newCarrier(c *channel) *carrier { return &carrier{c: c, changed: make(chan struct{})} }

// read takes what the other side sends, until the channel ends. It closes a channel with more than a meeting needs.
func (k *carrier) read() {
	for {
		b, err := k.c.next()
		var m carried
		if k.size += len(b); err == nil && k.size > maxCarried {
			err = errGarbled
		}
		if err == nil {
			err = json.Unmarshal(b, &m)
		}
		if !k.take(m, err) {
			_ = k.c.Close() // it never fails
			return
		}
	}
}

// take adds a message, and reports whether there may be another one.
func (k *carrier) take(m carried, err error) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := &k.theirs
	twice := len(m.Description) > 0 && len(t.Description) > 0 || m.Stands && t.Stands
	if err != nil || twice || len(t.Candidates)+len(m.Candidates) > maxCandidates {
		k.ended = true
	} else {
		if len(m.Description) > 0 {
			t.Description, t.Reason = m.Description, m.Reason
		}
		t.Candidates = append(t.Candidates, m.Candidates...)
		t.Stands = t.Stands || m.Stands
	}
	close(k.changed)
	k.changed = make(chan struct{})
	return !k.ended
}

// write sends a message.
func (k *carrier) write(ctx context.Context, m carried) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	k.writing.Lock()
	defer k.writing.Unlock()
	defer endWith(ctx, k.c.raw.SetWriteDeadline)()
	_, err = k.c.Write(b)
	return err
}

// await waits until the other side's documents fit. It returns io.EOF if the channel ends before.
func (k *carrier) await(ctx context.Context, fit func(carried) bool) (carried, error) {
	for {
		k.mu.Lock()
		theirs, ended, changed := k.theirs, k.ended, k.changed
		k.mu.Unlock()
		switch {
		case fit(theirs):
			return theirs, nil
		case ended:
			return theirs, io.EOF
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return theirs, ctx.Err()
		}
	}
}

// whyTheirs returns why the other side has begun, or "" if it has not said so.
func (k *carrier) whyTheirs() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.Contains(reasons, k.theirs.Reason) {
		return k.theirs.Reason
	}
	return ""
}

// describe sends this side's description.
func (k *carrier) describe(ctx context.Context, d signaling.Description) error {
	return k.write(ctx, carried{Description: json.RawMessage(d), Reason: k.reason})
}

// stand says that this side is connected, and waits until the other side is, too.
func (k *carrier) stand(ctx context.Context) error {
	if err := k.write(ctx, carried{Stands: true}); err != nil {
		return err
	}
	_, err := k.await(ctx, func(c carried) bool { return c.Stands })
	return err
}

// Description waits for the other side's description.
func (k *carrier) Description(ctx context.Context, _ signaling.Ticket, _ signaling.Side, _ signaling.Version, _ time.Duration) (signaling.Description, signaling.Version, error) {
	theirs, err := k.await(ctx, func(c carried) bool { return len(c.Description) > 0 })
	return signaling.Description(theirs.Description), "", err
}

// AddCandidates sends this side's candidates.
func (k *carrier) AddCandidates(ctx context.Context, _ signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	var list []json.RawMessage
	for _, sealed := range c {
		list = append(list, json.RawMessage(sealed))
	}
	return at + len(c), k.write(ctx, carried{Candidates: list})
}

// Candidates waits for candidates of the other side.
func (k *carrier) Candidates(ctx context.Context, _ signaling.Ticket, _ signaling.Side, after int, _ time.Duration) (list []signaling.Candidate, err error) {
	theirs, err := k.await(ctx, func(c carried) bool { return len(c.Candidates) > after })
	if err != nil {
		return nil, err
	}
	for _, sealed := range theirs.Candidates[after:] {
		list = append(list, signaling.Candidate(sealed))
	}
	return list, nil
}
