package main

import (
	"bytes"
	"fmt"
	"regexp"
	"sync"
	"time"
)

// A transcript is output that can be waited for.
type transcript struct {
	mu    sync.Mutex // guards what follows
	text  bytes.Buffer
	ended bool
	more  chan struct{} // closed by the next change
}

func newTranscript() *transcript { return &transcript{more: make(chan struct{})} }

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Write(b)
	t.changed()
	return len(b), nil
}

func (t *transcript) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.changed()
}

func (t *transcript) changed() {
	close(t.more)
	t.more = make(chan struct{})
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// wait returns the groups of the first match.
func (t *transcript) wait(re *regexp.Regexp) ([]string, error) {
	limit := time.After(patience)
	for {
		t.mu.Lock()
		text, ended, more := t.text.String(), t.ended, t.more
		t.mu.Unlock()
		if found := re.FindStringSubmatch(text); found != nil {
			return found, nil
		}
		if ended {
			return nil, fmt.Errorf("it ended without %q; its output:\n%s", re, text)
		}
		select {
		case <-more:
		case <-limit:
			return nil, fmt.Errorf("%q did not come; its output:\n%s", re, text)
		}
	}
}
