package memstore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"p2pchat/signaling"
)

// format is the first byte of an encoded state: another one is of another version.
const format = 1

var errForeign = errors.New("this is no room's state")

// encode is the inverse of decode. A state that is not open is nothing.
func (r *state) encode() []byte {
	if !r.open() {
		return nil
	}
	b := []byte{format}
	for i := range r.sides {
		s := &r.sides[i]
		b = appendBytes(b, s.description)
		b = appendBytes(b, s.version)
		b = append(b, s.owner[:]...)
		b = binary.AppendUvarint(b, uint64(len(s.candidates)))
		for _, c := range s.candidates {
			b = appendBytes(b, c)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(r.turnedDown)))
	for _, owner := range r.turnedDown {
		b = append(b, owner[:]...)
	}
	return b
}

// decode keeps parts of b.
func decode(b []byte) (r state, err error) {
	if len(b) == 0 {
		return r, nil
	}
	p := parser{rest: b}
	if first := p.take(1); len(first) != 1 || first[0] != format {
		return r, errForeign
	}
	for i := range r.sides {
		s := &r.sides[i]
		if d := p.bytes(); len(d) > 0 {
			s.description = d
		}
		s.version = signaling.Version(p.bytes())
		copy(s.owner[:], p.take(sha256.Size))
		for n := p.count(); n > 0 && !p.broken; n-- {
			c := signaling.Candidate(p.bytes())
			s.candidates = append(s.candidates, c)
			s.size += len(c)
		}
	}
	for n := p.count(); n > 0 && !p.broken; n-- {
		var owner [sha256.Size]byte
		copy(owner[:], p.take(sha256.Size))
		r.turnedDown = append(r.turnedDown, owner)
	}
	if p.broken || len(p.rest) > 0 || !r.open() {
		return state{}, errForeign
	}
	return r, nil
}

func appendBytes[T ~[]byte | ~string](b []byte, part T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}

// A parser takes bytes apart until they are broken; then there is nothing more.
type parser struct {
	rest   []byte
	broken bool
}

func (p *parser) take(n int) []byte {
	if n > len(p.rest) {
		p.rest, p.broken = nil, true
		return nil
	}
	part := p.rest[:n:n]
	p.rest = p.rest[n:]
	return part
}

// count is of things that take a byte each at least.
func (p *parser) count() int {
	n, size := binary.Uvarint(p.rest)
	if size <= 0 || n > uint64(len(p.rest[size:])) {
		p.rest, p.broken = nil, true
		return 0
	}
	p.rest = p.rest[size:]
	return int(n) //nolint:gosec // no more than there are bytes
}

func (p *parser) bytes() []byte { return p.take(p.count()) }
