package storetest

import (
	"strconv"
	"strings"

	"p2pchat/signaling"
)

// Members of documents whose bytes a program changes that decodes and encodes them.
var oddities = []string{
	`"sdp":"v=0\r\n","handshake":{"share":"YWJj","a":[1,2.50,1e3,null]}`,
	"\n\t\"sdp\" : \"\\u0041 ü \\/ <&> \u2028\" ,\r\n \"sdp\":\"twice\"",
	`"sdp":"","big":123456789012345678901234567890.10`,
}

// Bodies that are not a description by either side.
var invalid = []string{
	"", " ", "null", "[]", `"offer"`, "{", "{}", `{"type":"offer"}`, `{"sdp":"x"}`, `{"type":"pranswer","sdp":""}`,
	`{"type":1,"sdp":""}`, `{"type":"offer","sdp":null}`, `{"type":"answer","sdp":{}}`, `{"type":"offer","sdp":""}{}`, "{\"type\":\"offer\",\"sdp\":\"\xff\"}",
}

func offers(s suite) {
	s.test("an offer is read byte for byte as it was written", func(x *store) {
		for i, odd := range oddities {
			room := "room" + string(rune('a'+i))
			d := signaling.Description(`{"type":"offer", ` + odd + ` }`)
			v, err := x.Offer(x.ctx, signaling.NewTicket(room, signaling.Caller), d)
			x.want(err, nil, "offering %s", d)
			if read := x.holds(room, signaling.Caller, d); read != v {
				x.Errorf("the writer got version %q, the reader %q", v, read)
			}
		}
	})
	s.test("a writer may use its buffer again", func(x *store) {
		d := offer("mine")
		_, err := x.Offer(x.ctx, signaling.NewTicket("room", signaling.Caller), d)
		x.want(err, nil, "offering")
		copy(d, strings.Repeat("x", len(d)))
		x.holds("room", signaling.Caller, offer("mine"))
	})
	s.test("a room has one offer", func(x *store) {
		_, v := x.opened("room")
		_, err := x.Offer(x.ctx, signaling.NewTicket("room", signaling.Caller), offer("2"))
		x.want(err, signaling.ErrOccupied, "a second offer")
		_, err = x.Offer(x.ctx, signaling.NewTicket("room", signaling.Caller), offer("1"))
		x.want(err, signaling.ErrOccupied, "the same offer with another ticket")
		if now := x.holds("room", signaling.Caller, offer("1")); now != v {
			x.Errorf("the refused offers changed the version from %q to %q", v, now)
		}
	})
	s.test("an offer repeated with its ticket changes nothing", func(x *store) {
		caller, callee := x.met("room")
		before := x.holds("room", signaling.Caller, offer("1"))
		v, err := x.Offer(x.ctx, caller, offer("1"))
		x.want(err, nil, "repeating the offer")
		if v != before {
			x.Errorf("the repeated offer has version %q, the first one had %q", v, before)
		}
		x.holds("room", signaling.Callee, answer("1"))
		x.lists("room", signaling.Caller, 0, "caller 0")
		x.add(callee, -1, 2, "callee 1")
		_, err = x.Offer(x.ctx, caller, offer("2"))
		x.want(err, signaling.ErrOccupied, "another offer with the same ticket")
	})
	s.test("an invalid description is refused", func(x *store) {
		t := signaling.NewTicket("room", signaling.Caller)
		for _, body := range append(invalid, string(answer("1"))) {
			_, err := x.Offer(x.ctx, t, signaling.Description(body))
			x.want(err, signaling.ErrInvalid, "offering %q", body)
		}
		x.holds("room", signaling.Caller, nil)
		caller, v := x.opened("room")
		for _, body := range append(invalid, string(answer("1"))) {
			_, err := x.Reoffer(x.ctx, caller, signaling.Description(body))
			x.want(err, signaling.ErrInvalid, "reoffering %q", body)
		}
		for _, body := range append(invalid, string(offer("1"))) {
			_, err := x.Answer(x.ctx, signaling.NewTicket("room", signaling.Callee), v, signaling.Description(body))
			x.want(err, signaling.ErrInvalid, "answering %q", body)
		}
		x.holds("room", signaling.Caller, offer("1"))
		x.holds("room", signaling.Callee, nil)
	})
	s.limited("a room over the limit is refused", Limits{Rooms: 2}, func(x *store) {
		caller, _ := x.opened("one")
		x.opened("two")
		_, err := x.Offer(x.ctx, signaling.NewTicket("three", signaling.Caller), offer("1"))
		x.want(err, signaling.ErrServerFull, "a third room")
		x.holds("three", signaling.Caller, nil)
		_, err = x.Offer(x.ctx, caller, offer("1"))
		x.want(err, nil, "repeating an offer that fits")
		_, err = x.Reoffer(x.ctx, caller, offer("2"))
		x.want(err, nil, "replacing an offer that fits")
		x.want(x.Close(x.ctx, caller), nil, "closing a room")
		x.opened("three")
	})
	s.test("rooms do not see each other", func(x *store) {
		caller, callee := x.met("one")
		x.opened("two")
		x.holds("two", signaling.Callee, nil)
		x.lists("two", signaling.Caller, 0)
		for _, t := range []signaling.Ticket{caller, callee} {
			t.Room = "two"
			x.refuses("with a token of the other room", t, callerReads, signaling.ErrTurnedDown)
			_, err := x.AddCandidates(x.ctx, t, 0, list("stray")...)
			x.want(err, signaling.ErrWrongToken, "adding with a token of the other room")
			x.want(x.Close(x.ctx, t), signaling.ErrWrongToken, "closing with a token of the other room")
		}
	})
	s.test("a room's name is 1 to 64 plain characters", func(x *store) {
		for _, name := range []string{"a", "0", "~", strings.Repeat("z", 64), "Az09._~", "...", "offer", "Lobby"} {
			caller, _ := x.met(name)
			x.holds(name, signaling.Caller, offer("1"))
			x.want(x.Close(x.ctx, caller), nil, "closing room %q", name)
		}
		for _, name := range []string{"", strings.Repeat("z", 65), "a-b", "a b", "a/b", "a/../b", "a%41", "é", "\x00", "a\n", "a?b", "a#b", "a\xff", "a;b", "a+b"} {
			x.refusesRoom(name)
		}
	})
}

