package memstore

import (
	"encoding/binary"
	"errors"

	"p2pchat/signaling"
)

// The first byte of an encoded state is its format.
const (
	plainFormat = 1 // the documents and their owners only
	fullFormat  = 2 // and what appendExtras adds
)

var errNotState = errors.New("these bytes are not the state of a room")

// encode is the inverse of decode. It encodes a state without content as no bytes.
func (r *state) encode() []byte {
	if !r.hasContent() {
		return nil
	}
	b := []byte{plainFormat}
	caller, callee := &r.sides[signaling.Caller], &r.sides[signaling.Callee]
	if r.describedAt != 0 || len(r.early) > 0 || caller.from != "" || callee.from != "" || r.beforeAnswer > 0 {
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
		b = r.appendExtras(b)
	}
	return b
}

// decode returns the state that b encodes, which keeps parts of b, or errNotState.
func decode(b []byte) (r state, err error) {
	if len(b) == 0 {
		return r, nil
	}
	if b[0] != plainFormat && b[0] != fullFormat {
		return r, errNotState
	}
	p := parser{rest: b[1:]}
	for i := range r.sides {
		r.sides[i].parse(&p)
	}
	if offer := r.sides[signaling.Caller].description; offer != nil {
		r.hasSecret = hasSecret(offer) // not encoded, so that servers of earlier versions can read the rest
	}
	for n := p.count(); n > 0 && !p.broken; n-- {
		r.turnedDown = append(r.turnedDown, p.hash())
	}
	if b[0] == fullFormat {
		r.parseExtras(&p)
	}
	if p.broken || len(p.rest) > 0 || !r.hasContent() {
		return state{}, errNotState
	}
	return r, nil
}

func (s *side) parse(p *parser) {
	if d := p.bytes(); len(d) > 0 {
		s.description = d
	}
	s.version = signaling.Version(p.bytes())
	s.owner = p.hash()
	for n := p.count(); n > 0 && !p.broken; n-- {
		c := signaling.Candidate(p.bytes())
		s.candidates = append(s.candidates, c)
		s.size += len(c)
	}
}

func (r *state) appendExtras(b []byte) []byte {
	for i := range r.sides {
		b = appendBytes(b, r.sides[i].from)
	}
	b = binary.AppendVarint(b, int64(r.beforeAnswer))
	b = binary.AppendVarint(b, r.describedAt)
	b = binary.AppendUvarint(b, uint64(len(r.early)))
	for _, e := range r.early {
		b = appendBytes(b, e.candidate)
		b = binary.AppendVarint(b, e.at)
		if e.unclaimed {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	return b
}

func (r *state) parseExtras(p *parser) {
	for i := range r.sides {
		r.sides[i].from = string(p.bytes())
	}
	if r.beforeAnswer = int(p.number()); r.beforeAnswer < 0 {
		p.fail()
	}
	r.describedAt = p.number()
	for n := p.count(); n > 0 && !p.broken; n-- {
		r.early = append(r.early, earlyCandidate{candidate: p.bytes(), at: p.number(), unclaimed: p.flag()})
	}
}

func appendBytes[T ~[]byte | ~string](b []byte, part T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}

// A parser reads values from bytes. Once the bytes are broken, it returns zero values only.
type parser struct {
	rest   []byte
	broken bool
}

func (p *parser) fail() { p.rest, p.broken = nil, true }

func (p *parser) next(n int) []byte {
	if n > len(p.rest) {
		p.fail()
		return nil
	}
	part := p.rest[:n:n]
	p.rest = p.rest[n:]
	return part
}

// count reads the number of values that follow, each of which takes a byte at least.
func (p *parser) count() int {
	n, size := binary.Uvarint(p.rest)
	if size <= 0 || n > uint64(len(p.rest[size:])) {
		p.fail()
		return 0
	}
	p.rest = p.rest[size:]
	return int(n) //nolint:gosec // no more than there are bytes
}

func (p *parser) number() int64 {
	n, size := binary.Varint(p.rest)
	if size <= 0 {
		p.fail()
		return 0
	}
	p.rest = p.rest[size:]
	return n
}

func (p *parser) flag() bool {
	b := p.next(1)
	return len(b) == 1 && b[0] == 1
}

func (p *parser) bytes() []byte { return p.next(p.count()) }

func (p *parser) hash() (h tokenHash) {
	copy(h[:], p.next(len(h)))
	return h
}
