package server

import (
	"strings"
	"testing"

	"p2pchat/signaling/memstore"
)

// What a server that parses and prints again would change.
const odd = "\r\n { \"sdp\" :\t\"caf\\u00e9 \\/ \u00e9 \\ud83d\\ude00 <&>\", \"type\":\"KIND\" , \"n\": 1.0e+2, \"trust\":{\"z\":[ ],\"a\":null} ,\"n\":12345678901234567890}\n\n"

func TestBytes(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{})
	offer, answer := strings.ReplaceAll(odd, "KIND", "offer"), strings.ReplaceAll(odd, "KIND", "answer")

	t.Run("descriptions come out as they went in", func(t *testing.T) {
		s := s.in(t)
		s.post("/offer", offer).is(201)
		s.get("/offer").is(200).says(offer)
		s.post("/answer", answer).is(201)
		s.get("/answer").is(200).says(answer)
		s.send("PUT", "/offer", " "+offer).is(200)
		s.get("/offer").is(200).says(" " + offer)
	})

	t.Run("a candidate comes out as it went in", func(t *testing.T) {
		s := s.in(t)
		one := strings.TrimSpace(odd)
		s.post("/offer-candidate", one).is(201)
		s.get("/offer-candidates").is(200).says("[" + one + "]")
	})

	t.Run("candidates in an array come out as they went in", func(t *testing.T) {
		s := s.in(t)
		one := strings.TrimSpace(odd)
		s.post("/answer-candidates", " [ "+one+" ,\n{} , "+one+"]\n").is(201).says(`{"count":3}` + "\n")
		s.get("/answer-candidates").is(200).says("[" + one + ",{}," + one + "]")
		s.get("/answer-candidates?after=1").is(200).says("[{}," + one + "]")
	})
}

func TestMalformed(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{})
	s.post("/offer", anOffer).is(201)
	for says, body := range map[string]string{
		"no body":            "",
		"no JSON":            "v=0",
		"half an object":     `{"type":"KIND","sdp":"v=0"`,
		"an object and more": `{"type":"KIND","sdp":"v=0"}{}`,
		"an array":           `[{"type":"KIND","sdp":"v=0"}]`,
		"null":               `null`,
		"a string":           `"KIND"`,
		"no type":            `{"sdp":"v=0"}`,
		"another type":       `{"type":"pranswer","sdp":"v=0"}`,
		"the other type":     `{"type":"OTHER","sdp":"v=0"}`,
		"a type of no type":  `{"type":null,"sdp":"v=0"}`,
		"no sdp":             `{"type":"KIND"}`,
		"an sdp of null":     `{"type":"KIND","sdp":null}`,
		"a number for sdp":   `{"type":"KIND","sdp":0}`,
		"an object for sdp":  `{"type":"KIND","sdp":{}}`,
		"no UTF-8":           "{\"type\":\"KIND\",\"sdp\":\"\xff\"}",
	} {
		t.Run("a description of "+says+" is refused", func(t *testing.T) {
			s := s.in(t)
			offer, answer := strings.NewReplacer("KIND", "offer", "OTHER", "answer"), strings.NewReplacer("KIND", "answer", "OTHER", "offer")
			for _, r := range []reply{
				s.post("/offer", offer.Replace(body)),
				s.send("PUT", "/offer", offer.Replace(body)),
				s.post("/answer", answer.Replace(body)),
				s.post("/rooms/blue/offer", offer.Replace(body)),
			} {
				r.problem(400, "invalid")
			}
		})
	}

	for says, body := range map[string]string{
		"nothing":                   "",
		"no JSON":                   "candidate:1",
		"null":                      "null",
		"a string":                  `"candidate:1"`,
		"an object and more":        "{} {}",
		"an array that holds null":  "[{},null]",
		"an array that holds lists": "[[{}]]",
		"half an array":             "[{}",
		"no UTF-8":                  "{\"candidate\":\"\xff\"}",
	} {
		t.Run("a candidate of "+says+" is refused", func(t *testing.T) {
			s := s.in(t)
			s.post("/offer-candidate", body).problem(400, "invalid")
			s.post("/answer-candidates", body).problem(400, "invalid")
		})
	}

	t.Run("nothing of that has changed the room", func(t *testing.T) {
		s := s.in(t)
		s.get("/offer").is(200).says(anOffer)
		s.get("/answer").problem(404, "no-answer")
		s.get("/offer-candidates").is(200).says("[]")
		s.get("/answer-candidates").is(200).says("[]")
		s.get("/rooms/blue/offer").problem(404, "no-offer")
	})

	t.Run("the refusal says what is wrong", func(t *testing.T) {
		if detail := s.post("/offer", `{"type":"offer"}`).problem(400, "invalid"); detail != `The member "sdp" must be a string.` {
			t.Errorf("the detail is %q", detail)
		}
	})
}

func TestIndexes(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{})
	s.post("/offer", anOffer).is(201)
	s.post("/offer-candidates", "["+candidate("caller", 0)+","+candidate("caller", 1)+"]").is(201)
	for after, want := range map[string]string{
		"0": "[" + candidate("caller", 0) + "," + candidate("caller", 1) + "]",
		"1": "[" + candidate("caller", 1) + "]",
		"2": "[]",
		"3": "[]",
	} {
		t.Run("a list is read after "+after, func(t *testing.T) {
			s := s.in(t)
			s.get("/offer-candidates?after=" + after).is(200).says(want)
		})
	}
	for _, n := range []string{"-1", "x", "1.5", "99999999999999999999"} {
		t.Run("an index of "+n+" is refused", func(t *testing.T) {
			s := s.in(t)
			s.get("/offer-candidates?after="+n).problem(400, "invalid")
			s.get("/offer-candidates?after="+n, "Prefer: wait=60").problem(400, "invalid")
			s.post("/offer-candidates?at="+n, aCandidate).problem(400, "invalid")
		})
	}
}
