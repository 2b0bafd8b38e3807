package storetest

import (
	"maps"

	"p2pchat/signaling"
)

func answers(s suite) {
	s.test("an answer is read byte for byte as it was written", func(x *store) {
		for i, odd := range oddities {
			room := "room" + string(rune('a'+i))
			x.opened(room)
			d := signaling.Description(`{"type":"answer", ` + odd + ` }`)
			v, err := x.Answer(x.ctx, signaling.NewTicket(room, signaling.Callee), "", d)
			x.want(err, nil, "answering %s", d)
			if read := x.holds(room, signaling.Callee, d); read != v {
				x.Errorf("the writer got version %q, the reader %q", v, read)
			}
		}
	})
	s.test("there is nothing to answer without an offer", func(x *store) {
		_, err := x.Answer(x.ctx, signaling.NewTicket("room", signaling.Callee), "", answer("1"))
		x.want(err, signaling.ErrNoOffer, "answering")
		_, err = x.Answer(x.ctx, signaling.NewTicket(signaling.Lobby, signaling.Callee), "v", answer("1"))
		x.want(err, signaling.ErrNoOffer, "answering a version in the lobby")
	})
	s.test("an offer has one answer", func(x *store) {
		_, callee := x.met("room")
		v := x.holds("room", signaling.Caller, offer("1"))
		for _, to := range []signaling.Version{"", v} {
			_, err := x.Answer(x.ctx, signaling.NewTicket("room", signaling.Callee), to, answer("2"))
			x.want(err, signaling.ErrAnswered, "a second answer")
			_, err = x.Answer(x.ctx, signaling.NewTicket("room", signaling.Callee), to, answer("1"))
			x.want(err, signaling.ErrAnswered, "the same answer with another ticket")
			_, err = x.Answer(x.ctx, callee, to, answer("2"))
			x.want(err, signaling.ErrAnswered, "another answer with the same ticket")
		}
		x.holds("room", signaling.Callee, answer("1"))
		x.lists("room", signaling.Callee, 0, "callee 0")
	})
	s.test("an answer may name the offer that it answers", func(x *store) {
		caller, old := x.opened("room")
		now, err := x.Reoffer(x.ctx, caller, offer("2"))
		x.want(err, nil, "reoffering")
		callee := signaling.NewTicket("room", signaling.Callee)
		for _, to := range []signaling.Version{old, "never-was"} {
			_, err = x.Answer(x.ctx, callee, to, answer("1"))
			x.want(err, signaling.ErrSuperseded, "answering version %q", to)
		}
		x.holds("room", signaling.Callee, nil)
		_, err = x.Answer(x.ctx, callee, now, answer("1"))
		x.want(err, nil, "answering the current offer")
	})
	s.test("an answer repeated with its ticket changes nothing", func(x *store) {
		_, callee := x.met("room")
		before := x.holds("room", signaling.Callee, answer("1"))
		for _, to := range []signaling.Version{"", x.holds("room", signaling.Caller, offer("1"))} {
			v, err := x.Answer(x.ctx, callee, to, answer("1"))
			x.want(err, nil, "repeating the answer")
			if v != before {
				x.Errorf("the repeated answer has version %q, the first one had %q", v, before)
			}
		}
		x.lists("room", signaling.Callee, 0, "callee 0")
	})
	s.test("no two descriptions of a room share a version", func(x *store) {
		seen := map[signaling.Version]string{}
		check := func(what string, v signaling.Version) {
			if had, twice := seen[v]; twice || v == "" {
				x.Errorf("%s has version %q, like %s", what, v, had)
			}
			seen[v] = what
		}
		for range 2 { // the second time in a room that was closed before
			caller, v := x.opened("room")
			check("an offer", v)
			for range 3 {
				d := offer(string(v)) // another one each time
				var err error
				v, err = x.Reoffer(x.ctx, caller, d)
				x.want(err, nil, "reoffering")
				check("a new offer", v)
				a, err := x.Answer(x.ctx, signaling.NewTicket("room", signaling.Callee), v, answer("1"))
				x.want(err, nil, "answering")
				check("an answer", a)
			}
			x.want(x.Close(x.ctx, caller), nil, "closing")
		}
	})
}