// refusesRoom expects every method to refuse that name.
func (x *store) refusesRoom(name string) {
	caller, callee := signaling.NewTicket(name, signaling.Caller), signaling.NewTicket(name, signaling.Callee)
	_, err := x.Offer(x.ctx, caller, offer("1"))
	x.want(err, signaling.ErrInvalid, "offering in %q", name)
	_, err = x.Reoffer(x.ctx, caller, offer("1"))
	x.want(err, signaling.ErrInvalid, "reoffering in %q", name)
	_, err = x.Answer(x.ctx, callee, "", answer("1"))
	x.want(err, signaling.ErrInvalid, "answering in %q", name)
	_, err = x.AddCandidates(x.ctx, caller, 0, list("1")...)
	x.want(err, signaling.ErrInvalid, "adding candidates in %q", name)
	x.want(x.Close(x.ctx, caller), signaling.ErrInvalid, "closing %q", name)
	x.want(x.description(x.ctx, reader(name), signaling.Caller, "", 0).err, signaling.ErrInvalid, "reading the offer of %q", name)
	x.want(x.candidates(x.ctx, reader(name), signaling.Caller, 0, 0).err, signaling.ErrInvalid, "reading the candidates of %q", name)
}

func reoffers(s suite) {
	s.test("a new offer of the caller empties the room", func(x *store) {
		caller, _ := x.met("room")
		before := x.holds("room", signaling.Caller, offer("1"))
		v, err := x.Reoffer(x.ctx, caller, offer("2"))
		x.want(err, nil, "reoffering")
		if now := x.holds("room", signaling.Caller, offer("2")); now != v || now == before {
			x.Errorf("the version read is %q, the writer got %q, the old one was %q", now, v, before)
		}
		x.holds("room", signaling.Callee, nil)
		x.lists("room", signaling.Caller, 0)
		x.lists("room", signaling.Callee, 0)
		x.add(caller, 0, 1, "new 0")
	})
	s.test("after a new offer of the caller, the callee's token is not valid", func(x *store) {
		caller, callee := x.met("room")
		v, err := x.Reoffer(x.ctx, caller, offer("2"))
		x.want(err, nil, "reoffering")
		_, err = x.AddCandidates(x.ctx, callee, 0, list("late")...)
		x.want(err, signaling.ErrWrongToken, "adding with the old token")
		x.refuses("with the old token", callee, calleeReads, signaling.ErrTurnedDown)
		if o := x.description(x.ctx, callee, signaling.Caller, "", signaling.Forever); o.err != nil || o.v != v {
			x.Errorf("the offer, with the old token: version %q, %v; want %q", o.v, o.err, v)
		}
		_, err = x.Answer(x.ctx, callee, v, answer("2"))
		x.want(err, nil, "answering the new offer")
		x.add(callee, 0, 1, "callee 0")
		x.expect("with the token of the new answer", callee, signaling.ErrUnchanged, signaling.ErrUnchanged, nil, nil)
	})
	s.test("the last eight callees of a room who were turned down are remembered", func(x *store) {
		caller, v := x.opened("room")
		var callees []signaling.Ticket
		for i := range 8 {
			callee := signaling.NewTicket("room", signaling.Callee)
			callees = append(callees, callee)
			_, err := x.Answer(x.ctx, callee, v, answer("1"))
			x.want(err, nil, "answering")
			v, err = x.Reoffer(x.ctx, caller, offer(strconv.Itoa(i)))
			x.want(err, nil, "reoffering")
		}
		for i, callee := range callees {
			x.refuses("callee "+strconv.Itoa(i), callee, calleeReads, signaling.ErrTurnedDown)
		}
	})
	s.test("a new offer ends a waiting read with the callee's token", func(x *store) {
		caller, callee := x.met("room")
		all := x.waitForAll(calleeReads, callee)
		_, err := x.Reoffer(x.ctx, caller, offer("2"))
		x.want(err, nil, "reoffering")
		for who, w := range all {
			x.want(x.result(w).err, signaling.ErrTurnedDown, "%s", who)
		}
	})
	s.test("a waiting read without a token goes on through a new offer", func(x *store) { waitsThroughReoffer(x, false) })
	s.test("a waiting read of the caller goes on through a new offer", func(x *store) { waitsThroughReoffer(x, true) })
	s.test("only the caller replaces the offer", func(x *store) {
		_, err := x.Reoffer(x.ctx, signaling.NewTicket("room", signaling.Caller), offer("2"))
		x.want(err, signaling.ErrNoRoom, "reoffering in no room")
		_, callee := x.met("room")
		forged := signaling.Ticket{Room: "room", Side: signaling.Caller, Token: callee.Token}
		for who, t := range map[string]signaling.Ticket{
			"a stranger": signaling.NewTicket("room", signaling.Caller), "a reader": reader("room"), "the callee": callee, "the callee as caller": forged,
		} {
			_, err := x.Reoffer(x.ctx, t, offer("2"))
			x.want(err, signaling.ErrWrongToken, "reoffering as %s", who)
		}
		x.holds("room", signaling.Caller, offer("1"))
		x.holds("room", signaling.Callee, answer("1"))
	})
	s.test("a new offer repeated with its ticket changes nothing", func(x *store) {
		caller, _ := x.opened("room")
		v, err := x.Reoffer(x.ctx, caller, offer("2"))
		x.want(err, nil, "reoffering")
		callee := signaling.NewTicket("room", signaling.Callee)
		_, err = x.Answer(x.ctx, callee, v, answer("1"))
		x.want(err, nil, "answering")
		x.add(caller, 0, 1, "caller 0")
		repeated, err := x.Reoffer(x.ctx, caller, offer("2"))
		x.want(err, nil, "repeating the new offer")
		if repeated != v {
			x.Errorf("the repeated offer has version %q, the first one had %q", repeated, v)
		}
		x.holds("room", signaling.Callee, answer("1"))
		x.lists("room", signaling.Caller, 0, "caller 0")
		x.add(callee, 0, 1, "callee 0")
	})
}

// waitsThroughReoffer has a read wait for each document while the caller replaces its offer. The
// reads have the caller's token, or none.
func waitsThroughReoffer(x *store, token bool) {
	caller, v := x.opened("room")
	t := reader("room")
	if token {
		t = caller
	}
	all := x.waitForAll(documents, t)
	v2, err := x.Reoffer(x.ctx, caller, offer("2"))
	x.want(err, nil, "reoffering")
	callee := signaling.NewTicket("room", signaling.Callee)
	_, err = x.Answer(x.ctx, callee, v2, answer("2"))
	x.want(err, nil, "answering")
	x.add(caller, 0, 1, "caller 0")
	x.add(callee, 0, 1, "callee 0")
	for who, w := range all {
		o := x.result(w)
		x.want(o.err, nil, "%s", who)
		if o.d != nil && (o.v == "" || o.v == v) {
			x.Errorf("%s got version %q", who, o.v)
		}
	}
}
