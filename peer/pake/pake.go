// Package pake agrees on a key between two sides that share a password, over a channel
// that others may read and change: CPace with the suite CPACE-X25519-SHA512 and the
// key confirmation of draft-irtf-cfrg-cpace-21.
//
//	initiator                               responder
//	  | session, Share ─────────────────────────▶ |
//	  | ◀───────────────────────── Share, Key.Tag |
//	  | Key.Confirms                              |
//
// A side that does not know the password learns one thing from a run: whether the one
// password that it tried was right. The key binds the other data of both sides (the
// associated data): if one side saw other bytes, the keys differ.
package pake

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"filippo.io/edwards25519/field"
)

// The suite's names for what it hashes (draft, sections 6.2, 7.2 and 9.4).
const (
	domain    = "CPace255"
	domainISK = "CPace255_ISK"
	domainMac = "CPaceMac"
)

var (
	// ErrShare says that the other side's share has another length, or is of low order.
	ErrShare = errors.New("the other side's share is not valid")
	// ErrUsed says that a Party has finished already.
	ErrUsed = errors.New("a run of the key exchange is over, and cannot be used again")
)

// A Role is a side of a run: the initiator's share goes out first.
type Role int

// The two roles.
const (
	Initiator Role = iota
	Responder
)

// A Party is one side of one run. It is not for use by several goroutines.
type Party struct {
	role    Role
	session []byte
	scalar  *ecdh.PrivateKey // nil after Finish
	share   []byte
}

// New begins a run. Both sides need the same password, channel (who talks to whom, CI
// in the draft) and session (sid, fresh random bytes of the initiator). It returns an error if the
// password has no generator on the curve; no such password is known.
func New(role Role, password, channel, session []byte) (*Party, error) {
	scalar := make([]byte, 32)
	_, _ = rand.Read(scalar) // never fails
	return start(role, scalar, password, channel, session)
}

func start(role Role, scalar, password, channel, session []byte) (*Party, error) {
	key, err := ecdh.X25519().NewPrivateKey(scalar)
	if err != nil {
		return nil, err
	}
	share, err := multiply(key, generator(password, channel, session))
	if err != nil {
		return nil, err
	}
	return &Party{role: role, session: slices.Clone(session), scalar: key, share: share}, nil
}

// Share returns the 32 bytes that the other side needs.
func (p *Party) Share() []byte { return slices.Clone(p.share) }

// Finish ends the run with the other side's share. ad is this side's associated data, and theirs the other
// side's. It returns ErrShare if the share is not valid, and ErrUsed on a second call. Without an error, the
// two sides may still have different keys, which Key.Confirms finds out.
func (p *Party) Finish(ad, theirShare, theirs []byte) (*Key, error) {
	if p.scalar == nil {
		return nil, ErrUsed
	}
	secret, err := multiply(p.scalar, theirShare)
	p.scalar = nil
	if err != nil {
		return nil, err
	}
	mine, other := LV(p.share, ad), LV(theirShare, theirs)
	transcript := slices.Concat(mine, other)
	if p.role == Responder {
		transcript = slices.Concat(other, mine)
	}
	isk := sha512.Sum512(slices.Concat(LV([]byte(domainISK), p.session, secret), transcript))
	mac := sha512.Sum512(slices.Concat([]byte(domainMac), p.session, isk[:]))
	return &Key{isk: isk, mine: tag(mac[:], mine), other: tag(mac[:], other)}, nil
}

// A Key is one side's result of a run.
type Key struct {
	isk         [sha512.Size]byte
	mine, other []byte // the tags of the two sides
}

// Secret returns the 64 bytes that both sides share (ISK in the draft): derive keys from it,
// and do not use it as a key.
func (k *Key) Secret() []byte { return slices.Clone(k.isk[:]) }

// Tag returns the 64 bytes that prove to the other side that this side has the key.
func (k *Key) Tag() []byte { return slices.Clone(k.mine) }

// Confirms reports, in constant time, whether tag is the other side's: then the other side has the
// same key, and saw the same shares and associated data.
func (k *Key) Confirms(tag []byte) bool { return hmac.Equal(tag, k.other) }

func tag(key, message []byte) []byte {
	m := hmac.New(sha512.New, key)
	m.Write(message)
	return m.Sum(nil)
}

// LV joins parts, each after its length in LEB128, so that no other parts give the
// same bytes (lv_cat, draft, appendix A.1.3).
func LV(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

// generator maps the password to a point on the curve (draft, section 7.1), by a
// hash.
func generator(password, channel, session []byte) []byte {
	// A password of any length fills the hash's first block.
	padding := max(0, sha512.BlockSize-1-len(LV(password))-len(LV([]byte(domain))))
	h := sha512.Sum512(LV([]byte(domain), password, make([]byte, padding), channel, session))
	return elligator2(h[:32])
}

// elligator2 maps 32 bytes to the u coordinate of a point on Curve25519 (RFC 9380,
// section 6.7.1, with Z = 2), in constant time.
func elligator2(b []byte) []byte {
	r, err := new(field.Element).SetBytes(b) // without the highest bit (RFC 7748, section 5)
	if err != nil {
		panic(err) // only for another length than 32 bytes
	}
	one := new(field.Element).One()
	a := new(field.Element).Mult32(one, 486662)

	// u = -A / (1 + 2r²), or -A - u, whichever is on the curve: u³ + Au² + u is a square.
	d := new(field.Element).Square(r)
	d.Add(d, d).Add(d, one)
	u := new(field.Element).Negate(a)
	u.Multiply(u, d.Invert(d))
	v2 := new(field.Element).Add(u, a)
	v2.Multiply(v2, u).Add(v2, one).Multiply(v2, u)
	_, square := new(field.Element).SqrtRatio(v2, one)
	other := new(field.Element).Add(u, a)
	other.Negate(other)
	return u.Select(u, other, square).Bytes()
}

// multiply returns X25519 (RFC 7748, section 5) of a point that a stranger may have sent.
func multiply(scalar *ecdh.PrivateKey, point []byte) ([]byte, error) {
	p, err := ecdh.X25519().NewPublicKey(point)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrShare, err)
	}
	product, err := scalar.ECDH(p) // refuses the neutral element
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrShare, err)
	}
	return product, nil
}
