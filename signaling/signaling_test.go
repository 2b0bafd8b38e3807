package signaling_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"p2pchat/signaling"
)

func TestCheckRoom(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "Z9._~": true, strings.Repeat("x", 64): true, signaling.Lobby: true,
		"": false, strings.Repeat("x", 65): false, "a-b": false, "a/b": false, "a b": false, "é": false, "a\x00": false, "%41": false, "a\n": false,
	} {
		if err := signaling.CheckRoom(name); (err == nil) != ok || err != nil && !errors.Is(err, signaling.ErrInvalid) {
			t.Errorf("room %q: %v", name, err)
		}
	}
}

func TestDescriptionCheck(t *testing.T) {
	for body, ok := range map[string]bool{
		`{"type":"offer","sdp":""}`:                          true,
		` {"sdp":"v=0","x":{"y":[1]},"type":"offer"}` + "\n": true,
		`{"type":"answer","type":"offer","sdp":"x"}`:         true, // the last one counts, as in a browser
		`{"type":"offer","type":"answer","sdp":"x"}`:         false,
		`{"Type":"offer","sdp":"x"}`:                         false,
		`{"type":"offer","SDP":"x"}`:                         false,
		`{"type":"answer","sdp":"x"}`:                        false,
		`{"type":"offer","sdp":null}`:                        false,
		`{"type":null,"sdp":""}`:                             false,
		`{"type":["offer"],"sdp":""}`:                        false,
		`{"type":"offer","sdp":""} {}`:                       false,
		`[{"type":"offer","sdp":""}]`:                        false,
		"{\"type\":\"offer\",\"sdp\":\"\xc3\"}":              false,
		"\ufeff{\"type\":\"offer\",\"sdp\":\"\"}":            false,
		"null": false,
		"":     false,
		`{"type":"offer","sdp":"","x":` + deep(20_000) + `}`: false,
		`{"type":"offer","sdp":"","x":` + deep(1000) + `}`:   true,
	} {
		if err := signaling.Description(body).Check(signaling.Caller); (err == nil) != ok || err != nil && !errors.Is(err, signaling.ErrInvalid) {
			t.Errorf("%.60q: %v", body, err)
		}
	}
}

func TestParseCandidates(t *testing.T) {
	for body, want := range map[string][]string{
		`{}`:                           {`{}`},
		" \t\r\n{ \"a\" : 1.0 } \n":    {`{ "a" : 1.0 }`},
		`[]`:                           {},
		` [ ] `:                        {},
		`[ {"a":1} , { "b":[{}] } ]`:   {`{"a":1}`, `{ "b":[{}] }`},
		`[{"a":1,"a":2}]`:              {`{"a":1,"a":2}`},
		`{"a":"\ud800"}`:               {`{"a":"\ud800"}`},
		`[` + deep(1000)[1:999] + `{}`: nil,
		``:                             nil,
		` `:                            nil,
		`null`:                         nil,
		`[null]`:                       nil,
		`[{},null]`:                    nil,
		`[[{}]]`:                       nil,
		`7`:                            nil,
		`"x"`:                          nil,
		`[{}`:                          nil,
		`[{}],`:                        nil,
		`{}{}`:                         nil,
		"{\"a\":\"\xff\"}":             nil,
		"[{\"a\":\"\xff\"}]":           nil,
		`{"a":` + deep(20_000) + `}`:   nil,
		deep(20_000):                   nil,
	} {
		list, err := signaling.ParseCandidates([]byte(body))
		if want == nil {
			if !errors.Is(err, signaling.ErrInvalid) || list != nil {
				t.Errorf("%.60q: %q, %v", body, list, err)
			}
			continue
		}
		if err != nil || len(list) != len(want) {
			t.Errorf("%.60q: %q, %v", body, list, err)
			continue
		}
		for i := range want {
			if string(list[i]) != want[i] {
				t.Errorf("%.60q: element %d is %q, want %q", body, i, list[i], want[i])
			}
		}
	}
}

func TestTickets(t *testing.T) {
	one, two := signaling.NewTicket("room", signaling.Callee), signaling.NewTicket("room", signaling.Callee)
	if one.Token == two.Token || len(one.Token) < 26 || one.Room != "room" || one.Side != signaling.Callee {
		t.Errorf("tickets %+v and %+v", one, two)
	}
	if signaling.Caller.Other() != signaling.Callee || signaling.Callee.Other() != signaling.Caller {
		t.Error("the sides are not across from each other")
	}
}

func FuzzParseCandidates(f *testing.F) {
	for _, seed := range []string{`{}`, `[]`, ` [ {"a":1} , {} ] `, ` {"a":"\u0000"} `, `null`, `[null]`, `[[]]`, "\xff", `{"a":1,"a":2}`, deep(100)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := signaling.ParseCandidates(body)
		if err != nil {
			if !errors.Is(err, signaling.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		again, err := signaling.ParseCandidates(signaling.JoinCandidates(list))
		if err != nil || len(again) != len(list) {
			t.Fatalf("%q became %q, %v", list, again, err)
		}
		for i := range list {
			if !bytes.Equal(again[i], list[i]) {
				t.Fatalf("%q became %q", list[i], again[i])
			}
		}
	})
}

func FuzzDescriptionCheck(f *testing.F) {
	for _, seed := range []string{`{"type":"offer","sdp":""}`, `{"type":"answer","sdp":"v=0"}`, `{"type":1}`, `null`, `[]`, "\xff", deep(100)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		byCaller, byCallee := signaling.Description(body).Check(signaling.Caller), signaling.Description(body).Check(signaling.Callee)
		if byCaller == nil && byCallee == nil {
			t.Error("it is an offer and an answer")
		}
		for _, err := range []error{byCaller, byCallee} {
			if err != nil && !errors.Is(err, signaling.ErrInvalid) {
				t.Error(err)
			}
		}
		if byCaller == nil && signaling.Candidate(body).Check() != nil {
			t.Error("it is a description, but not an object")
		}
	})
}

// deep is an array in an array in an array.
func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
