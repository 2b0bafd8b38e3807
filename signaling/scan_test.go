package signaling

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// What Check and ParseCandidates would be with encoding/json alone.

func checkByJSON(d []byte, side Side) error {
	members, err := object(d)
	if err != nil {
		return err
	}
	var kind, sdp *string
	if json.Unmarshal(members["type"], &kind) != nil || kind == nil || *kind != side.String() {
		return invalid("the member \"type\" must be %q", side.String())
	}
	if json.Unmarshal(members["sdp"], &sdp) != nil || sdp == nil {
		return invalid("the member \"sdp\" must be a string")
	}
	return nil
}

func parseByJSON(body []byte) ([]Candidate, error) {
	if one := bytes.Trim(body, " \t\r\n"); len(one) == 0 || one[0] != '[' {
		_, err := object(one)
		return []Candidate{one}, err
	}
	var raw []json.RawMessage
	if err := decode(body, &raw, "list"); err != nil {
		return nil, err
	}
	list := make([]Candidate, len(raw))
	for i, r := range raw {
		list[i] = Candidate(r)
		if _, err := object(r); err != nil {
			return nil, invalid("element %d: %s", i, reason(err))
		}
	}
	return list, nil
}

// documents are what a scanner and encoding/json have to agree about, in JSON that nearly or really is a
// description or a list of candidates.
func documents() (list []string) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, value := range []string{
		`"v=0"`, `""`, `"a\"b\\c\/d\b\f\n\r\té"`, `"\ud83d\ude00"`, `"\ud800"`, `"\udc00 \ud800"`, `"\uD8"`, `"\u12g4"`, `"\x"`, `"\`, `"`,
		"\"caf\u00e9 \U0001f600\"", "\"\xff\"", "\"\xc3\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xc0\x80\"", "\"\x00\"", "\"\x1f\"", "\"\x7f\"", "\"a\nb\"",
		"\"12345678\x1f\"", "\"1234567\xff\"", "\"123456\\\"\"", "\"\u2028<>&\"", "\"!\"\"", "\"!!!!!!!!]\"",
		`null`, `true`, `false`, `nul`, `nulll`, `True`, `{}`, `[]`, `{"a":{"b":[1,{"c":null}]}}`, `[1,]`, `[,]`, `{"a":1,}`, `{,}`, `{"a"}`, `{a:1}`, `{"a":}`, `{"a" 1}`, `{1:1}`, `[1 2]`, `[`, `{`, `]`, `}`,
		`0`, `-0`, `-`, `01`, `1.`, `.5`, `1.5`, `1e5`, `1E+5`, `1e-05`, `1e`, `1e+`, `+1`, `0x1`, `12345678901234567890123`, `NaN`, `1 2`, ``, ` `, "\ufeff1", "\u00a01", "\v1", "\x001",
		deep(maxScanDepth - 2), deep(maxScanDepth - 1), deep(maxScanDepth), deep(9_998), deep(9_999), deep(10_000), deep(10_001),
	} {
		list = append(list, value, "["+value+"]", "[{},"+value+" ,\r\n\t{\"candidate\":"+value+"}]", `{"type":"offer","sdp":`+value+`}`, `{"sdp":"v=0","type":`+value+`}`, `{"type":"offer","sdp":"v=0","x":`+value+`}`,
			" {\"type\" :\"answer\",\t\"sdp\":\r"+value+"}\n", `{"type":"offer","sdp":"v=0"}`+value)
	}
	return append(list,
		`{"type":"offer","sdp":"v=0","type":"answer"}`, `{"type":1,"sdp":2,"type":"offer","sdp":"v=0"}`, `{"type":"offer","sdp":"v=0","sdp":null}`, `{"type":null,"sdp":"v=0","type":"offer"}`,
		`{"t\u0079pe":"offer","sdp":"v=0"}`, `{"type":"offer","sdp":"v=0","t\u0079pe":"answer"}`, `{"type":"o\u0066fer","\u0073dp":"v=0"}`, `{"TYPE":"offer","sdp":"v=0"}`, `{"type ":"offer","sdp":"v=0"}`,
		`{"":"offer","type":"offer","sdp":"v=0"}`, `{"type":"offer" "sdp":"v=0"}`, `{"type":"pranswer","sdp":"v=0"}`, `{"type":"offer","sdp":"v=0"}{}`, `{"type":"offer","sdp":"v=0"}]`)
}

func compareWithJSON(t *testing.T, body []byte) {
	t.Helper()
	same := func(what string, got, want error) {
		t.Helper()
		if got == nil && want == nil {
			return
		}
		if got == nil || want == nil || !errors.Is(got, ErrInvalid) || got.Error() != want.Error() {
			t.Errorf("%.300q as %s: %v, want %v", body, what, got, want)
		}
	}
	for _, side := range []Side{Caller, Callee} {
		same("an "+side.String(), Description(body).Check(side), checkByJSON(body, side))
	}
	_, want := object(body)
	same("a candidate", Candidate(body).Check(), want)
	list, err := ParseCandidates(body)
	expected, want := parseByJSON(body)
	same("candidates", err, want)
	if want == nil && !bytes.Equal(JoinCandidates(list), JoinCandidates(expected)) {
		t.Errorf("%.300q: candidates %q, want %q", body, list, expected)
	}
}

func TestTheScannerAgreesWithEncodingJSON(t *testing.T) {
	for _, body := range documents() {
		compareWithJSON(t, []byte(body))
	}
}

func FuzzScanner(f *testing.F) {
	for _, body := range documents() {
		if len(body) < 1000 {
			f.Add([]byte(body))
		}
	}
	f.Fuzz(compareWithJSON)
}

// A strict scanner would leave everything to encoding/json, unseen.
func TestTheScannerReadsUsualDocuments(t *testing.T) {
	offer := Description(` {"type":"offer","sdp":"v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=caf\u00e9 é 😀","p2pchat":{"v":1,"list":[1.5e3,-2,0,true,false,null,{}]}}` + "\n")
	list := []byte(`[{"candidate":"candidate:1 1 UDP 1 192.0.2.1 9 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":null}, {}]`)
	if n := testing.AllocsPerRun(100, func() {
		if !offer.scan(Caller) || offer.Check(Caller) != nil {
			t.Fatal("an offer is left to encoding/json")
		}
	}); n != 0 {
		t.Errorf("an offer takes %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := scanCandidates(list); !ok {
			t.Fatal("candidates are left to encoding/json")
		}
	}); n != 1 {
		t.Errorf("candidates take %v allocations, not their list alone", n)
	}
	one := Candidate(list[1:bytes.LastIndexByte(list, ',')])
	if n := testing.AllocsPerRun(100, func() { _ = one.Check() }); n != 0 {
		t.Errorf("a candidate takes %v allocations", n)
	}
}

func BenchmarkCheck(b *testing.B) {
	offer := []byte(`{"type":"offer","sdp":"` + strings.Repeat(`a=ssrc-group:FID 1 2\r\n`, 50) + `"}`)
	for name, check := range map[string]func([]byte, Side) error{
		"scanner": func(d []byte, by Side) error { return Description(d).Check(by) }, "json": checkByJSON,
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(offer)))
			for b.Loop() {
				_ = check(offer, Caller)
			}
		})
	}
}
