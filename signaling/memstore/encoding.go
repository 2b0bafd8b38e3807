package memstore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"p2pchat/signaling"
)

// The first byte of an encoded state: whether more stands in it than the documents.
const (
	plainFormat = 1
	fullFormat  = 2
)

var errForeign = errors.New("this is no room's state")

// encode is the inverse of decode. A state in which nothing is written is nothing.
func (r *state) encode() []byte {
	if !r.written() {
		return nil
	}
	b := []byte{plainFormat}
	caller, callee := &r.sides[signaling.Caller], &r.sides[signaling.Callee]
	if r.since != 0 || len(r.early) > 0 || caller.from != "" || callee.from != "" || r.heard > 0 {
		b[0] = fullFormat
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
	if b[0] == fullFormat {
		b = r.encodeMore(b)
	}
	return b
}

// decode keeps parts of b.
func decode(b []byte) (r state, err error) {
	if len(b) == 0 {
		return r, nil
	}
	p := parser{rest: b}
	if first := p.take(1); len(first) != 1 || first[0] != plainFormat && first[0] != fullFormat {
		return r, errForeign
	}
	for i := range r.sides {
		s := &r.sides[i]
		if d := p.bytes(); len(d) > 0 {
			s.description = d
			if signaling.Side(i) == signaling.Caller {
				r.secrets = hasSecret(d) // not encoded, so that servers of earlier versions can read the rest
			}
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
	if b[0] == fullFormat {
		r.decodeMore(&p)
	}
	if p.broken || len(p.rest) > 0 || !r.written() {
		return state{}, errForeign
	}
	return r, nil
}

func (r *state) encodeMore(b []byte) []byte {
	for i := range r.sides {
		b = appendBytes(b, r.sides[i].from)
	}
	b = binary.AppendVarint(b, int64(r.heard))
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

func (r *state) decodeMore(p *parser) {
	for i := range r.sides {
		r.sides[i].from = string(p.bytes())
	}
	r.heard = int(p.number())
	r.since = p.number()
	for n := p.count(); n > 0 && !p.broken; n-- {
		r.early = append(r.early, early{candidate: p.bytes(), at: p.number(), free: p.flag()})
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

func (p *parser) number() int64 {
	n, size := binary.Varint(p.rest)
	if size <= 0 {
		p.rest, p.broken = nil, true
		return 0
	}
	p.rest = p.rest[size:]
	return n
}

func (p *parser) flag() bool {
	b := p.take(1)
	return len(b) == 1 && b[0] == 1
}

func (p *parser) bytes() []byte { return p.take(p.count()) }
