package server

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

func TestMeeting(t *testing.T) {
	t.Run("two who follow the diagram on the flat paths meet, again and again, without a token", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		for i := range 2 {
			offer, answer := description("offer", i), description("answer", i)
			theirs, ours := candidate("caller", i), candidate("callee", i)

			s.post("/offer", offer).is(201).has("Location", "/rooms/lobby/offer")
			s.get("/offer").is(200).says(offer)
			s.post("/answer", answer).is(201)
			s.get("/answer").is(200).says(answer)
			s.post("/offer-candidate", theirs).is(201).says(`{"count":1}` + "\n")
			s.get("/offer-candidates").is(200).says("[" + theirs + "]")
			s.post("/answer-candidate", ours).is(201).says(`{"count":1}` + "\n")
			s.get("/answer-candidates").is(200).says("[" + ours + "]")
		}
	})

	t.Run("they meet when every read is there before what it reads", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		for _, read := range []struct{ path, write, body, want string }{
			{"/offer", "/offer", anOffer, anOffer},
			{"/answer", "/answer", anAnswer, anAnswer},
			{"/offer-candidates", "/offer-candidate", aCandidate, "[" + aCandidate + "]"},
			{"/answer-candidates", "/answer-candidate", aCandidate, "[" + aCandidate + "]"},
		} {
			parked := s.park(read.path)
			s.post(read.write, read.body).is(201)
			s.heard(parked).is(200).says(read.want).has("Preference-Applied", "wait=60")
		}
	})

	t.Run("a client that sends a token of its own from the start reads like anybody, then answers", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		mine, caller := bearing("mine"), bearing("theirs")
		offered, first := s.park("/rooms/blue/offer", mine), s.park("/rooms/blue/offer-candidates", mine)
		opened := s.post("/rooms/blue/offer", anOffer, caller).is(201)
		s.heard(offered).is(200).says(anOffer).has("ETag", opened.etag())
		s.post("/rooms/blue/offer-candidate", candidate("caller", 0), caller).is(201)
		s.heard(first).is(200).says("[" + candidate("caller", 0) + "]")
		second := s.park("/rooms/blue/offer-candidates?after=1", mine)
		s.post("/rooms/blue/answer", anAnswer, mine).is(201)
		s.post("/rooms/blue/offer-candidate", candidate("caller", 1), caller).is(201)
		s.heard(second).is(200).says("[" + candidate("caller", 1) + "]")
	})

	t.Run("two meet in a room of their own, each with a token", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		opened := s.post("/rooms/blue.whale/offer", anOffer).is(201).has("Location", "/rooms/blue.whale/offer")
		caller := bearing(opened.token())
		read := s.get(opened.header.Get("Location")).is(200).says(anOffer).has("ETag", opened.etag())
		answered := s.post("/rooms/blue.whale/answer", anAnswer, "If-Match: "+read.etag()).is(201)
		callee := bearing(answered.token())
		s.get("/rooms/blue.whale/answer", caller).is(200).says(anAnswer).has("ETag", answered.etag())
		for i := range 3 { // they trickle
			s.post("/rooms/blue.whale/offer-candidate", candidate("caller", i), caller).is(201)
			s.get(fmt.Sprintf("/rooms/blue.whale/offer-candidates?after=%d", i), callee).is(200).says("[" + candidate("caller", i) + "]")
			s.post("/rooms/blue.whale/answer-candidate", candidate("callee", i), callee).is(201)
			s.get(fmt.Sprintf("/rooms/blue.whale/answer-candidates?after=%d", i), caller).is(200).says("[" + candidate("callee", i) + "]")
		}
		s.send("DELETE", "/rooms/blue.whale", "", caller).is(204).says("")
		s.get("/rooms/blue.whale/offer").problem(404, "no-offer")
		s.get("/rooms/blue.whale/answer", callee).problem(404, "closed")
		s.post("/rooms/blue.whale/offer", anOffer).is(201)
	})

	t.Run("the lobby's long name is the same room", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.post("/rooms/lobby/offer", anOffer).is(201)
		s.get("/offer").is(200).says(anOffer)
		s.send("PUT", "/rooms/lobby/offer", description("offer", 2)).is(200)
		s.get("/offer").is(200).says(description("offer", 2))
		s.send("DELETE", "/rooms/lobby", "").is(204)
		s.get("/offer").problem(404, "no-offer")
	})

	const (
		all  = `{"iceServers":[{"urls":["stun:stun.example.org"]},{"urls":["turn:turn.example.org"],"username":"ann","credential":"secret"}]}` + "\n"
		stun = `{"iceServers":[{"urls":["stun:stun.example.org"]}]}` + "\n"
		path = "/rooms/blue/ice-servers"
	)
	caller, guest := bearing("caller"), bearing("guest")
	const key = signaling.KeyHeader + ": open barley"

	t.Run("who knows no more than a room's name is told of no server that takes a password", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{AccessKey: "open barley", ICEServers: iceServers})
		s.get("/ice-servers", key).is(200).says(all)
		s.get(path).problem(404, "no-room")
		s.post("/rooms/blue/offer", anOffer, caller, key).is(201)
		for _, sent := range [][]string{nil, {guest}, {caller}, {bearing("")}} {
			s.get(path, sent...).is(200).says(stun)
		}
		for number := range 900 { // each is a guess at a code's digits
			s.get(fmt.Sprintf("/rooms/%d/ice-servers", 100+number), guest).problem(404, "no-room")
		}
	})

	t.Run("a guest is told once the caller has accepted its answer, and may wait for that", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{AccessKey: "open barley", ICEServers: iceServers})
		s.post("/rooms/blue/offer", anOffer, caller, key).is(201)
		s.post("/rooms/blue/answer", anAnswer, guest).is(201)
		s.get(path, guest).is(200).says(stun)
		waiting := s.park(path, guest)
		s.post("/rooms/blue/offer-candidate", "{}", caller).is(201)
		s.heard(waiting).is(200).says(all)
		s.get(path, guest).is(200).says(all)
		for _, sent := range [][]string{nil, {bearing("another")}, {caller}} {
			s.get(path, sent...).is(200).says(stun)
		}
	})

	t.Run("a guest whose answer was turned down is told no more", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{AccessKey: "open barley", ICEServers: iceServers})
		s.post("/rooms/blue/offer", anOffer, caller, key).is(201)
		s.post("/rooms/blue/answer", anAnswer, guest).is(201)
		waiting := s.park(path, guest)
		s.send("PUT", "/rooms/blue/offer", description("offer", 2), caller, key).is(200)
		s.heard(waiting).is(200).says(stun)
		s.post("/rooms/blue/answer", anAnswer, bearing("next")).is(201)
		s.post("/rooms/blue/offer-candidate", "{}", caller).is(201)
		s.get(path, guest).is(200).says(stun)
		s.get(path, bearing("next")).is(200).says(all)
	})

	t.Run("a guest is told to come back later after many requests for a room", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{AccessKey: "open barley", ICEServers: iceServers})
		s.post("/rooms/blue/offer", anOffer, key).is(201)
		for range guestBurst {
			s.get(path).is(200)
		}
		late := s.get(path)
		late.problem(429, "too-many")
		late.has("Retry-After", "1")
		s.post("/rooms/green/offer", anOffer, key).is(201)
		s.get("/rooms/green/ice-servers").is(200)
	})

	t.Run("nothing has to be proven where anybody may open a room", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{ICEServers: iceServers})
		s.post("/rooms/blue/offer", anOffer).is(201)
		s.get(path).is(200).says(all)
	})

	t.Run("a client that writes for the caller in the lobby, or came before the answer, accepts no guest", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{AccessKey: "open barley", ICEServers: iceServers})
		s.post("/offer", anOffer, key).is(201)
		s.post("/answer", anAnswer, guest).is(201)
		s.post("/offer-candidate", "{}").is(201)
		s.get("/rooms/lobby/ice-servers", guest).is(200).says(stun)
		s.post("/rooms/blue/offer", anOffer, caller, key).is(201)
		s.post("/rooms/blue/offer-candidate", "{}", caller).is(201)
		s.post("/rooms/blue/answer", anAnswer, guest).is(201)
		s.get(path, guest).is(200).says(stun)
		s.post("/rooms/blue/offer-candidate", `{"a":1}`, caller).is(201)
		s.get(path, guest).is(200).says(all)
	})

	t.Run("a guest may wait for the room", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{AccessKey: "open barley", ICEServers: iceServers})
		waiting := s.park(path)
		s.post("/rooms/blue/offer", anOffer, key).is(201)
		s.heard(waiting).is(200).says(stun)
	})

	t.Run("a relay's credentials are the user's: one for each room, and for each address of hosts", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{AccessKey: "open barley", Relay: func(user string, guest *signaling.Ticket) []signaling.ICEServer {
			if guest != nil {
				user += " with " + guest.Token
			}
			return []signaling.ICEServer{{URLs: []string{"turn:relay.example.org"}, Username: user, Credential: "secret"}}
		}})
		s.post("/rooms/blue/offer", anOffer, key).is(201)
		for path, user := range map[string]string{path: "room blue with guest", "/ice-servers": "host 127.0.0.1"} {
			s.get(path, guest, key).is(200).says(`{"iceServers":[{"urls":["turn:relay.example.org"],"username":"` + user + `","credential":"secret"}]}` + "\n")
		}
	})

	t.Run("the relay hears whether a guest is accepted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := memstore.New(memstore.Limits{})
			s := New(store, Config{Log: slog.New(slog.DiscardHandler)})
			mine, other := signaling.NewTicket("blue", signaling.Callee), signaling.NewTicket("blue", signaling.Callee)
			host := signaling.NewTicket("blue", signaling.Caller)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			heard := map[string]chan bool{}
			for name, t := range map[string]signaling.Ticket{"mine": mine, "other": other, "none": {Room: "blue", Side: signaling.Callee}} {
				told := make(chan bool, 1)
				heard[name] = told
				go func() { told <- s.Accepted(ctx, t) }()
			}
			write := func(_ any, err error) {
				t.Helper()
				synctest.Wait()
				for name, c := range heard {
					if len(c) > 0 {
						t.Errorf("%s was told too early", name)
					}
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			write(store.Offer(ctx, host, signaling.Description(anOffer)))
			write(store.Answer(ctx, mine, "", signaling.Description(anAnswer)))
			if _, err := store.AddCandidates(ctx, host, 0, signaling.Candidate("{}")); err != nil {
				t.Fatal(err)
			}
			if !<-heard["mine"] || <-heard["other"] || <-heard["none"] {
				t.Error("the wrong guest was accepted")
			}
			if err := store.Close(ctx, host); err != nil {
				t.Fatal(err)
			}
			if s.Accepted(ctx, mine) { // it waits for another call
				t.Error("a guest is accepted in a room that is gone")
			}
		})
	})

	t.Run("a server with an access key opens rooms for those who have it, and for their guests", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{AccessKey: "sesame"})
		const key, wrong = "X-P2PChat-Key: sesame", "X-P2PChat-Key: Sesame"
		for _, room := range []string{"", "/rooms/blue"} {
			s.post(room+"/offer", anOffer).problem(401, "access-key")
			s.post(room+"/offer", anOffer, wrong).problem(401, "access-key")
			token := s.post(room+"/offer", anOffer, key).is(201).token()
			s.send("PUT", room+"/offer", description("offer", 2), bearing(token)).problem(401, "access-key")
			s.send("PUT", room+"/offer", description("offer", 2), bearing(token), key).is(200)
			s.get(room + "/offer").is(200)
			s.post(room+"/answer", anAnswer).is(201)
			s.post(room+"/offer-candidate", "{}", bearing(token)).is(201)
		}
		s.get("/ice-servers").problem(401, "access-key")
		s.get("/ice-servers", key).is(200)
		s.get("/rooms/blue/ice-servers").is(200)
	})

	t.Run("a server without ICE servers says so with an empty list", func(t *testing.T) {
		open(t, memstore.Limits{}, Config{}).get("/ice-servers").is(200).says(`{"iceServers":[]}` + "\n")
	})
}

