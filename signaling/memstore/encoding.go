package memstore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"p2pchat/signaling"
)

// The first byte of an encoded state. A lobby's says more, which servers that know only
// the plain format leave alone.
const (
	plainFormat = 1
	lobbyFormat = 2
)

var errForeign = errors.New("this is no room's state")

// encode is the inverse of decode. A state in which nothing is written is nothing.
func (r *state) encode() []byte {
	if !r.written() {
		return nil
	}
	b := []byte{plainFormat}
	if r.since != 0 || len(r.early) > 0 {
		b[0] = lobbyFormat
	}
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
	if b[0] == lobbyFormat {
		b = r.encodeEarly(b)
	}
	return b
}

// decode keeps parts of b.
func decode(b []byte) (r state, err error) {
	if len(b) == 0 {
		return r, nil
	}
	p := parser{rest: b}
	if first := p.take(1); len(first) != 1 || first[0] != plainFormat && first[0] != lobbyFormat {
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
	if b[0] == lobbyFormat {
		r.decodeEarly(&p)
	}
	if p.broken || len(p.rest) > 0 || !r.written() {
		return state{}, errForeign
	}
	return r, nil
}

func (r *state) encodeEarly(b []byte) []byte {
	b = binary.AppendVarint(b, r.since)
	b = binary.AppendUvarint(b, uint64(len(r.early)))
	for _, e := range r.early {
		b = appendBytes(b, e.candidate)
		b = binary.AppendVarint(b, e.at)
		if e.free {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	return b
}

func (r *state) decodeEarly(p *parser) {
	r.since = p.time()
	for n := p.count(); n > 0 && !p.broken; n-- {
		r.early = append(r.early, early{candidate: p.bytes(), at: p.time(), free: p.flag()})
	}
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

// time reads Unix milliseconds.
func (p *parser) time() int64 {
	ms, size := binary.Varint(p.rest)
	if size <= 0 {
		p.rest, p.broken = nil, true
		return 0
	}
	p.rest = p.rest[size:]
	return ms
}

func (p *parser) flag() bool {
	b := p.take(1)
	return len(b) == 1 && b[0] == 1
}

func (p *parser) bytes() []byte { return p.take(p.count()) }
