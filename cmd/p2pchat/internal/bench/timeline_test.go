package bench

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"p2pchat/signaling"
)

// A timeline has the phases of both sides, and its picture has a bar for each of them.
func TestTimeline(t *testing.T) {
	phases, err := Timeline(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, side := range []signaling.Side{signaling.Caller, signaling.Callee} {
		for _, want := range []string{"DNS", "TCP", "gathering", "ICE", "DTLS", "SCTP", "trust", "first message"} {
			if !slices.ContainsFunc(phases, func(p Phase) bool { return p.Side == side && p.Name == want }) {
				t.Errorf("the %s has no phase %s in %v", side, want, phases)
			}
		}
	}
	for i, p := range phases {
		if p.Begin < 0 || p.Took < 0 || p.Took > time.Minute || i > 0 && p.Begin < phases[i-1].Begin {
			t.Errorf("a phase out of order: %+v", p)
		}
	}
	var b strings.Builder
	if err := WriteTimeline(&b, append(phases, Phase{Name: `"<&>`})); err != nil {
		t.Fatal(err)
	}
	bars := 0
	for d := xml.NewDecoder(strings.NewReader(b.String())); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err, b.String())
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if bars != len(phases)+2 { // and the background
		t.Errorf("%d bars for %d phases", bars, len(phases)+1)
	}
}
