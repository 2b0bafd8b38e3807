package server

import (
	"strings"
	"testing"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

var iceServers = []signaling.ICEServer{
	{URLs: []string{"stun:stun.example.org"}},
	{URLs: []string{"turn:turn.example.org"}, Username: "ann", Credential: "secret"},
}

func TestTokens(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{})
	caller := bearing(s.post("/rooms/blue/offer", anOffer).token())
	callee := bearing(s.post("/rooms/blue/answer", anAnswer).token())
	for _, test := range []struct {
		method, path, body string
		stranger           string // whose token is good elsewhere, but not here
	}{
		{"PUT", "/rooms/blue/offer", anOffer, callee},
		{"DELETE", "/rooms/blue", "", callee},
		{"POST", "/rooms/blue/offer-candidate", aCandidate, callee},
		{"POST", "/rooms/blue/offer-candidates", aCandidate, callee},
		{"POST", "/rooms/blue/answer-candidate", aCandidate, caller},
		{"POST", "/rooms/blue/answer-candidates", aCandidate, caller},
	} {
		for says, header := range map[string]string{
			"without a token":              "X-Nothing: 1",
			"with a token of neither side": bearing("nobody"),
			"with the other side's token":  test.stranger,
			"with a token in another form": "Authorization: Basic " + caller,
		} {
			t.Run(test.method+" "+test.path+" "+says+" is refused", func(t *testing.T) {
				s.send(test.method, test.path, test.body, header).problem(401, "wrong-token")
				if got := s.send(test.method, test.path, test.body, header).header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
					t.Errorf("WWW-Authenticate is %q", got)
				}
			})
		}
	}

	t.Run("nothing of that has changed the room", func(t *testing.T) {
		s := s.in(t)
		s.get("/rooms/blue/answer").is(200).says(anAnswer)
		s.get("/rooms/blue/offer-candidates").is(200).says("[]")
		s.get("/rooms/blue/answer-candidates").is(200).says("[]")
	})

	t.Run("the lobby asks for none, but a wrong one is refused", func(t *testing.T) {
		s := s.in(t)
		s.post("/offer", anOffer).is(201)
		s.post("/answer", anAnswer).is(201)
		s.send("PUT", "/offer", anOffer, bearing("nobody")).problem(401, "wrong-token")
		s.post("/answer-candidate", aCandidate, bearing("nobody")).problem(401, "wrong-token")
	})
}

func TestConflicts(t *testing.T) {
	t.Run("a second offer does not replace the first", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.post("/rooms/blue/offer", anOffer).is(201)
		s.post("/rooms/blue/offer", description("offer", 2)).problem(409, "occupied")
		s.get("/rooms/blue/offer").says(anOffer)
	})

	t.Run("a second answer does not replace the first", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.post("/rooms/blue/offer", anOffer).is(201)
		s.post("/rooms/blue/answer", anAnswer).is(201)
		s.post("/rooms/blue/answer", description("answer", 2)).problem(409, "answered")
		s.get("/rooms/blue/answer").says(anAnswer)
	})

	t.Run("an answer before any offer is refused", func(t *testing.T) {
		open(t, memstore.Limits{}, Config{}).post("/rooms/blue/answer", anAnswer).problem(404, "no-offer")
	})

	t.Run("an answer to an offer that was replaced is refused, and one to the new offer taken", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		opened := s.post("/rooms/blue/offer", anOffer).is(201)
		replaced := s.send("PUT", "/rooms/blue/offer", description("offer", 2), bearing(opened.token())).is(200)
		if replaced.etag() == opened.etag() {
			t.Errorf("both offers have the ETag %s", opened.etag())
		}
		s.post("/rooms/blue/answer", anAnswer, "If-Match: "+opened.etag()).problem(412, "superseded")
		s.get("/rooms/blue/answer").problem(404, "no-answer")
		s.post("/rooms/blue/answer", anAnswer, "If-Match: "+opened.etag()+", W/"+replaced.etag()).is(201)
	})

	t.Run("an answer to an offer that has no name is refused", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.post("/rooms/blue/answer", anAnswer, `If-Match: ""`).problem(404, "no-offer")
		s.post("/rooms/blue/offer", anOffer).is(201)
		for _, tag := range []string{`""`, "", ",", `W/""`} {
			s.post("/rooms/blue/answer", anAnswer, "If-Match: "+tag).problem(412, "superseded")
		}
		s.get("/rooms/blue/answer").problem(404, "no-answer")
	})

	t.Run("an answer to whatever stands is taken", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.post("/rooms/blue/offer", anOffer).is(201)
		s.post("/rooms/blue/answer", anAnswer, "If-Match: *").is(201)
	})
}

