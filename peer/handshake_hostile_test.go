package peer

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// Offers and answers that no program like this one writes are refused, and those of another version say so.
func TestSenselessDialects(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*dialect)
		text  string
	}{
		"another version": {func(d *dialect) { d.V = 3 }, "version 3 of the handshake, and this program knows version 2"},
		"no share":        {func(d *dialect) { d.Share = nil }, ""},
		"a short share":   {func(d *dialect) { d.Share = d.Share[1:] }, ""},
		"a weak share":    {func(d *dialect) { d.Share = make([]byte, len(d.Share)) }, ""},
		"no KEM":          {func(d *dialect) { d.KEM = nil }, ""},
		"a long KEM":      {func(d *dialect) { d.KEM = append(slices.Clip(d.KEM), 0) }, ""},
	} {
		_, offer, err := propose(secretCode, "SDP")
		if err != nil {
			t.Fatal(err)
		}
		c.spoil(offer.P2PChat)
		if k, _, err := respond(secretCode, offer, "SDP"); !errors.Is(err, errGarbled) || k != nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("an offer with %s: %v", name, err)
		}
		p, offer, err := propose(secretCode, "SDP")
		if err != nil {
			t.Fatal(err)
		}
		_, answer, err := respond(secretCode, offer, "SDP")
		if err != nil {
			t.Fatal(err)
		}
		c.spoil(answer.P2PChat)
		if k, err := p.accept(answer); err == nil || k != nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("an answer with %s: %v", name, err)
		}
	}
}

// An answer brings no more candidates than a list has.
func TestCandidatesOfAnAnswer(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{0: 0, maxCandidates: maxCandidates, maxCandidates + 1: maxCandidates, 1000: maxCandidates} {
		d := dialect{Candidates: slices.Repeat([]json.RawMessage{[]byte("{}")}, n)}
		if got := len(d.candidates()); got != want {
			t.Errorf("of %d candidates %d are used, want %d", n, got, want)
		}
	}
}

// The length of a sealed note tells that of the candidate in steps of 128 bytes, also where it fills them.
func TestLengthsOfNotes(t *testing.T) {
	t.Parallel()
	caller, _, _ := agreed(t, secretCode)
	for n := range 300 {
		note := sealedNote{ICECandidateInit: &webrtc.ICECandidateInit{Candidate: strings.Repeat("x", n)}}
		c, err := caller.seal(note)
		if err != nil {
			t.Fatal(err)
		}
		var e envelope
		if err := json.Unmarshal(c, &e); err != nil {
			t.Fatal(err)
		}
		text := len(marshal(t, note))
		if got, want := len(e.Sealed)-8-caller.sealing.Overhead(), (text+127)/128*128; got != want {
			t.Errorf("a note of %d bytes has %d when it is sealed, want %d", text, got, want)
		}
	}
}

// What the other side seals is not believed before it makes sense.
func TestSealedNonsense(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "[]", `{"candidate":7}`, `{"nonce":"!"}`} {
		caller, callee, _ := agreed(t, secretCode)
		sealed := caller.sealing.Seal(counter(0)[4:], counter(0), []byte(text), caller.context(signaling.Caller))
		if n, err := callee.open(marshal(t, envelope{sealed})); err == nil || n.ICECandidateInit != nil {
			t.Errorf("%q opens as %+v, %v", text, n, err)
		}
	}
	for size := range 9 {
		_, callee, _ := agreed(t, secretCode)
		if _, err := callee.open(marshal(t, envelope{make([]byte, size)})); !errors.Is(err, errSealed) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
