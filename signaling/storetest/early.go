package storetest

import (
	"fmt"

	"p2pchat/signaling"
)

// earlyCandidates are the candidates that a plain WebRTC client sends before its offer.
func earlyCandidates(s suite) {
	plain, callee := reader(signaling.Lobby), signaling.Ticket{Room: signaling.Lobby, Side: signaling.Callee}
	s.test("candidates in the lobby wait for an offer that is under way", func(x *store) {
		x.add(plain, -1, 1, "a")
		x.add(plain, -1, 3, "b", "c")
		x.want(x.candidates(x.ctx, plain, signaling.Caller, 0, 0).err, signaling.ErrNoRoom, "reading before the offer")
		waits := x.wait(func() outcome { return x.candidates(x.ctx, plain, signaling.Caller, 0, signaling.Forever) })
		_, err := x.Offer(x.ctx, plain, offer("1"))
		x.want(err, nil, "offering")
		x.same(x.result(waits).list, "a", "b", "c")
		x.add(plain, -1, 4, "d")
		_, err = x.Offer(x.ctx, plain, offer("2"))
		x.want(err, nil, "offering again")
		x.lists(signaling.Lobby, signaling.Caller, 0)
	})
	s.test("the lobby tells early candidates from late ones by their username fragment", func(x *store) {
		named := func(name string) signaling.Candidate {
			return fmt.Appendf(nil, `{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host","usernameFragment":%q}`, name)
		}
		extended := func(name string) signaling.Candidate {
			return fmt.Appendf(nil, `{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host generation 0 ufrag %s network-cost 999"}`, name)
		}
		of := func(name string) signaling.Description {
			return offer("v=0\r\na=ice-ufrag:" + name + "\r\na=ice-pwd:x\r\n")
		}
		send := func(c ...signaling.Candidate) {
			x.Helper()
			_, err := x.AddCandidates(x.ctx, plain, -1, c...)
			x.want(err, nil, "adding candidates")
		}
		expect := func(c ...signaling.Candidate) {
			x.Helper()
			got := x.candidates(x.ctx, plain, signaling.Caller, 0, 0)
			x.want(got.err, nil, "reading")
			if g, w := string(signaling.JoinCandidates(got.list)), string(signaling.JoinCandidates(c)); g != w {
				x.Fatalf("the candidates are %s, want %s", g, w)
			}
		}
		calls := func(name string) {
			x.Helper()
			_, err := x.Offer(x.ctx, plain, of(name))
			x.want(err, nil, "offering")
		}
		calls("old")
		send(named("old"), extended("old"))
		_, err := x.Answer(x.ctx, callee, "", answer("1"))
		x.want(err, nil, "answering")
		send(named("old"), signaling.Candidate(`{"candidate":"unnamed"}`), extended("new"), named("newer"), named("new"))
		calls("new")
		expect(extended("new"), named("new"))
		send(named("old"))
		calls("newer") // two callers at once
		expect(named("newer"))
		calls("none")
		expect()
		send(named("late"), named("none"))
		x.want(x.Close(x.ctx, plain), nil, "closing")
		x.want(x.candidates(x.ctx, plain, signaling.Caller, 0, 0).err, signaling.ErrNoRoom, "reading after the end")
		calls("late")
		expect(named("late"))
	})
	s.limited("the lobby keeps no more early candidates than a list takes", Limits{Candidates: 3, ListBytes: 100}, func(x *store) {
		x.add(plain, -1, 2, "a", "b")
		_, err := x.AddCandidates(x.ctx, plain, -1, list("c", "d")...)
		x.want(err, signaling.ErrListFull, "adding two where one fits")
		_, err = x.AddCandidates(x.ctx, plain, -1, list("a name that is so long that it takes up most of what fits")...)
		x.want(err, signaling.ErrListFull, "adding too many bytes")
		_, err = x.Offer(x.ctx, plain, offer("1"))
		x.want(err, nil, "offering")
		x.lists(signaling.Lobby, signaling.Caller, 0, "a", "b")
	})
	s.test("only the caller's candidates without a token wait in the lobby", func(x *store) {
		for who, t := range map[string]signaling.Ticket{
			"a callee in the lobby": callee, "a token in the lobby": signaling.NewTicket(signaling.Lobby, signaling.Caller),
			"a reader in a room": reader("room"), "a token in a room": signaling.NewTicket("room", signaling.Caller),
		} {
			_, err := x.AddCandidates(x.ctx, t, 0, list("stray")...)
			x.want(err, signaling.ErrNoRoom, "adding as %s", who)
		}
	})
}