func TestTurnedDown(t *testing.T) {
	for _, path := range []string{"/offer-candidates", "/answer-candidates", "/answer"} {
		t.Run("a callee who is turned down hears of it at "+path, func(t *testing.T) {
			s := open(t, memstore.Limits{}, Config{})
			caller := bearing(s.post("/rooms/blue/offer", anOffer).token())
			callee := bearing(s.post("/rooms/blue/answer", anAnswer).token())
			waiting := s.park("/rooms/blue"+path, callee, "If-None-Match: *")
			s.send("PUT", "/rooms/blue/offer", description("offer", 2), caller).is(200)
			s.heard(waiting).problem(410, "turned-down")
			s.get("/rooms/blue"+path, callee).problem(410, "turned-down")
			s.get("/rooms/blue/offer", callee).is(200).says(description("offer", 2))
			s.post("/rooms/blue/answer-candidate", aCandidate, callee).problem(401, "wrong-token")
		})
	}

	t.Run("a new offer empties the answer and both lists", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		caller := bearing(s.post("/rooms/blue/offer", anOffer).token())
		callee := bearing(s.post("/rooms/blue/answer", anAnswer).token())
		s.post("/rooms/blue/offer-candidate", aCandidate, caller).is(201)
		s.post("/rooms/blue/answer-candidate", aCandidate, callee).is(201)
		s.send("PUT", "/rooms/blue/offer", description("offer", 2), caller).is(200).says(`{"room":"blue"}` + "\n")
		s.get("/rooms/blue/offer", caller).is(200).says(description("offer", 2))
		s.get("/rooms/blue/answer", caller).problem(404, "no-answer")
		s.get("/rooms/blue/offer-candidates", caller).is(200).says("[]")
		s.get("/rooms/blue/answer-candidates", caller).is(200).says("[]")
	})
}

func TestRoomNames(t *testing.T) {
	for _, test := range []struct {
		says, name string // as it stands in the path
		refusal    string // the problem, or "" for a name that is good
		status     int
		is         string // the room's name, where it is not name
	}{
		{says: "a name of all kinds of characters is good", name: "A.z_9~"},
		{says: "64 characters are good", name: strings.Repeat("x", 64)},
		{says: "a letter may be percent-encoded", name: "%62lue", is: "blue"},
		{says: "65 characters are too many", name: strings.Repeat("x", 65), status: 400, refusal: "invalid"},
		{says: "no character is too few", name: "", status: 400, refusal: "invalid"},
		{says: "a dash is refused", name: "a-b", status: 400, refusal: "invalid"},
		{says: "an encoded slash is refused", name: "a%2Fb", status: 400, refusal: "invalid"},
		{says: "an encoded percent sign is not decoded twice", name: "%2562lue", status: 400, refusal: "invalid"},
		{says: "a letter that is not ASCII is refused", name: "bl%C3%BCe", status: 400, refusal: "invalid"},
		{says: "a space is refused", name: "a%20b", status: 400, refusal: "invalid"},
		{says: "a slash is no part of a name", name: "a/b", status: 404, refusal: "not-found"},
	} {
		t.Run(test.says, func(t *testing.T) {
			s := open(t, memstore.Limits{}, Config{})
			r := s.post("/rooms/"+test.name+"/offer", anOffer)
			if test.refusal != "" {
				r.problem(test.status, test.refusal)
				s.get("/rooms/"+test.name+"/answer-candidates").problem(test.status, test.refusal)
				s.get("/offer").problem(404, "no-offer") // it was not taken for the lobby
				return
			}
			if test.is == "" {
				test.is = test.name
			}
			r.is(201).has("Location", "/rooms/"+test.is+"/offer")
			s.get("/rooms/" + test.is + "/offer").is(200).says(anOffer)
		})
	}

	t.Run("a room that was not opened holds nothing", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.get("/rooms/blue/offer").problem(404, "no-offer")
		s.get("/rooms/blue/answer").problem(404, "no-answer")
		s.get("/rooms/blue/offer-candidates").problem(404, "no-room")
		s.get("/rooms/blue/answer-candidates").problem(404, "no-room")
		s.get("/rooms/blue/offer", bearing("nobody")).problem(404, "no-offer")
		s.get("/rooms/blue/answer", bearing("nobody")).problem(404, "closed")
		s.get("/rooms/blue/offer-candidates", bearing("nobody")).problem(404, "no-room")
		s.get("/rooms/blue/answer-candidates", bearing("nobody")).problem(404, "closed")
		s.send("PUT", "/rooms/blue/offer", anOffer, bearing("nobody")).problem(404, "no-room")
		s.post("/rooms/blue/offer-candidate", aCandidate, bearing("nobody")).problem(404, "no-room")
		s.send("DELETE", "/rooms/blue", "").problem(404, "no-room")
	})
}
