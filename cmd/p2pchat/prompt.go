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

// askCode asks the person at the terminal for the caller's code, until it is one. Tab
// completes the words of it.
func askCode(ctx context.Context, std stdio) (peer.Code, error) {
	restore, err := std.raw()
	if err != nil {
		return peer.Code{}, fmt.Errorf("asking for the code: %w", err)
	}
	defer restore()
	type result struct {
		code peer.Code
		err  error
	}
	asked := make(chan result, 1)
	go func() { // left behind when ctx ends: a read of stdin cannot be ended
		code, err := readCode(std.in, std.err)
		asked <- result{code, err}
	}()
	select {
	case got := <-asked:
		return got.code, got.err
	case <-ctx.Done():
		return peer.Code{}, errInterrupted
	}
}

// mostChoices is how many words Tab shows.
const mostChoices = 20

// readCode is askCode on a terminal in raw mode. It reads not a byte more than the line
// of the code: what follows is conversation.
func readCode(in io.Reader, out io.Writer) (peer.Code, error) {
	keys := &keys{in: in}
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, out}, "p2pchat: the caller's code: ")
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
	var doubted peer.Code
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
		code, err := peer.ParseCode(text)
		typo := code.Unlisted()
		switch {
		case err != nil:
			fmt.Fprintf(t, "p2pchat: %v\n", err)
		case typo != "" && code != doubted: // a wrong code costs one of three tries
			fmt.Fprintf(t, "p2pchat: no code that call makes has the word %q; if the caller chose it, type the same once more\n", typo)
			doubted = code
		default:
			return code, nil
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

// completed is text with its last word continued as far as there is one way to, and the
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

// keys hands on one byte at a time, so that nobody reads ahead.
type keys struct {
	in   io.Reader
	last byte
}

func (k *keys) Read(b []byte) (int, error) {
	n, err := k.in.Read(b[:min(len(b), 1)])
	if n > 0 {
		k.last = b[0]
	}
	return n, err
}

// interrupted tells whether the last key was Ctrl-C, which is no signal in raw mode.
func (k *keys) interrupted() bool { return k.last == 3 }
