package peer

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

const fuzzedSDP = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=fingerprint:sha-256 00:11\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n"

var fuzzedCode = Code{Room: "417", Secret: "falcon-zebra"}

func fuzzedOffer(f *testing.F) (*proposal, []byte) {
	f.Helper()
	p, d, err := propose(fuzzedCode, fuzzedSDP)
	if err != nil {
		f.Fatal(err)
	}
	body, err := json.Marshal(d)
	if err != nil {
		f.Fatal(err)
	}
	return p, body
}

// A callee parses whatever the server calls an offer. It answers one that makes sense, as often as it comes.
func FuzzOffer(f *testing.F) {
	_, genuine := fuzzedOffer(f)
	f.Add(genuine)
	f.Add([]byte(`{"type":"offer","sdp":"v=0\r\na=fingerprint:sha-256 00\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"}`))
	f.Add([]byte(`{"type":"offer","sdp":"a=fingerprint:","p2pchat":{"v":2,"sid":"","share":"AAAA","kem":"","commit":null}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		offer, err := parseDescription(body, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			return
		}
		if offer.foreign() {
			for line := range strings.FieldsFuncSeq(offer.SDP, func(r rune) bool { return r == '\r' || r == '\n' }) {
				if strings.HasPrefix(line, "a=candidate:") {
					t.Errorf("pion gets candidates with the SDP %q", offer.SDP)
				}
			}
			return
		}
		keys, answer, err := respond(fuzzedCode, offer, fuzzedSDP)
		if err == nil && (keys == nil || keys.proven() || answer.P2PChat == nil) {
			t.Error("the answer to an offer takes the caller's proof for given")
		}
	})
}

// A caller parses whatever the server calls an answer. Only one who knows the code passes.
func FuzzAnswer(f *testing.F) {
	p, body := fuzzedOffer(f)
	var offer document
	if err := json.Unmarshal(body, &offer); err != nil {
		f.Fatal(err)
	}
	_, answer, err := respond(Code{Room: "417", Secret: "falcon-almanac"}, offer, fuzzedSDP)
	if err != nil {
		f.Fatal(err)
	}
	guess, err := json.Marshal(answer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(guess)
	f.Add(body)
	f.Add([]byte(`{"type":"answer","sdp":"a=fingerprint:sha-256 00","p2pchat":{"v":2,"share":"","kem":"","nonce":"","confirm":""}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		answer, err := parseDescription(body, nil, slog.New(slog.DiscardHandler))
		if err != nil || answer.foreign() {
			return
		}
		if keys, err := p.accept(answer); err == nil || keys != nil {
			t.Errorf("it is accepted without the code: %q", body)
		}
	})
}

// Notes that the other side has not sealed do not open, and none opens twice.
func FuzzSealedNote(f *testing.F) {
	p, body := fuzzedOffer(f)
	var offer document
	if err := json.Unmarshal(body, &offer); err != nil {
		f.Fatal(err)
	}
	callee, answer, err := respond(fuzzedCode, offer, fuzzedSDP)
	if err != nil {
		f.Fatal(err)
	}
	caller, err := p.accept(answer)
	if err != nil {
		f.Fatal(err)
	}
	genuine := map[string]bool{}
	for _, n := range []sealedNote{{Nonce: p.nonce}, {Nonce: []byte("another")}, {ICECandidateInit: &webrtc.ICECandidateInit{Candidate: "candidate:1 1 udp 1 192.0.2.1 9 typ host"}}, {}} {
		c, err := caller.seal(n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(c))
		var e envelope
		if err := json.Unmarshal(c, &e); err != nil {
			f.Fatal(err)
		}
		genuine[string(e.Sealed)] = true
	}
	f.Add([]byte(`{"sealed":"AAAAAAAAAAA="}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		clear(callee.opened)
		note, err := callee.open(signaling.Candidate(body))
		var e envelope
		known := json.Unmarshal(body, &e) == nil && genuine[string(e.Sealed)]
		if err == nil && !known {
			t.Errorf("%q opens as %+v", body, note)
		}
		if _, again := callee.open(signaling.Candidate(body)); again == nil {
			t.Errorf("%q opens twice", body)
		}
	})
}

// A candidate of a stranger is parsed before pion sees it.
func FuzzCandidate(f *testing.F) {
	for _, c := range []string{
		"candidate:1 1 udp 1 192.0.2.1 9 typ host", "a=candidate:1 1 tcp 1 fe80::1%eth0 9 typ host tcptype passive\r\n",
		"candidate:1 1 udp 1 7f3c.local 9 typ host", "candidate:1 1 udp 1 192.0.2.1 99999 typ relay raddr 0.0.0.0 rport 0", "",
	} {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := parseCandidate(webrtc.ICECandidateInit{Candidate: text})
		if c.host == "" && c.kind != "" {
			t.Errorf("%q is a %s candidate without a host", text, c.kind)
		}
	})
}
