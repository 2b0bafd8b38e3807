package peer

import (
	"math/big"
	"slices"
	"testing"

	"p2pchat/signaling"
)

// The safety words follow from the secret and from both nonces, as docs/security.md says: each from 8 bytes of its own.
func TestSafetyWords(t *testing.T) {
	k := newSessionKeys(secretCode, signaling.Caller, []byte("run"), []byte("a secret of both"), []byte("the caller's nonce"), []byte("the callee's nonce"))
	bytes := k.fingerprint(32)
	var want []string
	for ; len(bytes) > 0; bytes = bytes[8:] {
		n := new(big.Int).SetBytes(bytes[:8])
		want = append(want, words()[n.Mod(n, big.NewInt(1295)).Int64()])
	}
	if got := k.words(); !slices.Equal(got, want) || !slices.Equal(got, []string{"jogging", "propeller", "hydrant", "unyielding"}) {
		t.Errorf("the words are %q, and would be %q", got, want)
	}
}
