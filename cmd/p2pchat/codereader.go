package main

import (
	"fmt"
	"strings"
	"sync"

	"p2pchat/chat/screen"
	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// An unlikelyCodeError is returned for a text that can be a code but is probably mistyped.
type unlikelyCodeError struct{ text string }

func (e *unlikelyCodeError) Error() string { return e.text }

// Is says that the screens may keep the text.
func (*unlikelyCodeError) Is(target error) bool { return target == screen.ErrDoubtful }

// A codeReader reads codes that a person types. It refuses an unlikely one once, and takes it when the person
// enters it again: a wrong code costs one of three attempts, and in a room without a caller the program would
// wait for ever.
type codeReader struct {
	mu      sync.Mutex // guards what follows
	refused peer.Code  // as unlikely
}

// read returns the code of text. The error is an *unlikelyCodeError, or that of parse.
func (r *codeReader) read(text string, parse func(string) (peer.Code, error)) (peer.Code, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if name, is := strings.CutPrefix(strings.TrimSpace(text), contactMark); is && contacts.CheckName(name) == nil {
		return peer.Code{}, fmt.Errorf("%s%s is a contact, not a code. To meet a contact, leave, and run p2pchat answer %s%s", contactMark, name, contactMark, name)
	}
	code, err := parse(text)
	if err != nil || code == r.refused || code.IsGenerated() {
		return code, err
	}
	if found, _ := pasted(text, ""); found != text { // a link or a command has the code as the caller saw it
		if address(text) == nil || !mayBeCut(code) {
			return code, nil
		}
		r.refused = code
		return peer.Code{}, &unlikelyCodeError{fmt.Sprintf("The code in this link, %q, may be cut off. If it is whole, press Enter again.", code)}
	}
	r.refused = code
	if typo := code.Unlisted(); typo != "" {
		return peer.Code{}, &unlikelyCodeError{fmt.Sprintf("%q is not a code word. If it is right, press Enter again.", typo)}
	}
	return peer.Code{}, &unlikelyCodeError{fmt.Sprintf("%q does not look like a code that p2pchat makes, such as 417-falcon-zebra. If the caller chose it, press Enter again.", code)}
}

// mayBeCut reports whether the code of a link is probably not the whole one, by the rule that the page has, too.
func mayBeCut(code peer.Code) bool {
	return code != peer.Code{Room: signaling.Lobby} && (!strings.Contains(code.Secret, "-") || code.Unlisted() != "")
}
