package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"p2pchat/chat/screen"
)

// A server chooses the URLs of its list, and what is wrong.
func TestDoctorLetsNoServerSteerTheTerminal(t *testing.T) {
	t.Parallel()
	d := diagnosis{
		Server:  serverFinding{Error: "\x1b]0;no\x07"},
		ICE:     []iceFinding{{URL: "stun:\u009b31m", Error: "\x7f\u2028"}},
		NotUsed: []string{"stun:\u202egnp.exe"},
	}
	var text, object strings.Builder
	if err := d.print(&text); err != nil {
		t.Fatal(err)
	}
	if err := d.encode(&object); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{text.String(), object.String()} {
		if line := strings.ReplaceAll(out, "\n", ""); screen.Clean(line) != line {
			t.Errorf("%q steers", out)
		}
	}
	var got diagnosis
	if err := json.Unmarshal([]byte(object.String()), &got); err != nil || !slices.Equal(got.NotUsed, d.NotUsed) || got.ICE[0].URL != d.ICE[0].URL {
		t.Errorf("programs read %+v, %v", got, err)
	}
}
