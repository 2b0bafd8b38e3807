package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"p2pchat/signaling"
)

func crowds(s suite) {
	s.test("one of fifty answers at once is taken", func(x *store) {
		x.opened("room")
		errs := make([]error, 50)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range errs {
			wg.Go(func() {
				<-start
				_, errs[i] = x.Answer(x.ctx, signaling.NewTicket("room", signaling.Callee), "", answer(strconv.Itoa(i)))
			})
		}
		close(start)
		wg.Wait()
		taken := 0
		for i, err := range errs {
			if err == nil {
				taken++
				x.holds("room", signaling.Callee, answer(strconv.Itoa(i)))
			} else {
				x.want(err, signaling.ErrAnswered, "answer %d", i)
			}
		}
		if taken != 1 {
			x.Errorf("%d answers were taken", taken)
		}
	})
	s.test("one of twenty offers at once is taken", func(x *store) {
		errs := make([]error, 20)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = x.Offer(x.ctx, signaling.NewTicket("room", signaling.Caller), offer(strconv.Itoa(i)))
			})
		}
		wg.Wait()
		taken := 0
		for i, err := range errs {
			if err == nil {
				taken++
				x.holds("room", signaling.Caller, offer(strconv.Itoa(i)))
			} else {
				x.want(err, signaling.ErrOccupied, "offer %d", i)
			}
		}
		if taken != 1 {
			x.Errorf("%d offers were taken", taken)
		}
	})
	s.test("every waiting reader hears one append", func(x *store) {
		caller, _ := x.met("room")
		var all []waiting
		for range 50 {
			all = append(all, x.wait(func() outcome { return x.candidates(x.ctx, reader("room"), signaling.Caller, 1, signaling.Forever) }))
		}
		x.add(caller, 1, 2, "news")
		for _, w := range all {
			o := x.hear(w)
			x.want(o.err, nil, "waiting")
			x.same(o.list, "news")
		}
	})
	s.test("candidates keep their order though many write and read", func(x *store) {
		const writers, each = 4, 20
		caller, _ := x.met("room")
		var failed sync.Map
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					if _, err := x.AddCandidates(x.ctx, caller, -1, list(fmt.Sprintf("%d %d", w, i))...); err != nil {
						failed.Store(err, true)
					}
				}
			})
		}
		followed := make([][]signaling.Candidate, 4)
		for r := range followed {
			wg.Go(func() {
				for len(followed[r]) < 1+writers*each {
					o := x.candidates(x.ctx, reader("room"), signaling.Caller, len(followed[r]), signaling.Forever)
					if o.err != nil {
						failed.Store(o.err, true)
						return
					}
					followed[r] = append(followed[r], o.list...)
				}
			})
		}
		wg.Wait()
		failed.Range(func(err, _ any) bool { x.Error(err); return true })
		whole := string(signaling.JoinCandidates(x.candidates(x.ctx, reader("room"), signaling.Caller, 0, 0).list))
		for r := range followed {
			if got := string(signaling.JoinCandidates(followed[r])); got != whole {
				x.Errorf("a reader followed\n%s\nbut the list is\n%s", got, whole)
			}
		}
		for w := range writers {
			last := -1
			for i := range each {
				at := strings.Index(whole, fmt.Sprintf(`"%d %d"`, w, i))
				if at <= last {
					x.Fatalf("writer %d's candidate %d is missing or out of order in %s", w, i, whole)
				}
				last = at
			}
		}
	})
	s.test("thirty pairs meet at once", func(x *store) {
		errs := make([]error, 60)
		var wg sync.WaitGroup
		for i := range 30 {
			room := fmt.Sprintf("pair%d", i)
			wg.Go(func() { errs[2*i] = x.call(room) })
			wg.Go(func() { errs[2*i+1] = x.callBack(room) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			x.Error(err)
		}
	})
}

// call is the caller's half of a meeting: each side reads what the other has
// written before it writes more, and the caller closes the room.
func (x *store) call(room string) error {
	caller := signaling.NewTicket(room, signaling.Caller)
	if _, err := x.Offer(x.ctx, caller, offer(room)); err != nil {
		return fmt.Errorf("offering in %s: %w", room, err)
	}
	if o := x.description(x.ctx, caller, signaling.Callee, "", signaling.Forever); o.err != nil || string(o.d) != string(answer(room)) {
		return fmt.Errorf("the answer in %s: %q, %w", room, o.d, o.err)
	}
	for i := range 5 {
		if _, err := x.AddCandidates(x.ctx, caller, i, list(room)...); err != nil {
			return fmt.Errorf("adding caller %d in %s: %w", i, room, err)
		}
		if o := x.candidates(x.ctx, caller, signaling.Callee, i, signaling.Forever); o.err != nil || len(o.list) != 1 {
			return fmt.Errorf("reading callee %d in %s: %q, %w", i, room, o.list, o.err)
		}
	}
	return x.Close(x.ctx, caller)
}

func (x *store) callBack(room string) error {
	callee := signaling.NewTicket(room, signaling.Callee)
	o := x.description(x.ctx, reader(room), signaling.Caller, "", signaling.Forever)
	if o.err != nil || string(o.d) != string(offer(room)) {
		return fmt.Errorf("the offer in %s: %q, %w", room, o.d, o.err)
	}
	if _, err := x.Answer(x.ctx, callee, o.v, answer(room)); err != nil {
		return fmt.Errorf("answering in %s: %w", room, err)
	}
	for i := range 5 {
		if o := x.candidates(x.ctx, callee, signaling.Caller, i, signaling.Forever); o.err != nil || len(o.list) != 1 {
			return fmt.Errorf("reading caller %d in %s: %q, %w", i, room, o.list, o.err)
		}
		if _, err := x.AddCandidates(x.ctx, callee, i, list(room)...); err != nil {
			return fmt.Errorf("adding callee %d in %s: %w", i, room, err)
		}
	}
	// The room goes while this waits, or has gone before.
	if o := x.candidates(x.ctx, callee, signaling.Callee, 5, signaling.Forever); !errors.Is(o.err, signaling.ErrClosed) {
		return fmt.Errorf("waiting in %s for its end: %q, %w", room, o.list, o.err)
	}
	return nil
}
