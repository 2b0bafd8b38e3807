package storetest

import (
	"context"
	"fmt"
	"time"

	"p2pchat/signaling"
)

func reads(s suite) {
	s.test("a read that does not wait says at once what there is", func(x *store) {
		x.expect("no room", reader("room"), signaling.ErrNoOffer, signaling.ErrNoAnswer, signaling.ErrNoRoom, signaling.ErrNoRoom)
		caller, _ := x.opened("room")
		x.expect("an offer alone", reader("room"), signaling.ErrUnchanged, signaling.ErrNoAnswer, nil, nil)
		x.expect("an offer alone, to its caller", caller, signaling.ErrUnchanged, signaling.ErrNoAnswer, nil, nil)
		x.want(x.Close(x.ctx, caller), nil, "closing")
		_, callee := x.met("room")
		x.expect("everything known", reader("room"), signaling.ErrUnchanged, signaling.ErrUnchanged, nil, nil)
		x.expect("everything known, to its callee", callee, signaling.ErrUnchanged, signaling.ErrUnchanged, nil, nil)
	})
	s.test("a read that knows another version returns the current one", func(x *store) {
		x.met("room")
		for of, d := range map[signaling.Side]signaling.Description{signaling.Caller: offer("1"), signaling.Callee: answer("1")} {
			o := x.description(x.ctx, reader("room"), of, "another", signaling.Forever)
			x.want(o.err, nil, "reading the %s", of)
			if string(o.d) != string(d) {
				x.Errorf("the %s is %q", of, o.d)
			}
		}
	})
	s.test("every ticket of the room reads all of it", func(x *store) {
		caller, callee := x.met("room")
		for _, t := range []signaling.Ticket{caller, callee, reader("room"), {Room: "room", Side: signaling.Callee}} {
			for _, of := range []signaling.Side{signaling.Caller, signaling.Callee} {
				x.want(x.description(x.ctx, t, of, "", signaling.Forever).err, nil, "reading the %s", of)
				o := x.candidates(x.ctx, t, of, 0, signaling.Forever)
				x.want(o.err, nil, "reading the %s candidates", of)
				if len(o.list) != 1 {
					x.Errorf("the %s candidates are %q", of, o.list)
				}
			}
		}
	})
	s.test("a caller's read of the answer does not wait for a room to appear", func(x *store) {
		x.expect("no room", signaling.NewTicket("room", signaling.Caller), signaling.ErrNoOffer, signaling.ErrClosed, signaling.ErrNoRoom, signaling.ErrClosed)
		x.refuses("no room", signaling.NewTicket("room", signaling.Caller), callerReads, signaling.ErrClosed)
		x.wait(func() outcome { return x.description(x.ctx, reader("room"), signaling.Caller, "", signaling.Forever) })
		x.refuses("a room that others wait for", signaling.NewTicket("room", signaling.Callee), callerReads, signaling.ErrClosed)
		x.opened("room")
	})
	s.test("a read of the answer with a token of another room is turned down", func(x *store) {
		x.met("room")
		stranger := signaling.NewTicket("room", signaling.Caller)
		x.refuses("nothing has changed", stranger, callerReads, signaling.ErrTurnedDown)
		for _, wait := range []time.Duration{0, signaling.Forever} {
			x.want(x.description(x.ctx, stranger, signaling.Callee, "", wait).err, signaling.ErrTurnedDown, "reading the answer")
			x.want(x.candidates(x.ctx, stranger, signaling.Callee, 0, wait).err, signaling.ErrTurnedDown, "reading the candidates")
		}
	})
	s.test("a token of the reader's own makes no difference to what the caller writes", func(x *store) {
		mine := signaling.NewTicket("room", signaling.Callee)
		offered := x.wait(func() outcome { return x.description(x.ctx, mine, signaling.Caller, "", signaling.Forever) })
		first := x.wait(func() outcome { return x.candidates(x.ctx, mine, signaling.Caller, 0, signaling.Forever) })
		caller, v := x.opened("room")
		if o := x.result(offered); o.err != nil || o.v != v {
			x.Errorf("got version %q, %v; want %q", o.v, o.err, v)
		}
		x.add(caller, 0, 1, "caller 0")
		o := x.result(first)
		x.want(o.err, nil, "waiting for a candidate from before the room was opened")
		x.same(o.list, "caller 0")
		second := x.wait(func() outcome { return x.candidates(x.ctx, mine, signaling.Caller, 1, signaling.Forever) })
		_, err := x.Answer(x.ctx, mine, v, answer("1"))
		x.want(err, nil, "answering")
		x.add(caller, 1, 2, "caller 1")
		o = x.result(second)
		x.want(o.err, nil, "waiting for a candidate from before the answer")
		x.same(o.list, "caller 1")
	})
}

// expect reads the four documents, without waiting, and expects these errors; a list without an
// error is empty.
func (x *store) expect(when string, t signaling.Ticket, wanted ...error) {
	x.Helper()
	for i, doc := range documents {
		o := x.newer(doc, t)(x.ctx, 0)
		x.want(o.err, wanted[i], "%s: reading the %s", when, doc.name)
		if o.d != nil || o.v != "" || len(o.list) != 0 {
			x.Fatalf("%s: reading the %s: there is something: %q %q %q", when, doc.name, o.d, o.v, o.list)
		}
	}
}

