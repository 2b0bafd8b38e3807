package storetest

import "p2pchat/signaling"

func closing(s suite) {
	s.test("a closed room is gone", func(x *store) {
		caller, callee := x.met("room")
		x.want(x.Close(x.ctx, caller), nil, "closing")
		x.expect("after closing", reader("room"), signaling.ErrNoOffer, signaling.ErrNoAnswer, signaling.ErrNoRoom, signaling.ErrNoRoom)
		for _, t := range []signaling.Ticket{caller, callee} {
			x.expect("after closing, with a token", t, signaling.ErrNoOffer, signaling.ErrClosed, signaling.ErrNoRoom, signaling.ErrClosed)
			x.refuses("after closing, with a token", t, callerReads, signaling.ErrClosed)
			_, err := x.AddCandidates(x.ctx, t, 0, list("late")...)
			x.want(err, signaling.ErrNoRoom, "adding")
		}
		_, err := x.Reoffer(x.ctx, caller, offer("2"))
		x.want(err, signaling.ErrNoRoom, "reoffering")
		_, err = x.Answer(x.ctx, callee, "", answer("1"))
		x.want(err, signaling.ErrNoOffer, "answering")
		x.want(x.Close(x.ctx, caller), signaling.ErrNoRoom, "closing again")
	})
	s.test("only the caller closes the room", func(x *store) {
		caller, callee := x.met("room")
		for who, t := range map[string]signaling.Ticket{
			"the callee": callee, "the callee as caller": {Room: "room", Token: callee.Token},
			"a stranger": signaling.NewTicket("room", signaling.Caller), "a reader": reader("room"),
		} {
			x.want(x.Close(x.ctx, t), signaling.ErrWrongToken, "closing as %s", who)
		}
		x.holds("room", signaling.Caller, offer("1"))
		x.want(x.Close(x.ctx, signaling.NewTicket("elsewhere", signaling.Caller)), signaling.ErrNoRoom, "closing no room")
		x.want(x.Close(x.ctx, caller), nil, "closing")
	})
	s.test("closing a room ends the reads that wait in it", func(x *store) {
		caller, callee := x.met("room")
		all := x.waitForAll(documents, caller, callee, reader("room"))
		x.want(x.Close(x.ctx, caller), nil, "closing")
		for who, w := range all {
			x.want(x.result(w).err, signaling.ErrClosed, "%s", who)
		}
	})
	s.test("the name of a closed room is free, and its tokens are not valid", func(x *store) {
		old, turnedDown := x.met("room")
		v, err := x.Reoffer(x.ctx, old, offer("2"))
		x.want(err, nil, "reoffering")
		oldCallee := signaling.NewTicket("room", signaling.Callee)
		_, err = x.Answer(x.ctx, oldCallee, v, answer("1"))
		x.want(err, nil, "answering")
		x.want(x.Close(x.ctx, old), nil, "closing")
		caller, _ := x.opened("room")
		x.holds("room", signaling.Callee, nil)
		x.lists("room", signaling.Caller, 0)
		x.lists("room", signaling.Callee, 0)
		x.want(x.Close(x.ctx, old), signaling.ErrWrongToken, "closing with the old token")
		for _, t := range []signaling.Ticket{old, oldCallee, turnedDown} {
			x.refuses("with an old token", t, callerReads, signaling.ErrTurnedDown)
			_, err := x.AddCandidates(x.ctx, t, 0, list("late")...)
			x.want(err, signaling.ErrWrongToken, "adding with an old token")
		}
		x.add(caller, 0, 1, "caller 0")
		o := x.candidates(x.ctx, turnedDown, signaling.Caller, 0, signaling.Forever)
		x.want(o.err, nil, "reading the new caller's candidates")
		x.same(o.list, "caller 0")
	})
}
