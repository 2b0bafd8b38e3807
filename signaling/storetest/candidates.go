package storetest

import (
	"strings"

	"p2pchat/signaling"
)

func candidates(s suite) {
	s.test("candidates are read byte for byte as they were written", func(x *store) {
		caller, _ := x.opened("room")
		var odd []signaling.Candidate
		for _, o := range append(oddities, "", ` "candidate":""`) {
			odd = append(odd, signaling.Candidate("{"+o+"}"))
		}
		_, err := x.AddCandidates(x.ctx, caller, 0, odd[0])
		x.want(err, nil, "adding one")
		_, err = x.AddCandidates(x.ctx, caller, 1, odd[1:]...)
		x.want(err, nil, "adding the rest")
		got := x.candidates(x.ctx, reader("room"), signaling.Caller, 0, 0)
		x.want(got.err, nil, "reading")
		if len(got.list) != len(odd) {
			x.Fatalf("there are %d, want %d", len(got.list), len(odd))
		}
		for i := range odd {
			if string(got.list[i]) != string(odd[i]) {
				x.Errorf("%q became %q", odd[i], got.list[i])
			}
		}
	})
	s.test("a writer of candidates may use its buffers again", func(x *store) {
		caller, _ := x.opened("room")
		mine := list("mine")
		_, err := x.AddCandidates(x.ctx, caller, 0, mine...)
		x.want(err, nil, "adding")
		copy(mine[0], strings.Repeat("x", len(mine[0])))
		x.lists("room", signaling.Caller, 0, "mine")
	})
	s.test("candidates are read from an index on", func(x *store) {
		caller, _ := x.opened("room")
		x.add(caller, -1, 3, "a", "b", "c")
		x.lists("room", signaling.Caller, 0, "a", "b", "c")
		x.lists("room", signaling.Caller, 1, "b", "c")
		x.lists("room", signaling.Caller, 2, "c")
		x.lists("room", signaling.Caller, 3)
		x.lists("room", signaling.Caller, 1000)
		x.lists("room", signaling.Callee, 0)
		x.want(x.candidates(x.ctx, reader("room"), signaling.Caller, -1, 0).err, signaling.ErrInvalid, "reading from before the first")
	})
	s.test("a list that was read does not change while the room's list grows", func(x *store) {
		caller, _ := x.opened("room")
		x.add(caller, 0, 3, "a", "b", "c")
		before := x.candidates(x.ctx, reader("room"), signaling.Caller, 0, 0).list
		x.add(caller, 3, 4, "d")
		_ = append(before, list("a reader's own")...)
		x.same(before, "a", "b", "c")
		x.lists("room", signaling.Caller, 0, "a", "b", "c", "d")
	})
	s.test("candidates that the list has are not added again", func(x *store) {
		caller, _ := x.opened("room")
		x.add(caller, 0, 2, "a", "b")
		x.add(caller, 0, 2, "a", "b")
		x.add(caller, 0, 2, "a")
		x.add(caller, 1, 3, "b", "c")
		x.add(caller, 3, 4, "d")
		x.add(caller, 2, 4, "c", "d")
		x.lists("room", signaling.Caller, 0, "a", "b", "c", "d")
	})
	s.test("without an index candidates go to the end", func(x *store) {
		caller, _ := x.opened("room")
		x.add(caller, -1, 1, "a")
		x.add(caller, 1, 2, "b")
		x.add(caller, -1, 4, "b", "c")
		x.lists("room", signaling.Caller, 0, "a", "b", "b", "c")
	})
	s.test("adding none counts the list", func(x *store) {
		caller, _ := x.opened("room")
		x.add(caller, -1, 0)
		x.add(caller, 0, 1, "a")
		x.add(caller, -1, 1)
	})
	s.test("a list has no gaps", func(x *store) {
		caller, _ := x.opened("room")
		for n := range 2 {
			_, err := x.AddCandidates(x.ctx, caller, n+1, list("stray")...)
			x.want(err, signaling.ErrGap, "adding at %d to a list of %d", n+1, n)
			x.add(caller, n, n+1, "fits")
		}
		x.lists("room", signaling.Caller, 0, "fits", "fits")
	})
	s.limited("a full list takes no more", Limits{Candidates: 3}, func(x *store) {
		caller, callee := x.met("room")
		_, err := x.AddCandidates(x.ctx, caller, -1, list("b", "c", "d")...)
		x.want(err, signaling.ErrListFull, "adding three where two fit")
		x.lists("room", signaling.Caller, 0, "caller 0")
		x.add(caller, 1, 3, "b", "c")
		for _, at := range []int{-1, 3} {
			_, err = x.AddCandidates(x.ctx, caller, at, list("d")...)
			x.want(err, signaling.ErrListFull, "adding one at %d", at)
		}
		x.add(caller, 1, 3, "b", "c")
		x.add(callee, 1, 3, "b", "c")
		x.lists("room", signaling.Caller, 0, "caller 0", "b", "c")
	})
	s.limited("a list with too many bytes takes no more", Limits{ListBytes: 6}, func(x *store) {
		caller, v := x.opened("room")
		one := signaling.Candidate("{}")
		_, err := x.AddCandidates(x.ctx, caller, 0, one, signaling.Candidate("{   }"))
		x.want(err, signaling.ErrListFull, "adding seven bytes where six fit")
		x.lists("room", signaling.Caller, 0)
		for range 2 { // a repetition adds nothing
			n, err := x.AddCandidates(x.ctx, caller, 0, one, one, one)
			if x.want(err, nil, "filling the list"); n != 3 {
				x.Errorf("the list has %d", n)
			}
		}
		_, err = x.AddCandidates(x.ctx, caller, 3, one)
		x.want(err, signaling.ErrListFull, "adding one more")
		callee := signaling.NewTicket("room", signaling.Callee)
		_, err = x.Answer(x.ctx, callee, v, answer("1"))
		x.want(err, nil, "answering")
		_, err = x.AddCandidates(x.ctx, callee, 0, one, one, one)
		x.want(err, nil, "filling the other list")
		_, err = x.Reoffer(x.ctx, caller, offer("2"))
		x.want(err, nil, "reoffering")
		_, err = x.AddCandidates(x.ctx, caller, 0, one, one, one)
		x.want(err, nil, "filling the list that was emptied")
	})
	s.test("128 KiB of candidates fit by default", func(x *store) {
		caller, _ := x.opened("room")
		quarter := signaling.Candidate("{" + strings.Repeat(" ", 32<<10-2) + "}")
		for at := range 4 {
			_, err := x.AddCandidates(x.ctx, caller, at, quarter)
			x.want(err, nil, "adding number %d", at)
		}
		_, err := x.AddCandidates(x.ctx, caller, 4, signaling.Candidate("{}"))
		x.want(err, signaling.ErrListFull, "adding one more")
	})
	s.test("a hundred candidates fit by default", func(x *store) {
		caller, _ := x.opened("room")
		x.add(caller, 0, 100, strings.Split(strings.Repeat("x ", 99)+"x", " ")...)
		_, err := x.AddCandidates(x.ctx, caller, 100, list("one more")...)
		x.want(err, signaling.ErrListFull, "adding one more")
	})
	s.test("only the owner of a side adds to its list", func(x *store) {
		caller, _ := x.opened("room")
		pretender := signaling.Ticket{Room: "room", Side: signaling.Callee, Token: caller.Token}
		for who, t := range map[string]signaling.Ticket{
			"the caller as callee, before an answer": pretender, "a reader, before an answer": {Room: "room", Side: signaling.Callee},
		} {
			_, err := x.AddCandidates(x.ctx, t, 0, list("stray")...)
			x.want(err, signaling.ErrWrongToken, "adding as %s", who)
		}
		callee := signaling.NewTicket("room", signaling.Callee)
		_, err := x.Answer(x.ctx, callee, "", answer("1"))
		x.want(err, nil, "answering")
		for who, t := range map[string]signaling.Ticket{
			"the caller as callee": pretender, "the callee as caller": {Room: "room", Token: callee.Token},
			"a reader": reader("room"), "a stranger": signaling.NewTicket("room", signaling.Callee),
		} {
			_, err := x.AddCandidates(x.ctx, t, 0, list("stray")...)
			x.want(err, signaling.ErrWrongToken, "adding as %s", who)
		}
		x.lists("room", signaling.Caller, 0)
		x.lists("room", signaling.Callee, 0)
		_, err = x.AddCandidates(x.ctx, signaling.NewTicket("elsewhere", signaling.Caller), 0, list("stray")...)
		x.want(err, signaling.ErrNoRoom, "adding in no room")
	})
	s.test("an invalid candidate is refused, and those added with it", func(x *store) {
		caller, _ := x.opened("room")
		for _, body := range []string{"", "null", "[]", "[{}]", `"a"`, "{", "{}{}", "{}, {}", "{\"a\":\"\xff\"}"} {
			_, err := x.AddCandidates(x.ctx, caller, 0, signaling.Candidate("{}"), signaling.Candidate(body))
			x.want(err, signaling.ErrInvalid, "adding %q", body)
		}
		x.lists("room", signaling.Caller, 0)
	})
}