func waits(s suite) {
	s.test("a read says what there is when its wait is over", waitsInVain)
	for _, wait := range []time.Duration{time.Minute, signaling.Forever} {
		s.test(fmt.Sprintf("a read that may wait %v returns what is written", wait), func(x *store) { waitsForAll(x, wait) })
	}
	s.test("a waiting read returns a newer offer", func(x *store) {
		caller, v := x.opened("room")
		w := x.wait(func() outcome { return x.description(x.ctx, reader("room"), signaling.Caller, v, signaling.Forever) })
		v2, err := x.Reoffer(x.ctx, caller, offer("2"))
		x.want(err, nil, "reoffering")
		if o := x.result(w); o.err != nil || o.v != v2 || string(o.d) != string(offer("2")) {
			x.Errorf("got %q of version %q, %v; want %q", o.d, o.v, o.err, v2)
		}
	})
	s.test("a waiting read returns an append", func(x *store) {
		caller, callee := x.met("room")
		for of, reads := range map[signaling.Side]signaling.Ticket{signaling.Caller: callee, signaling.Callee: caller} {
			writer := caller
			if of == signaling.Callee {
				writer = callee
			}
			w := x.wait(func() outcome { return x.candidates(x.ctx, reads, of, 1, signaling.Forever) })
			x.add(writer, 1, 3, "second", "third")
			o := x.result(w)
			x.want(o.err, nil, "waiting")
			x.same(o.list, "second", "third")
		}
	})
	s.test("a waiting read returns only what was written to its document", func(x *store) {
		caller, v := x.opened("room")
		callee := signaling.NewTicket("room", signaling.Callee)
		w := x.wait(func() outcome { return x.candidates(x.ctx, reader("room"), signaling.Caller, 2, signaling.Forever) })
		x.opened("another")
		x.add(caller, 0, 1, "caller 0")
		_, err := x.Answer(x.ctx, callee, v, answer("1"))
		x.want(err, nil, "answering")
		x.add(callee, 0, 3, "callee 0", "callee 1", "callee 2")
		x.add(caller, 1, 2, "caller 1")
		x.add(caller, 2, 3, "caller 2")
		o := x.result(w)
		x.want(o.err, nil, "waiting")
		x.same(o.list, "caller 2")
	})
	s.test("a waiting read ends with its context", func(x *store) {
		x.met("room")
		for _, room := range []string{"room", "unopened"} {
			for _, doc := range documents {
				ctx, cancel := context.WithCancel(x.ctx)
				read := x.newer(doc, reader(room))
				w := x.wait(func() outcome { return read(ctx, signaling.Forever) })
				cancel()
				x.want(x.result(w).err, context.Canceled, "room %s, %s, canceled", room, doc.name)
			}
			ctx, cancel := context.WithTimeout(x.ctx, 100*time.Millisecond)
			defer cancel()
			o := x.candidates(ctx, reader(room), signaling.Caller, 1, signaling.Forever)
			x.want(o.err, context.DeadlineExceeded, "room %s, out of time", room)
		}
		x.opened("unopened")
	})
}

// waitsInVain has reads wait in rooms in which nothing is written.
func waitsInVain(x *store) {
	const wait = time.Second // the shortest that every Store can keep
	x.opened("offered")
	x.met("met")
	over := map[string]waiting{}
	wanted := map[string]error{}
	for room, errs := range map[string][]error{
		"unopened": {signaling.ErrNoOffer, signaling.ErrNoAnswer, signaling.ErrNoRoom, signaling.ErrNoRoom},
		"offered":  {signaling.ErrUnchanged, signaling.ErrNoAnswer, nil, nil},
		"met":      {signaling.ErrUnchanged, signaling.ErrUnchanged, nil, nil},
	} {
		for i, doc := range documents {
			name := fmt.Sprintf("room %s: reading the %s", room, doc.name)
			read := x.newer(doc, reader(room))
			over[name] = x.wait(func() outcome { return read(x.ctx, wait) })
			wanted[name] = errs[i]
		}
	}
	for name, w := range over {
		o := x.result(w)
		x.want(o.err, wanted[name], "%s", name)
		if o.d != nil || len(o.list) != 0 {
			x.Errorf("%s: there is something: %q %q", name, o.d, o.list)
		}
		if o.took < wait {
			x.Errorf("%s: it waited only %v", name, o.took)
		}
	}
}

// waitsForAll has a read wait for each document of a room that does not exist yet.
func waitsForAll(x *store, wait time.Duration) {
	all := map[string]waiting{} // from before the room was opened
	for _, doc := range documents {
		read := x.newer(doc, reader("room"))
		all[doc.name] = x.wait(func() outcome { return read(x.ctx, wait) })
	}
	x.met("room")
	for i, text := range []string{string(offer("1")), string(answer("1"))} {
		o := x.result(all[documents[i].name])
		x.want(o.err, nil, "waiting for the %s", documents[i].name)
		if string(o.d) != text || o.v != x.holds("room", documents[i].of, o.d) {
			x.Errorf("got %q of version %q", o.d, o.v)
		}
	}
	for i, name := range []string{"caller 0", "callee 0"} {
		o := x.result(all[documents[2+i].name])
		x.want(o.err, nil, "waiting for the %s", documents[2+i].name)
		x.same(o.list, name)
	}
}
