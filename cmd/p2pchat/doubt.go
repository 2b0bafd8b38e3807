package main

import (
	"fmt"
	"sync"

	"p2pchat/peer"
)

// A doubt is about a code that could be one, and probably is a mistake.
type doubt struct{ text string }

func (d *doubt) Error() string { return d.text }

// A codeReader reads codes that a person types. What probably is no code is doubted once: a wrong code
// costs one of three attempts, and a room that nobody calls in is waited in for ever.
type codeReader struct {
	mu      sync.Mutex // guards what follows
	doubted peer.Code
}

// read returns the code of text. The error is a *doubt, or that of parse.
func (r *codeReader) read(text string, parse func(string) (peer.Code, error)) (peer.Code, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	code, err := parse(text)
	if err != nil || code == r.doubted || code.IsGenerated() {
		return code, err
	}
	if pasted, _ := invitation(text); pasted != text { // of a link or a command, which the caller was shown
		return code, nil
	}
	r.doubted = code
	if typo := code.Unlisted(); typo != "" {
		return peer.Code{}, &doubt{fmt.Sprintf("%q is not a code word. If it is right, press Enter again.", typo)}
	}
	return peer.Code{}, &doubt{fmt.Sprintf("%q does not look like a code that p2pchat makes, such as 417-amber-falcon. If the caller chose it, press Enter again.", code)}
}
