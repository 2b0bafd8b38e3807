package storetest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"p2pchat/signaling"
)

// listenName is a name that a reader may wait for together with others.
func listenName(n int) string { return fmt.Sprintf("contacts~meet~here~%05d", n) }

// wanted returns rooms, no offer of which is known.
func wanted(rooms ...int) (list []signaling.WantedOffer) {
	for _, n := range rooms {
		list = append(list, signaling.WantedOffer{Room: listenName(n)})
	}
	return list
}

// offers expects the wanted rooms to have exactly these offers that are not known, and returns their versions.
func (x *store) offers(want []signaling.WantedOffer, rooms ...string) map[string]signaling.Version {
	x.Helper()
	got, err := x.Offers(x.ctx, want, 0)
	x.want(err, nil, "reading the offers")
	return x.sameRooms(got, rooms...)
}

func (x *store) sameRooms(got []signaling.Offered, rooms ...string) map[string]signaling.Version {
	x.Helper()
	versions := map[string]signaling.Version{}
	for _, o := range got {
		versions[o.Room] = o.Version
		if x.holds(o.Room, signaling.Caller, o.Offer) != o.Version {
			x.Errorf("room %s has another version", o.Room)
		}
	}
	for _, room := range rooms {
		if versions[room] == "" {
			x.Fatalf("there is no offer of room %s: %v", room, versions)
		}
	}
	if len(got) != len(rooms) {
		x.Fatalf("got the offers of %v, want those of %v", versions, rooms)
	}
	return versions
}

// listen starts a read of the offers, and returns once it waits.
func (x *store) listen(ctx context.Context, want []signaling.WantedOffer, wait time.Duration) (<-chan []signaling.Offered, waiting) {
	x.Helper()
	list := make(chan []signaling.Offered, 1)
	return list, x.wait(func() outcome {
		asked := time.Now()
		got, err := x.Offers(ctx, want, wait)
		list <- got
		return outcome{err: err, took: time.Since(asked)}
	})
}

func listening(s suite) {
	s.test("the offers of many rooms are read at once, without those that are known", func(x *store) {
		x.offers(wanted(1, 2, 3))
		x.opened(listenName(2))
		caller, _ := x.opened(listenName(3))
		x.opened(listenName(4))
		want := wanted(1, 2, 3)
		versions := x.offers(want, listenName(2), listenName(3))
		want[1].Known, want[2].Known = versions[listenName(2)], versions[listenName(3)]
		x.offers(want)
		_, err := x.Reoffer(x.ctx, caller, offer("2"))
		x.want(err, nil, "reoffering")
		x.offers(want, listenName(3))
		x.want(x.Close(x.ctx, caller), nil, "closing")
		x.offers(want)
	})
	s.test("rooms with short names, or too many, are refused", func(x *store) {
		many := make([]int, signaling.MaxOffers+1)
		for i := range many {
			many[i] = i
		}
		dash, short := wanted(1, 2), wanted(1, 2)
		dash[1].Room, short[1].Room = strings.Repeat("a-", 13), "417"
		for name, want := range map[string][]signaling.WantedOffer{"none": nil, "too many": wanted(many...), "a dash": dash, "a number": short} {
			for _, wait := range []time.Duration{0, signaling.Forever} {
				_, err := x.Offers(x.ctx, want, wait)
				x.want(err, signaling.ErrInvalid, "reading the offers of %s", name)
			}
		}
		x.offers(wanted(many[:signaling.MaxOffers]...))
	})
	s.test("a waiting read returns an offer of any of its rooms", func(x *store) {
		for i, wait := range []time.Duration{time.Minute, signaling.Forever} {
			list, w := x.listen(x.ctx, wanted(1, 2+i, 9), wait)
			other, _ := x.opened("another")
			x.opened(listenName(2 + i))
			x.want(x.result(w).err, nil, "waiting")
			x.sameRooms(<-list, listenName(2+i))
			x.want(x.Close(x.ctx, other), nil, "closing")
		}
	})
	s.test("a waiting read returns a newer offer, and no other change", func(x *store) {
		caller, v := x.opened(listenName(1))
		want := wanted(1, 2)
		want[0].Known = v
		list, w := x.listen(x.ctx, want, signaling.Forever)
		callee := signaling.NewTicket(caller.Room, signaling.Callee)
		_, err := x.Answer(x.ctx, callee, v, answer("1"))
		x.want(err, nil, "answering")
		x.add(caller, 0, 1, "caller 0")
		v2, err := x.Reoffer(x.ctx, caller, offer("2"))
		x.want(err, nil, "reoffering")
		x.want(x.result(w).err, nil, "waiting")
		if got := x.sameRooms(<-list, caller.Room); got[caller.Room] != v2 {
			x.Errorf("got version %q, want %q", got[caller.Room], v2)
		}
	})
	s.test("a read of many rooms returns nothing when its wait is over, and ends with its context", func(x *store) {
		_, w := x.listen(x.ctx, wanted(1, 2), time.Second)
		o := x.result(w)
		x.want(o.err, nil, "waiting")
		if o.took < time.Second {
			x.Errorf("it waited only %v", o.took)
		}
		ctx, cancel := context.WithCancel(x.ctx)
		_, w = x.listen(ctx, wanted(1, 2), signaling.Forever)
		cancel()
		x.want(x.result(w).err, context.Canceled, "waiting")
	})
	s.test("as many offers are read as fit, and at least one", func(x *store) {
		spaced := signaling.Description(`{ "type" : "offer", "sdp" : "<&>" }`)
		_, err := x.Offer(x.ctx, signaling.NewTicket(listenName(7), signaling.Caller), spaced)
		x.want(err, nil, "offering")
		x.offers(wanted(7), listenName(7))
		long := signaling.Description(strings.Replace(string(offer("1")), "1", strings.Repeat("1", 40<<10), 1))
		for n := range 3 {
			_, err := x.Offer(x.ctx, signaling.NewTicket(listenName(n), signaling.Caller), long)
			x.want(err, nil, "offering")
		}
		got, err := x.Offers(x.ctx, wanted(0, 1, 2), 0)
		x.want(err, nil, "reading")
		if len(got) != 1 {
			x.Errorf("got %d offers of 40 KiB", len(got))
		}
	})
}
