package screen

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"p2pchat/chat"
)

// A line of the input, or a part of one, without its end.
type line struct {
	number    int // from 1; 0 if there is none, because the input has ended
	text      string
	goesOn    bool // the next one is more of it
	continues bool // the one before was
	cut       bool // text is not all of it
	bare      bool // it has no newline at its end: none follows
}

// A splitter returns a function that reads the next line of in. The error counts only if there is no line.
type splitter func(in io.Reader) (next func() (line, error))

// maxObject bounds the bytes of a line of JSON: it has room for a message with every byte escaped.
const maxObject = 6*chat.MaxMessage + 4<<10

// wholeLines reads lines whole, and cuts those that are longer than maxObject.
func wholeLines(in io.Reader) func() (line, error) {
	r, number := bufio.NewReaderSize(in, chat.MaxMessage), 0
	return func() (line, error) {
		var kept []byte
		length := 0
		for {
			part, err := r.ReadSlice('\n')
			length += len(part)
			kept = append(kept, part[:min(len(part), maxObject-len(kept))]...)
			switch {
			case errors.Is(err, bufio.ErrBufferFull):
				continue
			case length == 0:
				return line{}, err
			}
			number++
			return line{number: number, text: string(trimEnd(kept)), cut: length > len(kept)}, nil
		}
	}
}

// trimEnd removes the newline, of Unix or Windows.
func trimEnd(text []byte) []byte {
	if whole, ok := bytes.CutSuffix(text, []byte("\n")); ok {
		return bytes.TrimSuffix(whole, []byte("\r"))
	}
	return text
}

// textLines reads lines, and splits those that are too long for a message, so that a line may have any
// length. It returns ErrBinary if the input is not text.
func textLines(in io.Reader) func() (line, error) {
	r := bufio.NewReaderSize(in, chat.MaxMessage+len("\r\n"))
	var rest []byte // of the line, read and not given yet
	now, atEnd, bare := line{number: 1}, false, false
	return func() (line, error) {
		if now.number == 1 && !now.continues && rest == nil && isBinary(r) {
			return line{}, ErrBinary
		}
		for !atEnd && len(rest) <= chat.MaxMessage {
			part, err := r.ReadSlice('\n')
			rest = append(rest, part...)
			switch {
			case errors.Is(err, bufio.ErrBufferFull):
			case err != nil && len(rest) == 0 && !now.continues:
				return line{}, err
			default: // the error comes again
				rest, atEnd, bare = trimEnd(rest), true, err != nil
			}
		}
		text := rest[:messageLength(rest)]
		rest = rest[len(text):]
		is := now
		is.text, is.goesOn, is.bare = string(text), len(rest) > 0 || !atEnd, bare
		now.continues = is.goesOn
		if !is.goesOn {
			now.number, atEnd, rest = now.number+1, false, rest[:0]
		}
		return is, nil
	}
}

// messageLength returns how many bytes of text fit into a message, without cutting a character.
func messageLength(text []byte) int {
	if len(text) <= chat.MaxMessage {
		return len(text)
	}
	for n := chat.MaxMessage; n > chat.MaxMessage-utf8.UTFMax; n-- {
		if utf8.RuneStart(text[n]) {
			return n
		}
	}
	return chat.MaxMessage // it is no UTF-8 anyway
}

// isBinary reports whether there is a NUL near the beginning: text has none, and nearly all other files have
// one.
func isBinary(r *bufio.Reader) bool {
	const near = 8 << 10
	_, _ = r.Peek(1) // waits
	begin, _ := r.Peek(min(r.Buffered(), near))
	return bytes.IndexByte(begin, 0) >= 0
}