func TestRepeating(t *testing.T) {
	const mine = "0123456789ABCDEFGHIJKLMNOP"

	t.Run("an offer that is sent again with the caller's own token is answered the same", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		first := s.post("/rooms/blue/offer", anOffer, bearing(mine)).is(201)
		if first.token() != mine {
			t.Errorf("the token is %q, want the caller's own", first.token())
		}
		s.post("/rooms/blue/answer", anAnswer).is(201)
		s.post("/rooms/blue/offer", anOffer, bearing(mine)).is(201).says(first.body).has("ETag", first.etag()).has("Location", first.header.Get("Location"))
		s.get("/rooms/blue/answer").is(200) // nothing was opened again
	})

	t.Run("an answer that is sent again with the callee's own token is answered the same", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.post("/rooms/blue/offer", anOffer).is(201)
		first := s.post("/rooms/blue/answer", anAnswer, bearing(mine)).is(201)
		s.post("/rooms/blue/answer-candidate", aCandidate, bearing(mine)).is(201)
		s.post("/rooms/blue/answer", anAnswer, bearing(mine)).is(201).says(first.body).has("ETag", first.etag())
		s.get("/rooms/blue/answer-candidates").is(200).says("[" + aCandidate + "]")
	})

	t.Run("candidates that are sent again with their index are not doubled", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.post("/offer", anOffer).is(201)
		list := "[" + candidate("caller", 0) + "," + candidate("caller", 1) + "]"
		for range 2 {
			s.post("/offer-candidates?at=0", list).is(201).says(`{"count":2}` + "\n")
		}
		s.post("/offer-candidates?at=1", candidate("caller", 1)).is(201).says(`{"count":2}` + "\n")
		s.post("/offer-candidates?at=1", "["+candidate("caller", 1)+","+candidate("caller", 2)+"]").is(201).says(`{"count":3}` + "\n")
		s.get("/offer-candidates").says("[" + candidate("caller", 0) + "," + candidate("caller", 1) + "," + candidate("caller", 2) + "]")
	})

	t.Run("candidates that would leave a gap are refused", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.post("/offer", anOffer).is(201)
		s.post("/offer-candidates?at=1", aCandidate).problem(409, "candidates-gap")
		s.get("/offer-candidates").is(200).says("[]")
	})

	t.Run("candidates without an index are added each time", func(t *testing.T) {
		s := open(t, memstore.Limits{}, Config{})
		s.post("/offer", anOffer).is(201)
		for i := range 2 {
			s.post("/offer-candidate", aCandidate).is(201).says(fmt.Sprintf(`{"count":%d}`+"\n", i+1))
		}
		s.post("/offer-candidates", "[]").is(201).says(`{"count":2}` + "\n")
	})
}

func description(kind string, i int) string {
	return fmt.Sprintf(`{"type":%q,"sdp":%q}`, kind, strings.Repeat("v=0 ", i+1))
}

func candidate(by string, i int) string { return fmt.Sprintf(`{"candidate":"%s's number %d"}`, by, i) }
