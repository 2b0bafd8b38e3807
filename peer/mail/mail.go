// Package mail leaves letters for a contact who is away, in a mailbox at a server that can neither open nor forge them.
//
//	Outgoing.Seal ─▶ (the caller saves Outgoing) ─▶ Post ─▶ box at the server ─▶ Take ─▶ (the caller saves Incoming) ─▶ Delete
//
// Each block has a key of its own, from the chain of a contact.Box, which only moves forward: the saved state of either side
// opens no block before it. A block is bound to its box and its number, so whatever a server repeats, reorders, changes or
// invents does not open, and a Report says what it did. It can withhold: then a later letter shows the gap, and the caller still
// has what was not acknowledged. Outgoing and Incoming are values; their caller keeps them on disk, and only one copy of each.
package mail

import (
	"cmp"
	"context"
	"crypto/cipher"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"p2pchat/peer/contact"
	"p2pchat/signaling"
)

const (
	lengthSize = 2
	overhead   = lengthSize + chacha20poly1305.Overhead
	// MaxLetter is the most bytes of a letter.
	MaxLetter = 16<<10 - overhead
	// maxGap bounds how many blocks before one may be missing, and so the steps of the chain that invented blocks cost a read.
	maxGap = 1 << 12
)

// ErrTooLong is returned by Seal for a letter of more than MaxLetter bytes.
var ErrTooLong = fmt.Errorf("a letter has %d bytes at most", MaxLetter)

// errSealed means that a block does not open.
var errSealed = errors.New("the block does not open")

// Outgoing is the sending side of a box.
type Outgoing struct {
	Box     contact.Box       `json:"box"`
	Pending []signaling.Block `json:"pending,omitempty"` // sealed, and perhaps not at the server yet
}

// Seal returns o with one more letter. The caller saves it before Post, so that no key is used for two letters, whenever the
// program is killed. It returns ErrTooLong, and leaves o as it is.
func (o Outgoing) Seal(letter []byte) (Outgoing, error) {
	if len(letter) > MaxLetter {
		return o, ErrTooLong
	}
	size := signaling.BlockSizes[len(signaling.BlockSizes)-1]
	for _, s := range slices.Backward(signaling.BlockSizes[:]) {
		if len(letter)+overhead <= s {
			size = s
		}
	}
	padded := make([]byte, size-chacha20poly1305.Overhead, size)
	binary.BigEndian.PutUint16(padded, uint16(len(letter))) //nolint:gosec // MaxLetter is less
	copy(padded[lengthSize:], letter)
	key, number, after := o.Box.Next()
	sealed := newCipher(key).Seal(padded[:0], make([]byte, chacha20poly1305.NonceSize), padded, o.Box.Context())
	return Outgoing{after, append(slices.Clip(o.Pending), signaling.Block{Number: number + 1, Bytes: sealed})}, nil
}

// Post puts the pending letters into the box, in order, and returns o without those that the server has, with the time for
// which it keeps the last of them. A letter that was put before, by a program that was killed, is put once. The error is that of
// [signaling.Mail.AddBlock]: the rest stays pending.
func (o Outgoing) Post(ctx context.Context, at signaling.Mail) (rest Outgoing, kept time.Duration, err error) {
	putter, _ := boxes(o.Box)
	for len(o.Pending) > 0 {
		if kept, err = at.AddBlock(ctx, putter, o.Pending[0]); err != nil {
			return o, 0, err
		}
		o.Pending = o.Pending[1:]
	}
	return o, kept, nil
}

// Incoming is the reading side of a box.
type Incoming struct {
	Box contact.Box `json:"box"`
}

// A Letter is what the contact has sealed.
type Letter struct {
	Number uint64 // from 0
	Text   []byte
}

// A Report is what was wrong with the blocks that a server sent.
type Report struct {
	Missing  uint64 // letters before one that came: withheld, or expired
	Repeated int    // blocks that were read before, or come twice
	Invented int    // blocks that the contact has not put there like this
}

