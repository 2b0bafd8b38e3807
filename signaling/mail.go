package signaling

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"strings"
	"time"
)

// BlockSizes are the sizes that a [Block] may have, in bytes. They are few, so that a server learns
// little of what is in a block from its size.
var BlockSizes = [...]int{512, 2 << 10, 16 << 10}

const (
	// MaxBlockNumber is the highest number of a block: every JSON parser reads it exactly.
	MaxBlockNumber = 1<<53 - 1
	// MaxBlocksRead bounds the bytes of blocks that one read returns, unless the first one is longer.
	MaxBlocksRead = 64 << 10
	// boxNameLength is the length of a SHA-256 in base32.
	boxNameLength = 52
)

// A Mail keeps mailboxes: sealed blocks for a person who is away. Its methods may be called
// concurrently. Blocks expire some days after they came, as the operator decides. An empty box and
// a box that was never used are the same.
//
//	sender                     mailbox                    reader
//	  | AddBlock ─────────▶ blocks 1, 2, 3 … ────────── Blocks |
//	  |                                  ◀──────── DeleteBlocks |
//
// A Mail knows nothing of a box beforehand: the name of a [Box] is a hash of its two tokens, so
// that a request proves by itself that it may put, or take. Every method returns [ErrInvalid] if
// the name cannot be a box's, [ErrWrongToken] if the box is not good for the request, and may
// return [ErrMailOff] or [ErrUnavailable].
type Mail interface {
	// AddBlock puts a block into a box, for which the box needs the put token. Its number has to be
	// higher than those in the box, or it returns ErrBlockExists; a block that is there already with
	// the same bytes changes nothing, so that a request may be repeated after its reply was lost.
	// It returns how long the block will be kept. It returns ErrBoxFull if the box has no space for it,
	// ErrMailFull if the server has none, ErrClientMail if the client's address has put too much, or
	// ErrInvalid if the size is none of [BlockSizes] or the number is not from 1 to [MaxBlockNumber].
	AddBlock(ctx context.Context, b Box, block Block) (kept time.Duration, err error)
	// Blocks returns the blocks whose number is higher than after, the lowest first, for which the
	// box needs the take token. It waits for one up to wait, and then returns an empty list. It
	// returns at most [MaxBlocksRead] bytes, and at least one block; a caller asks again for the rest.
	Blocks(ctx context.Context, b Box, after uint64, wait time.Duration) ([]Block, error)
	// DeleteBlocks removes the blocks up to a number, for which the box needs the take token. It
	// does nothing if there are none.
	DeleteBlocks(ctx context.Context, b Box, through uint64) error
}

// A MailWatcher is a Mail that can notify a reader instead of keeping it waiting.
type MailWatcher interface {
	Mail
	// WatchBox calls notify once when a box may have changed, as [Watcher].Watch does: the caller
	// must call stop once.
	WatchBox(name string, notify func(error)) (stop func())
}

// A Block is one sealed message of fixed size. A server cannot open it.
type Block struct {
	Number uint64 `json:"number"`
	Bytes  []byte `json:"block"`
}

// Check returns [ErrInvalid] if b has a wrong size or number.
func (b Block) Check() error {
	if b.Number < 1 || b.Number > MaxBlockNumber {
		return invalid("a block's number is from 1 to %d", uint64(MaxBlockNumber))
	}
	for _, size := range BlockSizes {
		if len(b.Bytes) == size {
			return nil
		}
	}
	return invalid("a block has %d, %d or %d bytes, not %d", BlockSizes[0], BlockSizes[1], BlockSizes[2], len(b.Bytes))
}

// A TokenHash is the SHA-256 of a token.
type TokenHash [sha256.Size]byte

// A Box is one side of a mailbox: it may put blocks, or take them. Make both with [NewBox].
type Box struct {
	Name  string    // see NewBox
	Token string    // of this side
	Other TokenHash // of the other side's token
}

// NewBox returns the two sides of the mailbox with these tokens. The name of the box is the
// SHA-256 of the hashes of both, in base32: only one who has a token and the other's hash can
// use it, and a box cannot be occupied by others. Neither token may have a dot.
func NewBox(put, take string) (putter, taker Box) {
	p, t := TokenHash(sha256.Sum256([]byte(put))), TokenHash(sha256.Sum256([]byte(take)))
	name := boxName(p, t)
	return Box{name, put, t}, Box{name, take, p}
}

func boxName(put, take TokenHash) string {
	h := sha256.New()
	h.Write([]byte("p2pchat mailbox"))
	h.Write(put[:])
	h.Write(take[:])
	return encode32(h.Sum(nil))
}

// encode32 encodes bytes in lower-case base32 without padding.
func encode32(b []byte) string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

// CheckPut returns [ErrInvalid] if b's name is not valid, or [ErrWrongToken] if b may not put.
func (b Box) CheckPut() error { return b.check(sha256.Sum256([]byte(b.Token)), b.Other) }

// CheckTake returns [ErrInvalid] if b's name is not valid, or [ErrWrongToken] if b may not take.
func (b Box) CheckTake() error { return b.check(b.Other, sha256.Sum256([]byte(b.Token))) }

func (b Box) check(put, take TokenHash) error {
	if len(b.Name) != boxNameLength || strings.Trim(b.Name, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return invalid("a mailbox's name is a SHA-256 in lower-case base32")
	}
	if subtle.ConstantTimeCompare([]byte(boxName(put, take)), []byte(b.Name)) != 1 {
		return errBoxToken
	}
	return nil
}

var errBoxToken = Explain(ErrWrongToken, "This request needs a token of the mailbox and the hash of the other token, in the header 'Authorization: Bearer TOKEN.HASH'.")

// Credential returns what a request to the server sends as its bearer token (RFC 6750): b's token,
// a dot, and the other token's hash in base32.
func (b Box) Credential() string { return b.Token + "." + encode32(b.Other[:]) }

// ParseBox returns the box with a name and a credential. It returns [ErrWrongToken] if the
// credential is none of a mailbox.
func ParseBox(name, credential string) (Box, error) {
	token, hash, _ := strings.Cut(credential, ".")
	b := Box{Name: name, Token: token}
	n, err := base32.StdEncoding.WithPadding(base32.NoPadding).Decode(b.Other[:], []byte(strings.ToUpper(hash[:min(len(hash), boxNameLength)])))
	if err != nil || n != len(b.Other) || len(hash) != boxNameLength || token == "" {
		return Box{Name: name}, fmt.Errorf("%w: the mailbox's credential is not a token and a hash", errBoxToken)
	}
	return b, nil
}
