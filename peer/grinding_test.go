package peer

import (
	"testing"

	"p2pchat/signaling"
)

// An attacker in the middle of a call without a secret wants both sides to see the same
// words, here cut to 8 bits: it may choose what it likes, and try as often as it likes.
// Here it meets the callee first, and grinds what it tells the caller.
func TestGrinding(t *testing.T) {
	t.Parallel()
	code := Code{Room: "417"}
	// One attempt: caller ◀─▶ attacker ◀─▶ callee. The attacker meets the callee first, and
	// then looks for an answer to the caller with which the words would match, if the
	// caller's nonce were guess.
	attempt := func(guess func(callers *proposal) []byte, tries int) (matched bool) {
		callers, offer, err := propose(code, "the caller's SDP")
		if err != nil {
			t.Fatal(err)
		}
		toCallee, _, _ := agreed(t, code) // as the caller of the callee
		want := toCallee.fingerprint(1)[0]
		nonce := guess(callers)
		for {
			toCaller, answer, err := respond(code, offer, "the attacker's SDP")
			if err != nil {
				t.Fatal(err)
			}
			toCaller.nonces[signaling.Caller] = nonce
			if tries--; tries > 0 && toCaller.fingerprint(1)[0] != want {
				continue
			}
			caller, err := callers.accept(answer)
			if err != nil {
				t.Fatal(err)
			}
			return caller.fingerprint(1)[0] == want
		}
	}

	t.Run("who does not know the caller's nonce does no better than chance", func(t *testing.T) {
		attempts, most := Long(400, 100), Long(12, 7)
		matches := 0
		for range attempts {
			if attempt(func(*proposal) []byte { return random(nonceSize) }, 4) {
				matches++
			}
		}
		// 1.6 of 400 are to be expected, and 0.4 of 100; 13 of 400, or 8 of 100, come once in a hundred million runs.
		if matches > most {
			t.Errorf("%d of %d attempts matched", matches, attempts)
		}
	})

	t.Run("who knows it, as without the commitment, matches every time", func(t *testing.T) {
		const attempts = 3
		for range attempts {
			if !attempt(func(p *proposal) []byte { return p.nonce }, 5000) {
				t.Error("an attempt did not match: the other test proves nothing")
			}
		}
	})
}

// The same from the other end: the attacker has met the caller, whose words it knows, and grinds
// what it tells the callee.
func TestGrindingAtTheCallee(t *testing.T) {
	t.Parallel()
	code := Code{Room: "417"}
	attempt := func(committed bool, tries int) (matched bool) {
		toCaller, _, _ := agreed(t, code) // as the callee of the caller
		want := toCaller.fingerprint(1)[0]
		proposal, offer, err := propose(code, "the attacker's SDP")
		if err != nil {
			t.Fatal(err)
		}
		callee, answer, err := respond(code, offer, "the callee's SDP")
		if err != nil {
			t.Fatal(err)
		}
		toCallee, err := proposal.accept(answer)
		if err != nil {
			t.Fatal(err)
		}
		nonce := proposal.nonce
		for ; tries > 0 && toCallee.fingerprint(1)[0] != want; tries-- {
			nonce = random(nonceSize)
			toCallee.nonces[signaling.Caller] = nonce
		}
		if !committed {
			callee.commit = commitment(nonce) // as if the offer had none
		}
		sealed, err := toCallee.seal(sealedNote{Nonce: nonce})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := callee.open(sealed); (err == nil) != callee.proven() {
			t.Errorf("a nonce is answered %v, and the caller is proven: %v", err, callee.proven())
		}
		return callee.proven() && callee.fingerprint(1)[0] == want
	}

	t.Run("who has promised a nonce does no better than chance", func(t *testing.T) {
		attempts, most := Long(400, 100), Long(12, 7)
		matches := 0
		for range attempts {
			if attempt(true, 2000) {
				matches++
			}
		}
		if matches > most { // as in TestGrinding
			t.Errorf("%d of %d attempts matched", matches, attempts)
		}
	})

	t.Run("who has promised none matches every time", func(t *testing.T) {
		for range 3 {
			if !attempt(false, 5000) {
				t.Error("an attempt did not match: the other test proves nothing")
			}
		}
	})
}
