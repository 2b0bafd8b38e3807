package peer

import (
	"bytes"
	"context"
	"crypto/mlkem"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/peer/contact"
	"p2pchat/peer/mail"
	"p2pchat/signaling"
)

func newKEM(t testing.TB) *mlkem.DecapsulationKey768 {
	t.Helper()
	k, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A recorder with a quantum computer has the discrete logarithms of a recorded call, and so the PAKE's key. Without the
// secret of ML-KEM it opens no candidate, does not find the place where the two meet again, and has no keys of contacts who kept each
// other in that call, and so no letter.
func TestARecorderWithTheLogarithms(t *testing.T) {
	t.Parallel()
	caller, callee, nonce := agreed(t, secretCode)
	if _, err := callee.open(nonce); err != nil {
		t.Fatal(err)
	}
	recorded, err := caller.seal(sealedNote{ICECandidateInit: &webrtc.ICECandidateInit{Candidate: "candidate:1 1 udp 2130706431 10.0.0.9 9999 typ host"}})
	if err != nil {
		t.Fatal(err)
	}
	kept := keptIn(caller)
	letter, err := mail.Outgoing{Box: kept.Boxes[contact.First]}.Seal([]byte("see you at noon"))
	if err != nil {
		t.Fatal(err)
	}
	isk, shared := caller.secret[:64], caller.secret[64:]
	with := func(secret []byte) *sessionKeys {
		return newSessionKeys(secretCode, signaling.Callee, caller.sid, secret, caller.nonces[signaling.Caller], caller.nonces[signaling.Callee])
	}
	for name, secret := range map[string][]byte{
		"the PAKE's key":                      isk,
		"the PAKE's key and no shared secret": slices.Concat(isk, make([]byte, mlkem.SharedKeySize)),
		"the shared secret alone":             shared,
	} {
		k := with(secret)
		if _, err := k.open(recorded); !errors.Is(err, errSealed) {
			t.Errorf("%s opens a candidate: %v", name, err)
		}
		if k.rendezvous() == caller.rendezvous() || slices.Equal(k.words(), caller.words()) {
			t.Errorf("%s gives the place where the two meet again, or the safety words", name)
		}
		if g := keptIn(k); bytes.Equal(g.Root, kept.Root) || opensLetter(t, g, letter.Pending) {
			t.Errorf("%s gives the keys of contacts, or opens a letter", name)
		}
	}
	both := with(slices.Concat(isk, shared)) // the control
	if _, err := both.open(recorded); err != nil {
		t.Errorf("both together do not open it: %v", err)
	}
	if g := keptIn(both); !bytes.Equal(g.Root, kept.Root) || !opensLetter(t, g, letter.Pending) {
		t.Error("both together do not open the letter")
	}
}

// keptIn returns the keys of two who keep each other in a call, with nonces that the recorder knows, too.
func keptIn(call *sessionKeys) contact.Generation {
	nonce := make([]byte, contact.NonceSize)
	return contact.Keep(contact.First, call.contact(), nonce, nonce).Generations[0]
}

// A recordedBox hands out recorded blocks to any reader.
type recordedBox struct {
	signaling.Mail
	blocks []signaling.Block
}

func (r recordedBox) Blocks(context.Context, signaling.Box, uint64, time.Duration) ([]signaling.Block, error) {
	return r.blocks, nil
}

func opensLetter(t *testing.T, g contact.Generation, recorded []signaling.Block) bool {
	t.Helper()
	_, letters, _, err := mail.Incoming{Box: g.Boxes[contact.First]}.Take(t.Context(), recordedBox{blocks: recorded}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return len(letters) > 0
}
