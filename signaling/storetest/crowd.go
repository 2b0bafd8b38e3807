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
	s.test("one of fifty answers at once is accepted", func(x *store) {
		x.opened("room")
		accepted := x.oneOf(50, signaling.ErrAnswered, func(i int) error {
			_, err := x.Answer(x.ctx, signaling.NewTicket("room", signaling.Callee), "", answer(strconv.Itoa(i)))
			return err
		})
		x.holds("room", signaling.Callee, answer(strconv.Itoa(accepted)))
	})
	s.test("one of twenty offers at once is accepted", func(x *store) {
		accepted := x.oneOf(20, signaling.ErrOccupied, func(i int) error {
			_, err := x.Offer(x.ctx, signaling.NewTicket("room", signaling.Caller), offer(strconv.Itoa(i)))
			return err
		})
		x.holds("room", signaling.Caller, offer(strconv.Itoa(accepted)))
	})
	s.test("every waiting read returns after one append", func(x *store) {
		caller, _ := x.met("room")
		var all []waiting
		for range 50 {
			all = append(all, x.wait(func() outcome { return x.candidates(x.ctx, reader("room"), signaling.Caller, 1, signaling.Forever) }))
		}
		x.add(caller, 1, 2, "new")
		for _, w := range all {
			o := x.result(w)
			x.want(o.err, nil, "waiting")
			x.same(o.list, "new")
		}
	})
	s.test("candidates keep their order though many write and read", appendsAtOnce)
	s.test("thirty pairs meet at once", func(x *store) {
		errs := make([]error, 60)
		var wg sync.WaitGroup
		for i := range 30 {
			room := fmt.Sprintf("pair%d", i)
			wg.Go(func() { errs[2*i] = x.call(room) })
			wg.Go(func() { errs[2*i+1] = x.answerCall(room) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			x.Error(err)
		}
	})
}

// oneOf does n writes at once, and expects one of them to succeed and the others to be refused
// with an error. It returns which one succeeded.
func (x *store) oneOf(n int, refusal error, write func(i int) error) (accepted int) {
	x.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range errs {
		wg.Go(func() {
			<-start
			errs[i] = write(i)
		})
	}
	close(start)
	wg.Wait()
	count := 0
	for i, err := range errs {
		if err == nil {
			accepted = i
			count++
		} else {
			x.want(err, refusal, "write %d", i)
		}
	}
	if count != 1 {
		x.Errorf("%d writes were accepted", count)
	}
	return accepted
}

// appendsAtOnce has four writers add candidates to one list, while four readers follow the list.
func appendsAtOnce(x *store) {
	const writers, each = 4, 20
	caller, _ := x.met("room")
	errs := make(chan error, writers*each+4)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := x.AddCandidates(x.ctx, caller, -1, list(fmt.Sprintf("%d %d", w, i))...); err != nil {
					errs <- err
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
					errs <- o.err
					return
				}
				followed[r] = append(followed[r], o.list...)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		x.Error(err)
	}
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
}

// call is the caller's side of a call: each side reads what the other has written before it
// writes more, and the caller closes the room.
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

// answerCall is the callee's side of call.
func (x *store) answerCall(room string) error {
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
	// The caller closes the room while this read waits, or has closed it before.
	if o := x.candidates(x.ctx, callee, signaling.Callee, 5, signaling.Forever); !errors.Is(o.err, signaling.ErrClosed) {
		return fmt.Errorf("waiting in %s for its end: %q, %w", room, o.list, o.err)
	}
	return nil
}
