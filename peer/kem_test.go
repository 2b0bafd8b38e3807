package peer

import (
	"bytes"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"p2pchat/peer/pake"
)

// The program and the page have the same ML-KEM-768: for the page see TestPageParts in cmd/p2pchat.
func TestMLKEMVectors(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/mlkem768.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct{ Seed, M, EK, CT, Shared string }
	if err := json.Unmarshal(b, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%d vectors: %v", len(vectors), err)
	}
	un := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, v := range vectors {
		d, err := mlkem.NewDecapsulationKey768(un(v.Seed))
		if err != nil {
			t.Fatal(err)
		}
		shared, ciphertext, err := mlkemtest.Encapsulate768(d.EncapsulationKey(), un(v.M))
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Decapsulate(un(v.CT))
		if err != nil || !bytes.Equal(got, un(v.Shared)) || !bytes.Equal(shared, got) || !bytes.Equal(ciphertext, un(v.CT)) || !bytes.Equal(d.EncapsulationKey().Bytes(), un(v.EK)) {
			t.Errorf("of the seed %s comes another key, ciphertext or secret: %v", v.Seed, err)
		}
	}
}

// A callee who knows the code cannot leave the caller with the PAKE's key alone: a ciphertext of another size is
// refused, although the confirmation is right.
func TestACiphertextOfAnotherSize(t *testing.T) {
	t.Parallel()
	code := Code{Room: "417", Secret: "falcon-zebra"}
	for _, size := range []int{0, mlkem.CiphertextSize768 - 1, mlkem.CiphertextSize768, mlkem.CiphertextSize768 + 1} {
		p, offer, err := propose(code, "the caller's SDP")
		if err != nil {
			t.Fatal(err)
		}
		party, err := begin(pake.Responder, code, offer.P2PChat.SID)
		if err != nil {
			t.Fatal(err)
		}
		answer := document{Type: "answer", SDP: "the callee's SDP", P2PChat: &dialect{V: dialectVersion, Share: party.Share(), KEM: make([]byte, size), Nonce: random(nonceSize)}}
		key, err := party.Finish(answer.bound(), offer.P2PChat.Share, offer.bound())
		if err != nil {
			t.Fatal(err)
		}
		answer.P2PChat.Confirm = key.Tag()
		_, err = p.accept(answer)
		if right := size == mlkem.CiphertextSize768; right != (err == nil) || !right && !errors.Is(err, errGarbled) {
			t.Errorf("with a ciphertext of %d bytes: %v", size, err)
		}
	}
}
