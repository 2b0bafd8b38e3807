package peer

import (
	"bytes"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// The program and the page have the same ML-KEM-768: for the page see TestPageParts in cmd/p2pchat.
func TestVectors(t *testing.T) {
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
