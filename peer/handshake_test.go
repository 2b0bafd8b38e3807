package peer

import (
	"bytes"
	"crypto/mlkem"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/pionnet"
	"p2pchat/signaling"
)

var secretCode = Code{Room: "417", Secret: "falcon-zebra"}

// initialSDP returns pion's description before it has candidates.
func initialSDP(t testing.TB) string {
	t.Helper()
	machine, err := ownNet(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	pc, err := newPeerConnection(t.Context(), Config{Log: discarding()}, machine, nil, guards{})
	if err != nil {
		t.Fatal(err)
	}
	defer pionnet.Close(pc, discarding())
	if _, err := pc.CreateDataChannel(channelLabel, nil); err != nil {
		t.Fatal(err)
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return offer.SDP
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(b []byte) (d document, err error) { return d, json.Unmarshal(b, &d) }

// shake runs a handshake whose documents a test may change on the way. The callee's
// refusal and the caller's are one error.
func shake(t testing.TB, code Code, offerSDP, answerSDP string, onOffer, onAnswer func([]byte) []byte) (caller, callee *sessionKeys, err error) {
	t.Helper()
	p, offer, err := propose(code, offerSDP)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parse(onOffer(marshal(t, offer)))
	if err == nil && got.P2PChat == nil {
		err = ErrImpostor // so says attempt.answer
	}
	if err != nil {
		return nil, nil, err
	}
	callee, answer, err := respond(code, got, answerSDP)
	if err != nil {
		return nil, nil, err
	}
	if got, err = parse(onAnswer(marshal(t, answer))); err == nil && got.P2PChat == nil {
		err = errUnproven // so says attempt.answered
	}
	if err == nil {
		caller, err = p.accept(got)
	}
	return caller, callee, err
}

func asItIs(b []byte) []byte { return b }

// A server that changes any byte of an offer or an answer is found out, unless it still
// says the same: in JSON, a letter's case or the last bits of base64 make no difference.
func TestEveryByteOfADocument(t *testing.T) {
	t.Parallel()
	offerSDP := initialSDP(t)
	answerSDP := strings.ReplaceAll(initialSDP(t), "a=setup:actpass", "a=setup:active")
	step := Long(3, 7)
	if os.Getenv("P2PCHATTEST_LONG") != "" { // 'task test:long': more than a minute of CPU
		step = 1
	}
	for _, of := range []signaling.Side{signaling.Caller, signaling.Callee} {
		t.Run("the "+of.String(), func(t *testing.T) {
			t.Parallel()
			refused, harmless := 0, 0
			for i := 0; ; i += step {
				same, over := false, false
				change := func(b []byte) []byte {
					if over = i >= len(b); over {
						return b
					}
					changed := slices.Clone(b)
					changed[i] ^= 1
					before, _ := parse(b)
					after, err := parse(changed)
					same = err == nil && reflect.DeepEqual(before, after)
					return changed
				}
				onOffer, onAnswer := change, asItIs
				if of == signaling.Callee {
					onOffer, onAnswer = asItIs, change
				}
				_, _, err := shake(t, secretCode, offerSDP, answerSDP, onOffer, onAnswer)
				if over {
					break
				}
				switch {
				case err != nil:
					refused++
				case same:
					harmless++
				default:
					t.Errorf("a change of byte %d is not noticed", i)
				}
			}
			t.Logf("%d changes were refused, %d said the same", refused, harmless)
			if refused < 600/step || harmless > 60 {
				t.Errorf("%d changes were refused, %d harmless", refused, harmless)
			}
		})
	}
}

// The members by name, each changed to another valid value.
func TestEveryMember(t *testing.T) {
	sdp := initialSDP(t)
	bit := func(b []byte) { b[len(b)-1] ^= 1 }
	for name, change := range map[string]func(*document){
		"offer: sdp":         func(d *document) { d.SDP += "a=extra\r\n" },
		"offer: fingerprint": func(d *document) { d.SDP = strings.Replace(d.SDP, "sha-256 ", "sha-256 00:", 1) },
		"offer: v":           func(d *document) { d.P2PChat.V = 1 },
		"offer: sid":         func(d *document) { bit(d.P2PChat.SID) },
		"offer: no sid":      func(d *document) { d.P2PChat.SID = nil },
		"offer: share":       func(d *document) { bit(d.P2PChat.Share) },
		"offer: low share":   func(d *document) { d.P2PChat.Share = make([]byte, 32) },
		"offer: short share": func(d *document) { d.P2PChat.Share = d.P2PChat.Share[:31] },
		"offer: no share":    func(d *document) { d.P2PChat.Share = nil },
		"offer: another kem": func(d *document) { d.P2PChat.KEM = newKEM(t).EncapsulationKey().Bytes() },
		"offer: kem":         func(d *document) { bit(d.P2PChat.KEM) },
		"offer: short kem":   func(d *document) { d.P2PChat.KEM = d.P2PChat.KEM[1:] },
		"offer: no kem":      func(d *document) { d.P2PChat.KEM = nil },
		"offer: kem of 4095": func(d *document) { d.P2PChat.KEM = bytes.Repeat([]byte{0xff}, mlkem.EncapsulationKeySize768) },
		"answer: kem":        func(d *document) { bit(d.P2PChat.KEM) },
		"answer: another kem": func(d *document) {
			_, d.P2PChat.KEM = newKEM(t).EncapsulationKey().Encapsulate()
		},
		"answer: short kem":  func(d *document) { d.P2PChat.KEM = d.P2PChat.KEM[1:] },
		"answer: no kem":     func(d *document) { d.P2PChat.KEM = nil },
		"offer: commit":      func(d *document) { bit(d.P2PChat.Commit) },
		"offer: no commit":   func(d *document) { d.P2PChat.Commit = nil },
		"offer: a nonce":     func(d *document) { d.P2PChat.Nonce = random(nonceSize) },
		"offer: no dialect":  func(d *document) { d.P2PChat = nil },
		"answer: sdp":        func(d *document) { d.SDP += "a=extra\r\n" },
		"answer: v":          func(d *document) { d.P2PChat.V = 0 },
		"answer: share":      func(d *document) { bit(d.P2PChat.Share) },
		"answer: low share":  func(d *document) { d.P2PChat.Share = make([]byte, 32) },
		"answer: nonce":      func(d *document) { bit(d.P2PChat.Nonce) },
		"answer: no nonce":   func(d *document) { d.P2PChat.Nonce = nil },
		"answer: a commit":   func(d *document) { d.P2PChat.Commit = random(32) },
		"answer: confirm":    func(d *document) { bit(d.P2PChat.Confirm) },
		"answer: no confirm": func(d *document) { d.P2PChat.Confirm = nil },
		"answer: no dialect": func(d *document) { d.P2PChat = nil },
	} {
		for _, code := range []Code{secretCode, {Room: "417"}} {
			t.Run(fmt.Sprintf("%s, in %v, is refused", name, code), func(t *testing.T) {
				changing := func(b []byte) []byte {
					d, err := parse(b)
					if err != nil {
						t.Fatal(err)
					}
					change(&d)
					return marshal(t, d)
				}
				onOffer, onAnswer := changing, asItIs
				if strings.HasPrefix(name, "answer") {
					onOffer, onAnswer = asItIs, changing
				}
				if _, _, err := shake(t, code, sdp, sdp, onOffer, onAnswer); err == nil {
					t.Error("it is not noticed")
				}
			})
		}
	}
}

// agreed runs a handshake whose documents arrive unchanged, up to the caller's nonce.
func agreed(t testing.TB, code Code) (caller, callee *sessionKeys, nonce signaling.Candidate) {
	t.Helper()
	caller, callee, err := shake(t, code, "the offer's SDP", "the answer's SDP", asItIs, asItIs)
	if err != nil {
		t.Fatal(err)
	}
	nonce, err = caller.seal(sealedNote{Nonce: caller.nonces[signaling.Caller]})
	if err != nil {
		t.Fatal(err)
	}
	return caller, callee, nonce
}

func TestNotes(t *testing.T) {
	candidate := sealedNote{ICECandidateInit: &webrtc.ICECandidateInit{Candidate: "candidate:1 1 udp 2130706431 10.0.0.9 9999 typ host"}}

	t.Run("open at the other side, once, in any order", func(t *testing.T) {
		caller, callee, nonce := agreed(t, secretCode)
		var sealed []signaling.Candidate
		for range 3 {
			c, err := caller.seal(candidate)
			if err != nil {
				t.Fatal(err)
			}
			sealed = append(sealed, c)
		}
		if callee.proven() {
			t.Error("the caller is proven before it has shown anything")
		}
		for _, c := range []signaling.Candidate{sealed[2], sealed[0], nonce, sealed[1]} {
			if n, err := callee.open(c); err != nil || n.ICECandidateInit != nil && *n.ICECandidateInit != *candidate.ICECandidateInit {
				t.Errorf("it is %v, %v", n, err)
			}
			if _, err := callee.open(c); !errors.Is(err, errRepeated) {
				t.Errorf("a second time it says %v", err)
			}
		}
		if !callee.proven() {
			t.Error("the caller is not proven")
		}
		if !slices.Equal(caller.words(), callee.words()) || caller.rendezvous() != callee.rendezvous() {
			t.Error("the two do not agree")
		}
	})

	t.Run("are as long as others, up to 128 bytes", func(t *testing.T) {
		caller, _, nonce := agreed(t, secretCode)
		short, longer := sealedNote{ICECandidateInit: &webrtc.ICECandidateInit{Candidate: "candidate:1 1 udp 1 10.0.0.9 99 typ host"}}, candidate
		lengths := map[int]bool{len(nonce): true}
		for _, n := range []sealedNote{{ICECandidateInit: &webrtc.ICECandidateInit{}}, {Nonce: random(nonceSize)}} {
			c, err := caller.seal(n)
			if err != nil {
				t.Fatal(err)
			}
			lengths[len(c)] = true
		}
		if len(lengths) != 1 {
			t.Errorf("their lengths tell them apart: %v", lengths)
		}
		a, errA := caller.seal(short)
		b, errB := caller.seal(longer)
		if errA != nil || errB != nil || len(a) != len(b) {
			t.Errorf("%d bytes and %d, %v, %v", len(a), len(b), errA, errB)
		}
	})

	t.Run("are opened by the other side only", func(t *testing.T) {
		caller, callee, nonce := agreed(t, secretCode)
		_, stranger, _ := agreed(t, secretCode) // another attempt, with the same code
		for who, other := range map[string]*sessionKeys{"the caller itself": caller, "another attempt": stranger} {
			if _, err := other.open(nonce); !errors.Is(err, errSealed) {
				t.Errorf("%s says %v", who, err)
			}
		}
		if _, err := callee.open(nonce); err != nil {
			t.Error(err)
		}
	})

	t.Run("whose bytes were changed do not open", func(t *testing.T) {
		_, callee, nonce := agreed(t, secretCode)
		before := envelope{}
		if err := json.Unmarshal(nonce, &before); err != nil {
			t.Fatal(err)
		}
		for i := range nonce {
			changed := slices.Clone(nonce)
			changed[i] ^= 1
			var after envelope
			if json.Unmarshal(changed, &after) == nil && bytes.Equal(after.Sealed, before.Sealed) {
				continue // it says the same
			}
			if _, err := callee.open(changed); !errors.Is(err, errSealed) {
				t.Errorf("byte %d: it says %v", i, err)
			}
		}
		if callee.proven() {
			t.Error("the caller is proven")
		}
	})

	t.Run("with another nonce than was promised prove nothing", func(t *testing.T) {
		caller, callee, _ := agreed(t, secretCode)
		c, err := caller.seal(sealedNote{Nonce: random(nonceSize)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := callee.open(c); err == nil || callee.proven() {
			t.Errorf("it says %v", err)
		}
		back, err := callee.seal(sealedNote{Nonce: random(nonceSize)})
		if err != nil {
			t.Fatal(err)
		}
		before := caller.words()
		if _, err := caller.open(back); err == nil || !slices.Equal(before, caller.words()) {
			t.Errorf("a callee's says %v", err)
		}
	})
}

func TestWords(t *testing.T) {
	list := words()
	if len(list) != 1295 {
		t.Errorf("%d words", len(list))
	}
	seen := map[string]string{}
	for _, w := range list {
		if len(w) < 3 || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Errorf("%q is not to be typed", w)
			continue
		}
		if other := seen[w[:3]]; other != "" {
			t.Errorf("%q begins like %q", w, other)
		}
		seen[w[:3]] = w
	}
}

func TestNewCode(t *testing.T) {
	seen := map[Code]bool{}
	for digits := signaling.MinRoomDigits; digits <= signaling.MaxRoomDigits; digits++ {
		for range 50 {
			c := newCode(digits)
			if len(c.Room) != digits || c.Room[0] == '0' || strings.Trim(c.Room, "0123456789") != "" {
				t.Errorf("%q is not a number of %d digits", c.Room, digits)
			}
			parts := strings.Split(c.Secret, "-")
			if len(parts) != 2 || !slices.Contains(words(), parts[0]) || !slices.Contains(words(), parts[1]) {
				t.Errorf("%q is not two words", c.Secret)
			}
			if again, err := ParseCode(c.String()); err != nil || again != c {
				t.Errorf("%q is read as %q, %v", c, again, err)
			}
			seen[c] = true
		}
	}
	if len(seen) < 345 {
		t.Errorf("%d of 350 codes differ", len(seen))
	}
}

func TestFingerprints(t *testing.T) {
	const one, other = "a=fingerprint:sha-256 AA:BB\r\n", "a=fingerprint:sha-256 AA:BC\r\n"
	for name, c := range map[string]struct {
		sdp string
		ok  bool
	}{
		"one":                          {"v=0\r\n" + one, true},
		"none":                         {"v=0\r\n", false},
		"the same twice":               {one + "m=\r\n" + one, true},
		"the same in small letters":    {one + strings.ToLower(one), true},
		"two":                          {one + "m=\r\n" + other, false},
		"two of different algorithms":  {one + "a=fingerprint:sha-1 AA:BB\r\n", false},
		"one behind a lone line break": {one + "b=x\n" + other, false},
		"one behind a lone return":     {one + "b=x\ra=fingerprint:sha-256 AA:BC\r\n", false},
	} {
		if f, err := fingerprintOf(c.sdp); (err == nil) != c.ok || c.ok && f != (fingerprint{"sha-256", "aa:bb"}) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
}

// What the handshake costs both sides in time of the processor.
func BenchmarkHandshake(b *testing.B) {
	for b.Loop() {
		_, callee, nonce := agreed(b, secretCode)
		if _, err := callee.open(nonce); err != nil {
			b.Fatal(err)
		}
	}
}
