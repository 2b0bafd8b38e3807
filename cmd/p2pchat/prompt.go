package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"p2pchat/peer"
)

// askCode asks the person at the terminal for the caller's code, until the answer is a code. Tab
// completes its words.
func askCode(ctx context.Context, std stdio, parse func(string) (peer.Code, error)) (peer.Code, error) {
	restore, err := std.raw()
	if err != nil {
		return peer.Code{}, fmt.Errorf("asking for the code: %w", err)
	}
	defer restore()
	type result struct {
		code    peer.Code
		err     error
		mistake any // a panic
	}
	asked := make(chan result, 1)
	go func() { // outlives askCode if ctx ends: a read of stdin cannot be interrupted
		var got result
		defer func() {
			got.mistake = recover()
			asked <- got
		}()
		got.code, got.err = readCode(std, parse)
	}()
	select {
	case got := <-asked:
		if got.mistake != nil {
			panic(got.mistake) // here, where the terminal is restored
		}
		return got.code, got.err
	case <-ctx.Done():
		return peer.Code{}, errInterrupted
	}
}

// maxChoices is how many words Tab shows at most.
const maxChoices = 20

// readCode is askCode on a terminal in raw mode. It reads no byte after the line of the code: the next lines
// belong to the conversation.
func readCode(std stdio, parse func(string) (peer.Code, error)) (peer.Code, error) {
	keys, out := &keys{in: std.in}, std.err
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, out}, "p2pchat: the caller's code (Tab completes its words): ")
	width := 80
	t.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		head := complete(line[:pos], t, width)
		return head + line[pos:], len(head), true
	}
	fit := func() { // or else a line that wraps would be drawn over the next one
		if std.size == nil {
			return
		}
		if columns, rows, err := std.size(); err == nil && columns > 0 && rows > 0 {
			width = columns
			_ = t.SetSize(columns, rows) // the next write fails, too
		}
	}
	fit()
	keys.pressed = fit // the window may have another size since
	var codes codeReader
	for {
		text, err := t.ReadLine()
		switch {
		case keys.interrupted(), keys.gone:
			return peer.Code{}, errInterrupted
		case errors.Is(err, io.EOF):
			fmt.Fprint(out, "\r\n") // the next line must not continue the prompt
			return peer.Code{}, errNoCode
		case err != nil:
			return peer.Code{}, fmt.Errorf("asking for the code: %w", err)
		case strings.TrimSpace(text) == "":
			continue
		case strings.TrimSpace(text) == "/quit":
			return peer.Code{}, errInterrupted
		}
		code, err := codes.read(text, parse)
		if err == nil {
			return code, nil
		}
		if u := (*unlikelyCodeError)(nil); errors.As(err, &u) {
			fmt.Fprintf(t, "p2pchat: %v Or correct it here: Ctrl-U empties the line.\n", err)
			keys.pending = append(keys.pending, text...)
			continue
		}
		fmt.Fprintf(t, "p2pchat: %v\n", err)
	}
}

// complete returns line with what Tab adds to it, or shows the words that may follow.
func complete(line string, out io.Writer, width int) string {
	head, choice := completed(line)
	if 1 < len(choice) && len(choice) <= maxChoices && head == line {
		fmt.Fprintln(out, inRows(choice, width))
	}
	return head
}

// inRows joins words to rows of at most width columns.
func inRows(words []string, width int) string {
	rows, column := "", 0
	for _, w := range words {
		switch {
		case column == 0:
		case column+2+len(w) < width:
			rows, column = rows+"  ", column+2
		default:
			rows, column = rows+"\n", 0
		}
		rows, column = rows+w, column+len(w)
	}
	return rows
}

// completeCode completes a CODE in a shell. The code may have spaces.
func completeCode(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if (begun == "" || strings.HasPrefix(begun, contactMark)) && len(args) == 0 {
		return contactNames(begun), cobra.ShellCompDirectiveNoFileComp
	}
	before := ""
	if len(args) > 0 {
		before = strings.Join(args, " ") + " "
	}
	var list []string
	for _, w := range peer.Complete(before + begun) {
		list = append(list, w[len(before):])
	}
	return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completed returns text with its last word completed as far as it is unambiguous, and the words that are
// still possible.
func completed(text string) (string, []string) {
	whole := peer.Complete(text)
	if len(whole) == 0 {
		return text, nil
	}
	head := whole[0]
	begun := 1 + strings.LastIndexAny(text, "- ")
	var choice []string
	for _, w := range whole {
		for !strings.HasPrefix(w, head) {
			head = head[:len(head)-1]
		}
		choice = append(choice, strings.TrimSuffix(w[begun:], "-"))
	}
	return head, choice
}

// keys reads one byte at a time, so that the terminal does not read ahead.
type keys struct {
	in      io.Reader
	pressed func() // called after each key, before it is handled; may be nil
	last    byte
	pending []byte // for the next calls of Read
	gone    bool   // the terminal is: in raw mode, Ctrl-D is a byte and ends no read
}

// Read implements io.Reader. At Ctrl-C, which sends no signal in raw mode, it returns io.EOF.
func (k *keys) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if len(k.pending) > 0 {
		b[0], k.pending = k.pending[0], k.pending[1:]
		return 1, nil
	}
	key, err := k.next()
	// Escape begins the sequence of a key such as an arrow. Alone, it would swallow the next key.
	for err == nil && key == escapeKey {
		if key, err = k.next(); err == nil && key >= ' ' {
			k.pending = append(k.pending, key)
			key = escapeKey
			break
		}
	}
	if err != nil {
		return 0, err
	}
	b[0] = key
	return 1, nil
}

const (
	interruptKey = 3 // Ctrl-C
	escapeKey    = 27
)

// next returns the next byte of the input.
func (k *keys) next() (byte, error) {
	var b [1]byte
	for {
		n, err := k.in.Read(b[:])
		k.gone = k.gone || errors.Is(err, io.EOF) || errors.Is(err, syscall.EIO)
		if n > 0 && k.pressed != nil {
			k.pressed()
		}
		switch {
		case n > 0 && b[0] == interruptKey:
			k.last = b[0]
			return 0, io.EOF
		case n > 0:
			k.last = b[0]
			return b[0], nil
		case err != nil:
			return 0, err
		}
	}
}

// interrupted reports whether the last key was Ctrl-C.
func (k *keys) interrupted() bool { return k.last == interruptKey }

// A newlineReader turns carriage returns into newlines. In raw mode Enter sends a carriage return, so lines that
// were pasted after the code would be one line.
type newlineReader struct{ io.Reader }

// Read implements io.Reader.
func (r newlineReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	for i := range b[:n] {
		if b[i] == '\r' {
			b[i] = '\n'
		}
	}
	return n, err
}