func lobby(s suite) {
	s.test("the lobby needs no token", func(x *store) {
		caller, callee := signaling.Ticket{Room: signaling.Lobby}, signaling.Ticket{Room: signaling.Lobby, Side: signaling.Callee}
		for range 2 {
			_, err := x.Offer(x.ctx, caller, offer("1"))
			x.want(err, nil, "offering")
			x.add(callee, -1, 1, "early") // before the answer, as some peers do
			_, err = x.Answer(x.ctx, callee, "", answer("1"))
			x.want(err, nil, "answering")
			x.add(caller, -1, 1, "caller 0")
			x.add(callee, -1, 2, "callee 1")
			x.lists(signaling.Lobby, signaling.Callee, 0, "early", "callee 1")
			_, err = x.Reoffer(x.ctx, caller, offer("2"))
			x.want(err, nil, "reoffering")
			x.holds(signaling.Lobby, signaling.Callee, nil)
			x.want(x.Close(x.ctx, caller), nil, "closing")
			x.holds(signaling.Lobby, signaling.Caller, nil)
		}
	})
	s.test("a new offer in the lobby replaces the current one", func(x *store) {
		old, callee := x.met(signaling.Lobby)
		before := x.holds(signaling.Lobby, signaling.Caller, offer("1"))
		all := x.waitForAll(callerReads, old)
		maps.Copy(all, x.waitForAll(calleeReads, callee))
		candidates := x.wait(func() outcome { return x.candidates(x.ctx, old, signaling.Caller, 1, signaling.Forever) })
		plain := x.wait(func() outcome {
			return x.description(x.ctx, reader(signaling.Lobby), signaling.Caller, before, signaling.Forever)
		})
		caller := signaling.NewTicket(signaling.Lobby, signaling.Caller)
		v, err := x.Offer(x.ctx, caller, offer("2"))
		x.want(err, nil, "offering")
		if o := x.result(plain); o.err != nil || o.v != v || v == before {
			x.Errorf("a read without a token returned %q, %v; the offer before was %q, the new one is %q", o.v, o.err, before, v)
		}
		for who, w := range all {
			x.want(x.result(w).err, signaling.ErrTurnedDown, "%s, with an old token", who)
		}
		x.holds(signaling.Lobby, signaling.Callee, nil)
		x.lists(signaling.Lobby, signaling.Caller, 0)
		x.lists(signaling.Lobby, signaling.Callee, 0)
		_, err = x.AddCandidates(x.ctx, old, 0, list("late")...)
		x.want(err, signaling.ErrWrongToken, "adding with the old caller's token")
		x.add(caller, 0, 2, "caller 0", "caller 1")
		o := x.result(candidates)
		x.want(o.err, nil, "the new caller's candidates, with the old one's token")
		x.same(o.list, "caller 1")
	})
	s.test("an offer repeated in the lobby changes nothing", func(x *store) {
		caller, _ := x.met(signaling.Lobby)
		before := x.holds(signaling.Lobby, signaling.Caller, offer("1"))
		v, err := x.Offer(x.ctx, caller, offer("1"))
		x.want(err, nil, "repeating")
		if v != before {
			x.Errorf("the repeated offer has version %q, the first one had %q", v, before)
		}
		x.holds(signaling.Lobby, signaling.Callee, answer("1"))
	})
	s.test("a new answer in the lobby replaces the old one, and not the lists", func(x *store) {
		caller, old := x.met(signaling.Lobby)
		v := x.holds(signaling.Lobby, signaling.Caller, offer("1"))
		before := x.holds(signaling.Lobby, signaling.Callee, answer("1"))
		all := x.waitForAll(calleeReads, old)
		answered := x.wait(func() outcome { return x.description(x.ctx, caller, signaling.Callee, before, signaling.Forever) })
		callee := signaling.NewTicket(signaling.Lobby, signaling.Callee)
		_, err := x.Answer(x.ctx, callee, "never-was", answer("2"))
		x.want(err, signaling.ErrSuperseded, "answering an unknown version")
		_, err = x.Answer(x.ctx, callee, v, answer("2"))
		x.want(err, nil, "answering")
		if o := x.result(answered); o.err != nil || string(o.d) != string(answer("2")) {
			x.Errorf("the caller got %q, %v", o.d, o.err)
		}
		for who, w := range all {
			x.want(x.result(w).err, signaling.ErrTurnedDown, "%s, with the old answer's token", who)
		}
		x.add(callee, -1, 2, "second callee 0")
		x.lists(signaling.Lobby, signaling.Callee, 0, "callee 0", "second callee 0")
		x.lists(signaling.Lobby, signaling.Caller, 0, "caller 0")
		_, err = x.Reoffer(x.ctx, caller, offer("2"))
		x.want(err, nil, "reoffering")
		for who, t := range map[string]signaling.Ticket{"the first callee": old, "the second": callee} {
			x.refuses(who, t, calleeReads, signaling.ErrTurnedDown)
		}
	})
}
