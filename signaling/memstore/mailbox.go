package memstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"p2pchat/signaling"
)

// mailFormat is the first byte of an encoded mailbox.
const mailFormat = 1

var errNotMailbox = errors.New("these bytes are not a mailbox")

// A mailbox is what a box holds, the lowest number first. It keeps no token: see [signaling.NewBox].
type mailbox []keptBlock

type keptBlock struct {
	signaling.Block
	at int64 // when it came, Unix time in seconds
}

// size returns the bytes of the blocks.
func (b mailbox) size() (n int) {
	for _, one := range b {
		n += len(one.Bytes)
	}
	return n
}

// expire removes the blocks that came before a time.
func (b *mailbox) expire(before time.Time) {
	kept := (*b)[:0]
	for _, one := range *b {
		if one.at >= before.Unix() {
			kept = append(kept, one)
		}
	}
	*b = kept
}

// add implements [signaling.Mail.AddBlock]. It returns when the block came: before now if it is repeated.
func (b *mailbox) add(block signaling.Block, limits MailLimits, now time.Time) (came time.Time, err error) {
	for _, one := range *b {
		if one.Number == block.Number && bytes.Equal(one.Bytes, block.Bytes) {
			return time.Unix(one.at, 0), errNoChange
		}
	}
	switch n := len(*b); {
	case n > 0 && block.Number <= (*b)[n-1].Number:
		return now, signaling.ErrBlockExists
	case n >= limits.Blocks, b.size()+len(block.Bytes) > limits.BoxBytes:
		return now, signaling.ErrBoxFull
	}
	*b = append(*b, keptBlock{block, now.Unix()})
	return now, nil
}

// after implements [signaling.Mail.Blocks].
func (b mailbox) after(number uint64) (list []signaling.Block) {
	size := 0
	for _, one := range b {
		if one.Number <= number {
			continue
		}
		if size += len(one.Bytes); size > signaling.MaxBlocksRead && len(list) > 0 {
			break
		}
		list = append(list, one.Block)
	}
	return list
}

// deleteThrough implements [signaling.Mail.DeleteBlocks].
func (b *mailbox) deleteThrough(number uint64) error {
	rest := *b
	for len(rest) > 0 && rest[0].Number <= number {
		rest = rest[1:]
	}
	if len(rest) == len(*b) {
		return errNoChange
	}
	*b = rest
	return nil
}

// encode is the inverse of decodeMailbox. It encodes an empty mailbox as no bytes.
func (b mailbox) encode() []byte {
	if len(b) == 0 {
		return nil
	}
	out := append(make([]byte, 0, 1+b.size()+24*len(b)), mailFormat)
	for _, one := range b {
		out = binary.AppendUvarint(out, one.Number)
		out = binary.AppendVarint(out, one.at)
		out = appendBytes(out, one.Bytes)
	}
	return out
}

// decodeMailbox returns the mailbox that bytes encode, which keeps parts of them, or errNotMailbox.
func decodeMailbox(encoded []byte) (b mailbox, err error) {
	if len(encoded) == 0 {
		return nil, nil
	}
	if encoded[0] != mailFormat {
		return nil, errNotMailbox
	}
	p := parser{rest: encoded[1:]}
	for len(p.rest) > 0 && !p.broken {
		number, size := binary.Uvarint(p.rest)
		p.next(max(size, 0))
		one := keptBlock{signaling.Block{Number: number}, p.number()}
		one.Bytes = p.bytes()
		if size <= 0 || p.broken || one.Check() != nil || len(b) > 0 && one.Number <= b[len(b)-1].Number {
			return nil, errNotMailbox
		}
		b = append(b, one)
	}
	return b, nil
}