// String returns what a person should know, or nothing.
func (r Report) String() string {
	var told []string
	switch {
	case r.Missing == 1:
		told = append(told, "1 letter is missing: it expired, or the server withholds it. Its sender still has it.")
	case r.Missing > 1:
		told = append(told, fmt.Sprintf("%d letters are missing: they expired, or the server withholds them. Their sender still has them.", r.Missing))
	}
	switch {
	case r.Repeated == 1:
		told = append(told, "The server sent 1 letter again; it is shown once.")
	case r.Repeated > 1:
		told = append(told, fmt.Sprintf("The server sent %d letters again; each is shown once.", r.Repeated))
	}
	switch {
	case r.Invented == 1:
		told = append(told, "The server sent 1 letter that your contact did not write; it is not shown.")
	case r.Invented > 1:
		told = append(told, fmt.Sprintf("The server sent %d letters that your contact did not write; none is shown.", r.Invented))
	}
	return strings.Join(told, " ")
}

// Take waits for letters up to wait, and returns them in the order in which they were sealed, with the state after them. The
// caller handles the letters, saves the state, and then calls Delete; one that is killed in between gets the letters again, or
// deletes them later. The error is that of [signaling.Mail.Blocks].
func (i Incoming) Take(ctx context.Context, at signaling.Mail, wait time.Duration) (after Incoming, letters []Letter, report Report, err error) {
	_, taker := boxes(i.Box)
	list, err := at.Blocks(ctx, taker, i.Box.Number, wait)
	if err != nil {
		return i, nil, Report{}, err
	}
	after, letters, report = i.open(list)
	return after, letters, report, nil
}

// Delete removes from the server the letters before i.
func (i Incoming) Delete(ctx context.Context, at signaling.Mail) error {
	_, taker := boxes(i.Box)
	return at.DeleteBlocks(ctx, taker, i.Box.Number)
}

// open opens blocks in the order of their numbers, whatever the server's order was. Only a block that opens moves the chain. Those
// that do not open cost maxGap steps of it together, because ahead never goes back.
func (i Incoming) open(list []signaling.Block) (after Incoming, letters []Letter, report Report) {
	list = slices.SortedStableFunc(slices.Values(list), func(a, b signaling.Block) int { return cmp.Compare(a.Number, b.Number) })
	ahead := i.Box
	for _, block := range list {
		next := i.Box.Number + 1
		if block.Number < next {
			report.Repeated++
			continue
		}
		gap := block.Number - next
		if gap > maxGap {
			report.Invented++
			continue
		}
		for ahead.Number+1 < block.Number {
			_, _, ahead = ahead.Next()
		}
		text, box, err := openNext(ahead, block)
		if err != nil {
			report.Invented++
			continue
		}
		report.Missing += gap
		letters = append(letters, Letter{block.Number - 1, text})
		i.Box, ahead = box, box
	}
	return i, letters, report
}

// openNext opens the next block of a box, and returns the box after it.
func openNext(box contact.Box, block signaling.Block) (text []byte, after contact.Box, err error) {
	key, _, after := box.Next()
	padded, err := newCipher(key).Open(nil, make([]byte, chacha20poly1305.NonceSize), block.Bytes, box.Context())
	if err != nil || len(padded) < lengthSize {
		return nil, box, errSealed
	}
	length := int(binary.BigEndian.Uint16(padded))
	if length > len(padded)-lengthSize {
		return nil, box, errSealed
	}
	return padded[lengthSize : lengthSize+length], after, nil
}

// newCipher returns the cipher of a block. Its key is for this block alone, so the nonce is zero.
func newCipher(key []byte) cipher.AEAD {
	c, err := chacha20poly1305.New(key)
	if err != nil {
		panic(err) // only for a key of another size
	}
	return c
}

// boxes returns the two sides of a contact's box at the server.
func boxes(b contact.Box) (putter, taker signaling.Box) {
	return signaling.NewBox(text(b.Put), text(b.Take))
}

func text(b []byte) string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}
