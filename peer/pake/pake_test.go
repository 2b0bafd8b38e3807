package pake

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"
)

// The draft's test vectors: appendix B.1 and B.1.10.
type vectors struct {
	Run    map[string]string `json:"G_25519"`
	Points map[string]string `json:"X25519_points"`
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	b, err := os.ReadFile("testdata/cpace-x25519-sha512.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil || len(b) == 0 {
		t.Fatalf("%q is not hexadecimal: %v", text, err)
	}
	return b
}

func TestVectors(t *testing.T) {
	v := readVectors(t).Run
	of := func(name string) []byte { return unhex(t, v[name]) }
	equal := func(what string, got []byte, want string) {
		t.Helper()
		if !bytes.Equal(got, of(want)) {
			t.Errorf("%s is %X, want %X", what, got, of(want))
		}
	}
	equal("the generator", generator(of("PRS"), of("CI"), of("sid")), "g")
	a, err := start(Initiator, of("ya"), of("PRS"), of("CI"), of("sid"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := start(Responder, of("yb"), of("PRS"), of("CI"), of("sid"))
	if err != nil {
		t.Fatal(err)
	}
	equal("the initiator's share", a.Share(), "Ya")
	equal("the responder's share", b.Share(), "Yb")
	secret, err := multiply(a.scalar, b.Share())
	if err != nil {
		t.Fatal(err)
	}
	equal("the point that both know", secret, "K")
	ka, err := a.Finish(of("ADa"), b.Share(), of("ADb"))
	if err != nil {
		t.Fatal(err)
	}
	kb, err := b.Finish(of("ADb"), of("Ya"), of("ADa"))
	if err != nil {
		t.Fatal(err)
	}
	equal("the initiator's secret", ka.Secret(), "ISK_IR")
	equal("the responder's secret", kb.Secret(), "ISK_IR")

	// The draft has no vector of the tags; so here they are made by its words alone.
	mac := sha512.Sum512(slices.Concat([]byte("CPaceMac"), of("sid"), of("ISK_IR")))
	tagOf := func(share, ad string) []byte {
		m := hmac.New(sha512.New, mac[:])
		m.Write(slices.Concat([]byte{32}, of(share), []byte{3}, of(ad))) // the lengths of a share and of "ADa"
		return m.Sum(nil)
	}
	if !bytes.Equal(ka.Tag(), tagOf("Ya", "ADa")) || !bytes.Equal(kb.Tag(), tagOf("Yb", "ADb")) {
		t.Errorf("the tags are %X and %X", ka.Tag(), kb.Tag())
	}
	if !ka.Confirms(kb.Tag()) || !kb.Confirms(ka.Tag()) {
		t.Error("the two do not confirm each other")
	}
	if ka.Confirms(ka.Tag()) || kb.Confirms(kb.Tag()) || ka.Confirms(nil) {
		t.Error("a tag that is not the other side's confirms")
	}
}

// The draft's low-order points, on the curve and on its twist. X25519 leaves out the
// highest bit, so those that have it set are other points, and none of these.
func TestInvalidPoints(t *testing.T) {
	refused := []string{"Invalid Y0", "Invalid Y1", "Invalid Y2", "Invalid Y3", "Invalid Y4", "Invalid Y5", "Invalid Y7"}
	points := readVectors(t).Points
	if len(points) != 12 {
		t.Fatalf("%d points", len(points))
	}
	for name, text := range points {
		t.Run(name, func(t *testing.T) {
			for _, role := range []Role{Initiator, Responder} {
				p := party(t, role, "password")
				k, err := p.Finish(nil, unhex(t, text), nil)
				if want := slices.Contains(refused, name); errors.Is(err, ErrShare) != want || (k == nil) != want {
					t.Errorf("Finish says %v, want that it is refused: %v", err, want)
				}
				if _, err := p.Finish(nil, p.Share(), nil); !errors.Is(err, ErrUsed) {
					t.Errorf("a second time Finish says %v, want %v", err, ErrUsed)
				}
			}
		})
	}
}

func party(t testing.TB, role Role, password string) *Party {
	t.Helper()
	p, err := New(role, []byte(password), []byte("channel"), []byte("session"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run is a run whose messages a test may change.
func run(t *testing.T, a, b *Party, change func(share, ad []byte) ([]byte, []byte)) (ka, kb *Key) {
	t.Helper()
	share, ad := change(a.Share(), []byte("a says"))
	kb, err := b.Finish([]byte("b says"), share, ad)
	if err != nil {
		t.Fatal(err)
	}
	ka, err = a.Finish([]byte("a says"), b.Share(), []byte("b says"))
	if err != nil {
		t.Fatal(err)
	}
	return ka, kb
}

func TestRuns(t *testing.T) {
	unchanged := func(share, ad []byte) ([]byte, []byte) { return share, ad }
	for name, c := range map[string]struct {
		a, b   string
		change func(share, ad []byte) ([]byte, []byte)
		agree  bool
	}{
		"with one password":            {"amber-falcon", "amber-falcon", unchanged, true},
		"without a password":           {"", "", unchanged, true},
		"with two passwords":           {"amber-falcon", "amber-falcom", unchanged, false},
		"with one and none":            {"amber-falcon", "", unchanged, false},
		"with other data on the way":   {"x", "x", func(share, _ []byte) ([]byte, []byte) { return share, []byte("a said") }, false},
		"with no data on the way":      {"x", "x", func(share, _ []byte) ([]byte, []byte) { return share, nil }, false},
		"with a bit that X25519 skips": {"x", "x", func(share, ad []byte) ([]byte, []byte) { share[31] ^= 0x80; return share, ad }, false},
		"with another share":           {"x", "x", func(_, ad []byte) ([]byte, []byte) { return party(t, Initiator, "y").Share(), ad }, false},
	} {
		t.Run(name, func(t *testing.T) {
			ka, kb := run(t, party(t, Initiator, c.a), party(t, Responder, c.b), c.change)
			if same := bytes.Equal(ka.Secret(), kb.Secret()); same != c.agree {
				t.Errorf("the secrets are the same: %v, want %v", same, c.agree)
			}
			if ka.Confirms(kb.Tag()) != c.agree || kb.Confirms(ka.Tag()) != c.agree {
				t.Errorf("confirmed: %v and %v, want %v", ka.Confirms(kb.Tag()), kb.Confirms(ka.Tag()), c.agree)
			}
		})
	}

	t.Run("of another session or channel", func(t *testing.T) {
		for _, other := range [][2]string{{"channel", "another"}, {"another", "session"}} {
			b, err := New(Responder, []byte("x"), []byte(other[0]), []byte(other[1]))
			if err != nil {
				t.Fatal(err)
			}
			if ka, kb := run(t, party(t, Initiator, "x"), b, unchanged); ka.Confirms(kb.Tag()) || kb.Confirms(ka.Tag()) {
				t.Errorf("%v agrees with another", other)
			}
		}
	})

	t.Run("of two initiators", func(t *testing.T) {
		if ka, kb := run(t, party(t, Initiator, "x"), party(t, Initiator, "x"), unchanged); ka.Confirms(kb.Tag()) {
			t.Error("they agree")
		}
	})

	t.Run("with one's own share", func(t *testing.T) {
		p := party(t, Initiator, "x")
		k, err := p.Finish([]byte("a says"), p.Share(), []byte("b says"))
		if err != nil {
			t.Fatal(err)
		}
		if k.Confirms(k.Tag()) {
			t.Error("a mirror is the other side")
		}
	})

	t.Run("are never the same twice", func(t *testing.T) {
		if bytes.Equal(party(t, Initiator, "x").Share(), party(t, Initiator, "x").Share()) {
			t.Error("two runs have one share")
		}
	})
}

// The draft's examples, appendix A.1.2 and A.1.4.
func TestLV(t *testing.T) {
	long := slices.Repeat([]byte{7}, 128)
	for want, parts := range map[string][][]byte{
		"":                                nil,
		"00":                              {{}},
		"0431323334":                      {[]byte("1234")},
		"043132333401350003363738":        {[]byte("1234"), []byte("5"), {}, []byte("678")},
		"8001" + hex.EncodeToString(long): {long},
	} {
		if got := hex.EncodeToString(LV(parts...)); got != want {
			t.Errorf("%q gives %s, want %s", parts, got, want)
		}
	}
	if bytes.Equal(LV([]byte("ab"), []byte("c")), LV([]byte("a"), []byte("bc"))) {
		t.Error("two lists give the same bytes")
	}
}

// Whatever the other side sends, it is refused or leads to a key that no tag but the
// right one confirms.
func FuzzFinish(f *testing.F) {
	f.Add([]byte("password"), make([]byte, 32), []byte("ad"), []byte("tag"))
	f.Add([]byte{}, []byte{1}, []byte{}, []byte{})
	f.Add([]byte("x"), bytes.Repeat([]byte{0xff}, 32), []byte{}, make([]byte, 64))
	f.Fuzz(func(t *testing.T, password, share, ad, tag []byte) {
		for _, role := range []Role{Initiator, Responder} {
			p, err := New(role, password, ad, share)
			if err != nil {
				t.Fatal(err)
			}
			k, err := p.Finish(ad, share, tag)
			if err != nil {
				if !errors.Is(err, ErrShare) {
					t.Errorf("Finish says %v, want %v", err, ErrShare)
				}
				continue
			}
			if k.Confirms(tag) || k.Confirms(share) || k.Confirms(k.Tag()) {
				t.Errorf("%x is confirmed by what is not its tag", share)
			}
		}
	})
}

func BenchmarkRun(b *testing.B) {
	for b.Loop() {
		i, r := party(b, Initiator, "amber-falcon"), party(b, Responder, "amber-falcon")
		kr, err := r.Finish(nil, i.Share(), nil)
		if err != nil {
			b.Fatal(err)
		}
		ki, err := i.Finish(nil, r.Share(), nil)
		if err != nil || !ki.Confirms(kr.Tag()) {
			b.Fatal("they do not agree: ", err)
		}
	}
}
