package peer

import (
	"fmt"
	"testing"

	"p2pchat/signaling"
)

// The keys of the fast path are those of one meeting, and of one side.
func TestKeysOfTheFastPath(t *testing.T) {
	seen := map[[keySize]byte]string{}
	for meeting := range 3 {
		caller, callee, _ := agreed(t, secretCode)
		for _, side := range []signaling.Side{signaling.Caller, signaling.Callee} {
			seed := caller.quicSeed(side)
			if seed != callee.quicSeed(side) {
				t.Errorf("the two do not agree on the key of the %s", side)
			}
			name := fmt.Sprint(side, " of meeting ", meeting)
			if before, ok := seen[seed]; ok {
				t.Errorf("the key of the %s is that of the %s", name, before)
			}
			seen[seed] = name
		}
	}
}
