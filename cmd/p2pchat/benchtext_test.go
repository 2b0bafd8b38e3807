package main

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"p2pchat/chat/screen"
	"p2pchat/cmd/p2pchat/internal/bench"
	"p2pchat/peer"
)

// A server chooses why calls fail.
func TestBenchLetsNoServerSteerTheTerminal(t *testing.T) {
	t.Parallel()
	const why = "503 \x1b]0;no\x07\u009b31m\u202e"
	r := bench.Result{Served: 1, Failed: 1, Errors: map[string]int{why: 1}}
	var text, object, notes strings.Builder
	for out, asJSON := range map[*strings.Builder]bool{&text: false, &object: true} {
		if err := printed(out, r, nil, asJSON, r.Write); err != nil {
			t.Fatal(err)
		}
	}
	(&pathBench{}).note(peer.Retrying{Err: errors.New(why)}, "message", &outage{}, &notes)
	for _, out := range []string{text.String(), object.String(), notes.String()} {
		if line := strings.ReplaceAll(out, "\n", ""); screen.Clean(line) != line || !strings.Contains(line, "503 ") {
			t.Errorf("%q steers", out)
		}
	}
	var got bench.Result
	if err := json.Unmarshal([]byte(object.String()), &got); err != nil || !maps.Equal(got.Errors, r.Errors) {
		t.Errorf("programs read %v, %v", got.Errors, err)
	}
}
