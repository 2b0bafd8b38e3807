package memstore

import (
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
)

// What one server writes of a room, the others read whole, whichever parts there are; and half of it is no room.
func TestStatesAreReadWhole(t *testing.T) {
	offer := side{description: signaling.Description(`{"type":"offer"}`), version: "a", owner: hashToken("token")}
	list := []signaling.Candidate{signaling.Candidate(`{"candidate":"one"}`), signaling.Candidate(`{"candidate":"two"}`)}
	long := side{candidates: list, size: len(list[0]) + len(list[1])}
	for _, sides := range []([2]side){
		{offer}, {offer, long}, {offer, {from: "client"}}, {side{description: offer.description, from: "client"}},
	} {
		for _, r := range []state{
			{sides: sides}, {sides: sides, beforeAnswer: 1}, {sides: sides, describedAt: 7}, {sides: sides, turnedDown: []tokenHash{hashToken("other")}},
			{sides: sides, early: []earlyCandidate{{list[0], 7, true}, {list[1], 8, false}}},
		} {
			b := r.encode()
			if got, err := decode(b); err != nil || !reflect.DeepEqual(got, r) {
				t.Errorf("%+v becomes %+v, %v", r, got, err)
			}
			for n := 1; n < len(b); n++ {
				if _, err := decode(b[:n:n]); !errors.Is(err, errNotState) {
					t.Errorf("%d of %d bytes of %+v: %v", n, len(b), r, err)
				}
			}
			if _, err := decode(append([]byte{9}, b[1:]...)); !errors.Is(err, errNotState) {
				t.Errorf("in another format %+v: %v", r, err)
			}
		}
	}
}

// A relay asks from which candidate on a caller has accepted an answer: only the answer's owner is told.
func TestAcceptedFrom(t *testing.T) {
	s := New(Limits{})
	caller, callee := signaling.NewTicket("417", signaling.Caller), signaling.NewTicket("417", signaling.Callee)
	check := func(t1 signaling.Ticket, want int, owns bool) {
		t.Helper()
		if n, ok := s.AcceptedFrom(t1); n != want || ok != owns {
			t.Errorf("%v: %d, %t", t1, n, ok)
		}
	}
	check(callee, 0, false)
	if _, err := s.Offer(t.Context(), caller, signaling.Description(`{"type":"offer","sdp":"v=0"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddCandidates(t.Context(), caller, 0, signaling.Candidate(`{"candidate":"one"}`)); err != nil {
		t.Fatal(err)
	}
	check(callee, 0, false)
	check(signaling.Ticket{Room: "417", Side: signaling.Callee}, 0, false)
	if _, err := s.Answer(t.Context(), callee, "", signaling.Description(`{"type":"answer","sdp":"v=0"}`)); err != nil {
		t.Fatal(err)
	}
	check(callee, 1, true)
	check(caller, 0, false)
	check(signaling.Ticket{Room: "417", Side: signaling.Callee}, 0, false)
	check(callee, 1, true)
	if _, err := s.Offer(t.Context(), signaling.NewTicket("418", signaling.Caller), signaling.Description(`{}`)); !errors.Is(err, signaling.ErrInvalid) {
		t.Errorf("what is no offer: %v", err)
	}
}

// A room in which a read waits does not expire, however long that takes: the answer is taken, and ends the wait.
func TestAReadKeepsItsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Limits{Idle: time.Minute})
		caller, callee := signaling.NewTicket("417", signaling.Caller), signaling.NewTicket("417", signaling.Callee)
		if _, err := s.Offer(t.Context(), caller, signaling.Description(`{"type":"offer","sdp":"v=0"}`)); err != nil {
			t.Fatal(err)
		}
		read := make(chan error, 1)
		go func() {
			_, _, err := s.Description(t.Context(), caller, signaling.Callee, "", signaling.Forever)
			read <- err
		}()
		time.Sleep(time.Hour)
		if _, err := s.Answer(t.Context(), callee, "", signaling.Description(`{"type":"answer","sdp":"v=0"}`)); err != nil {
			t.Errorf("answering: %v", err)
		}
		if err := <-read; err != nil {
			t.Errorf("the read ends with %v", err)
		}
	})
}

// Rooms in which reads only waited leave nothing behind, and a read that ends takes the room from no other.
func TestReadsLeaveNoRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Limits{})
		read := make(chan error, 2)
		for _, wait := range []time.Duration{time.Second, time.Hour} {
			go func() {
				_, _, err := s.Description(t.Context(), signaling.Ticket{Room: "417"}, signaling.Caller, "", wait)
				read <- err
			}()
		}
		if err := <-read; !errors.Is(err, signaling.ErrNoOffer) {
			t.Error(err)
		}
		caller := signaling.NewTicket("417", signaling.Caller)
		if _, err := s.Offer(t.Context(), caller, signaling.Description(`{"type":"offer","sdp":"v=0"}`)); err != nil {
			t.Fatal(err)
		}
		if err := <-read; err != nil {
			t.Errorf("the read that went on ends with %v", err)
		}
		if err := s.Close(t.Context(), caller); err != nil {
			t.Error(err)
		}
		for range 10 {
			if _, _, err := s.Description(t.Context(), signaling.Ticket{Room: "418"}, signaling.Caller, "", time.Second); !errors.Is(err, signaling.ErrNoOffer) {
				t.Error(err)
			}
		}
		if len(s.rooms) > 0 {
			t.Errorf("%d rooms are left", len(s.rooms))
		}
	})
}

// A client may have the share of the mail's bytes that other clients have left. Where the primary does not count them, that is all.
func TestFreeMail(t *testing.T) {
	m := NewMail(MailLimits{})
	putter, _ := boxOf()
	if _, err := m.AddBlock(t.Context(), putter, block(1, 1)); err != nil {
		t.Fatal(err)
	}
	boxes, bytes := m.Usage()
	if boxes != 1 || bytes == 0 {
		t.Fatalf("%d boxes of %d bytes", boxes, bytes)
	}
	m.limits.Bytes = 4 * bytes
	for own, want := range map[int]float64{0: 0.75, int(bytes): 1, int(2 * bytes): 1} {
		if free := m.Free(own); free != want {
			t.Errorf("of %d bytes of its own: %v is free", own, free)
		}
	}
	m.primary = silent{m.primary}
	if boxes, bytes := m.Usage(); boxes != 0 || bytes != 0 || m.Free(0) != 1 {
		t.Errorf("%d boxes of %d bytes, %v is free", boxes, bytes, m.Free(0))
	}
}

// A silent primary does not say how much it keeps.
type silent struct{ MailPrimary }

// A room has no memory to spare: most get a few candidates, and are closed or expire within minutes. Candidates that come together
// share a copy, and what is decided of them takes no memory of its own.
func TestMemoryOfCandidates(t *testing.T) {
	s := New(Limits{})
	caller := exchange(t, s, "room")
	for i, side := range s.rooms["room"].sides {
		if n := len(side.candidates); n != 10 || cap(side.candidates) != n {
			t.Errorf("%v: %d candidates have room for %d", signaling.Side(i), n, cap(side.candidates))
		}
	}
	list := []signaling.Candidate{candidate, candidate, candidate, candidate}
	if n := testing.AllocsPerRun(10, func() {
		if _, err := s.AddCandidates(t.Context(), caller, -1, list...); err != nil {
			t.Fatal(err)
		}
	}); n > 3 { // their list, their bytes, and the edit
		t.Errorf("four candidates take %v allocations", n)
	}
}
