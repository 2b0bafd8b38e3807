package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

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
	go func() { // left behind when ctx ends: a read of stdin cannot be ended
		var got result
		defer func() {
			got.mistake = recover()
			asked <- got
		}()
		got.code, got.err = readCode(std.in, std.err, parse)
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

// mostChoices is how many words Tab shows.
const mostChoices = 20

// readCode is askCode on a terminal in raw mode. It reads not a byte more than the line
// of the code: what follows is conversation.
func readCode(in io.Reader, out io.Writer, parse func(string) (peer.Code, error)) (peer.Code, error) {
	keys := &keys{in: in}
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, out}, "p2pchat: the caller's code (Tab completes its words): ")
	t.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		head, choice := completed(line[:pos])
		if 1 < len(choice) && len(choice) <= mostChoices && head == line[:pos] {
			fmt.Fprintln(t, strings.Join(choice, "  "))
		}
		return head + line[pos:], len(head), true
	}
	var codes codeReader
	for {
		text, err := t.ReadLine()
		switch {
		case keys.interrupted():
			return peer.Code{}, errInterrupted
		case errors.Is(err, io.EOF):
			fmt.Fprint(out, "\r\n") // what follows must not stand behind the prompt
			return peer.Code{}, errNoCode
		case err != nil:
			return peer.Code{}, fmt.Errorf("asking for the code: %w", err)
		case strings.TrimSpace(text) == "":
			continue
		}
		code, err := codes.read(text, parse)
		if err == nil {
			return code, nil
		}
		fmt.Fprintf(t, "p2pchat: %v\n", err)
		if d := (*doubt)(nil); errors.As(err, &d) {
			keys.held = append(keys.held, text...) // to be mended, or entered again
		}
	}
}

// completeCode is the shell's completion of a CODE, which may be written with spaces.
func completeCode(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
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

// completed returns text with its last word continued as far as that is unambiguous, and the
// words that are still possible.
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

// keys hands on one byte at a time, so that the terminal does not read ahead.
type keys struct {
	in   io.Reader
	last byte
	held []byte // read, and not handed on
}

// Read ends at Ctrl-C, which is no signal in raw mode, wherever that comes.
func (k *keys) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if len(k.held) > 0 {
		b[0], k.held = k.held[0], k.held[1:]
		return 1, nil
	}
	key, err := k.next()
	// Escape begins the name of a key, such as an arrow. Alone it would swallow the next one.
	for err == nil && key == escapeKey {
		if key, err = k.next(); err == nil && key >= ' ' {
			k.held = append(k.held, key)
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

func (k *keys) next() (byte, error) {
	var b [1]byte
	for {
		n, err := k.in.Read(b[:])
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

// cooked turns carriage returns into newlines: while the terminal is raw, Enter sends a carriage
// return, and lines that were pasted after the code would be one line.
type cooked struct{ io.Reader }

func (c cooked) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	for i := range b[:n] {
		if b[i] == '\r' {
			b[i] = '\n'
		}
	}
	return n, err
}
