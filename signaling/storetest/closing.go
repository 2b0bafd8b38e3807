package storetest

import "p2pchat/signaling"

func closing(s suite) {
	s.test("a closed room is gone", func(x *store) {
		caller, callee := x.met("room")
		x.want(x.Close(x.ctx, caller), nil, "closing")
		x.expect("after it", reader("room"), 0, signaling.ErrNoOffer, signaling.ErrNoAnswer, signaling.ErrNoRoom, signaling.ErrNoRoom)
		for _, t := range []signaling.Ticket{caller, callee} {
			x.expect("after it, with a token", t, signaling.Forever, signaling.ErrClosed, signaling.ErrClosed, signaling.ErrClosed, signaling.ErrClosed)
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
			"a stranger": signaling.NewTicket("room", signaling.Caller), "nobody": reader("room"),
		} {
			x.want(x.Close(x.ctx, t), signaling.ErrWrongToken, "closing as %s", who)
		}
		x.holds("room", signaling.Caller, offer("1"))
		x.want(x.Close(x.ctx, signaling.NewTicket("elsewhere", signaling.Caller)), signaling.ErrNoRoom, "closing no room")
		x.want(x.Close(x.ctx, caller), nil, "closing")
	})
	s.test("whoever waits in a room that is closed hears it", func(x *store) {
		caller, callee := x.met("room")
		all := x.everybodyWaits(caller, callee, reader("room"))
		x.want(x.Close(x.ctx, caller), nil, "closing")
		for who, w := range all {
			x.want(x.hear(w).err, signaling.ErrClosed, "%s", who)
		}
	})
	s.test("a closed room's name is free, and its tokens are dead", func(x *store) {
		old, oldCallee := x.met("room")
		x.want(x.Close(x.ctx, old), nil, "closing")
		caller, _ := x.opened("room")
		x.holds("room", signaling.Callee, nil)
		x.lists("room", signaling.Caller, 0)
		x.lists("room", signaling.Callee, 0)
		x.want(x.Close(x.ctx, old), signaling.ErrWrongToken, "closing with the old token")
		for _, t := range []signaling.Ticket{old, oldCallee} {
			x.want(x.description(x.ctx, t, signaling.Caller, "", 0).err, signaling.ErrTurnedDown, "reading with an old token")
			_, err := x.AddCandidates(x.ctx, t, 0, list("late")...)
			x.want(err, signaling.ErrWrongToken, "adding with an old token")
		}
		x.add(caller, 0, 1, "caller 0")
	})
}
