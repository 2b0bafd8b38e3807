package signaling

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// maxScanDepth bounds the recursion of a scanner.
const maxScanDepth = 64

// A scanner reads JSON (RFC 8259) in UTF-8 in one pass, without allocating. It accepts nothing that
// encoding/json refuses. What it refuses, encoding/json has to read again: to accept it after all, if it
// nests deeper than maxScanDepth, or to say what is wrong.
type scanner struct {
	rest  []byte
	depth int
	bad   bool // from then on, rest is empty
}

func (s *scanner) fail() { s.rest, s.bad = nil, true }

// end reports whether the scanner has accepted all of its input.
func (s *scanner) end() bool {
	s.peek()
	return !s.bad && len(s.rest) == 0
}

// peek skips space, and returns the next byte, or 0 at the end of the input.
func (s *scanner) peek() byte {
	for i, c := range s.rest {
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			s.rest = s.rest[i:]
			return c
		}
	}
	s.rest = nil
	return 0
}

// take reads the byte c after space.
func (s *scanner) take(c byte) {
	if s.peek() != c {
		s.fail()
		return
	}
	s.rest = s.rest[1:]
}

// value reads any value, and returns its bytes.
func (s *scanner) value() []byte {
	first := s.peek() // moves s.rest
	from := s.rest
	switch first {
	case '{':
		for range s.members {
		}
	case '[':
		for range s.elements {
		}
	case '"':
		s.text()
	case 't':
		s.word("true")
	case 'f':
		s.word("false")
	case 'n':
		s.word("null")
	default:
		s.number()
	}
	n := len(from) - len(s.rest)
	return from[:n:n]
}

// members reads an object. It yields each name, with its quotes and escapes, and each value.
func (s *scanner) members(yield func(name, value []byte) bool) {
	s.list('{', '}', func() bool {
		s.peek()
		from := s.rest
		s.text()
		name := from[:len(from)-len(s.rest)]
		s.take(':')
		value := s.value()
		return !s.bad && yield(name, value)
	})
}

// elements reads an array, and yields each value.
func (s *scanner) elements(yield func(value []byte) bool) {
	s.list('[', ']', func() bool {
		value := s.value()
		return !s.bad && yield(value)
	})
}

// list reads items between two brackets, until item returns false.
func (s *scanner) list(first, last byte, item func() bool) {
	s.take(first)
	if s.depth++; s.depth > maxScanDepth {
		s.fail()
	}
	for more := s.peek() != last; more && item(); {
		more = s.peek() == ',' && s.skip(',', ',')
	}
	s.take(last)
	s.depth--
}

// text reads a string.
func (s *scanner) text() {
	b := s.rest
	if len(b) == 0 || b[0] != '"' {
		s.fail()
		return
	}
	for i := 1; ; {
		for i+8 <= len(b) { // eight ordinary characters at a time: i does not depend on them, so that the processor looks ahead
			if marks := special(binary.LittleEndian.Uint64(b[i:])); marks != 0 {
				i += bits.TrailingZeros64(marks) / 8
				break
			}
			i += 8
		}
		n := 0
		switch {
		case i >= len(b):
		case b[i] == '"':
			s.rest = b[i+1:]
			return
		case b[i] == '\\':
			n = escape(b[i:])
		case b[i] >= utf8.RuneSelf:
			if r, size := utf8.DecodeRune(b[i:]); r != utf8.RuneError || size > 1 {
				n = size
			}
		case b[i] >= ' ':
			n = 1
		}
		if n == 0 {
			s.fail()
			return
		}
		i += n
	}
}

// special marks, with its highest bit, the first of 8 characters, the lowest first, that is not ASCII, a quote, a backslash or a
// control character. It may mark later ones by mistake, but none if there is no such character.
func special(w uint64) (marks uint64) {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, backslash := w^ones*'"', w^ones*'\\'
	// A borrow reaches only higher characters, so the lowest one that is found is right.
	return ((quote-ones)&^quote | (backslash-ones)&^backslash | (w-ones*' ')&^w | w) & tops
}

// escape returns the length of the escape sequence at the beginning of b, or 0.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if !isDigit(c) && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// word reads a literal.
func (s *scanner) word(w string) {
	if len(s.rest) < len(w) || string(s.rest[:len(w)]) != w {
		s.fail()
		return
	}
	s.rest = s.rest[len(w):]
}

// number reads a number.
func (s *scanner) number() {
	s.skip('-', '-')
	if !s.skip('0', '0') {
		s.digits()
	}
	if s.skip('.', '.') {
		s.digits()
	}
	if s.skip('e', 'E') {
		_ = s.skip('+', '-')
		s.digits()
	}
}

// skip reads a byte if it is one of two, and reports whether it was.
func (s *scanner) skip(one, other byte) bool {
	if len(s.rest) == 0 || s.rest[0] != one && s.rest[0] != other {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// digits reads at least one digit.
func (s *scanner) digits() {
	n := 0
	for n < len(s.rest) && isDigit(s.rest[n]) {
		n++
	}
	if n == 0 {
		s.fail()
		return
	}
	s.rest = s.rest[n:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
