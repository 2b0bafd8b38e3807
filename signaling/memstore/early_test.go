package memstore

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
)

// calls adds an early candidate, waits, offers in the lobby, and returns how many candidates
// the offer has.
func calls(t *testing.T, before, offers *Store, wait time.Duration, sdp string) int {
	t.Helper()
	lobby := signaling.Ticket{Room: signaling.Lobby}
	if _, err := before.AddCandidates(t.Context(), lobby, -1, signaling.Candidate(`{"candidate":"early"}`)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(wait)
	if _, err := offers.Offer(t.Context(), lobby, signaling.Description(`{"type":"offer","sdp":"`+sdp+`"}`)); err != nil {
		t.Fatal(err)
	}
	list, err := before.Candidates(t.Context(), lobby, signaling.Caller, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestEarlyCandidatesAndTime(t *testing.T) {
	for name, two := range map[string]func() (a, b *Store){
		"one server": func() (a, b *Store) { a = New(Limits{}); return a, a },
		"two servers": func() (a, b *Store) {
			_, a, b, _ = replicated(t)
			return a, b
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := two()
				if n := calls(t, a, b, signaling.EarlyWait+time.Millisecond, "1"); n != 0 {
					t.Errorf("an offer that came too late has %d candidates", n)
				}
				if n := calls(t, a, b, 0, "2"); n != 0 {
					t.Errorf("an offer has %d candidates of the one before", n)
				}
				if _, err := a.Answer(t.Context(), signaling.Ticket{Room: signaling.Lobby, Side: signaling.Callee}, "", answer); err != nil {
					t.Fatal(err)
				}
				time.Sleep(settledAge - time.Millisecond)
				if n := calls(t, a, b, 0, "3"); n != 0 {
					t.Errorf("an offer has %d candidates of the call that was answered", n)
				}
				time.Sleep(settledAge)
				if n := calls(t, a, b, signaling.EarlyWait, "4"); n != 1 {
					t.Errorf("an offer has %d early candidates where a call had settled, want 1", n)
				}
				if err := a.Close(t.Context(), signaling.Ticket{Room: signaling.Lobby}); err != nil {
					t.Fatal(err)
				}
				if n := calls(t, a, b, signaling.EarlyWait-time.Millisecond, "5"); n != 1 {
					t.Errorf("an offer has %d early candidates, want 1", n)
				}
			})
		})
	}
}

// Closing a call keeps the early candidates of the next one, which its client sends while the
// last call's client has not closed the lobby yet.
func TestEarlyCandidatesOutliveTheLastCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, lobby := New(Limits{}), signaling.Ticket{Room: signaling.Lobby}
		for _, age := range []time.Duration{settledAge, settledAge - time.Second} {
			if _, err := s.Offer(t.Context(), lobby, offer); err != nil {
				t.Fatal(err)
			}
			time.Sleep(age)
			if _, err := s.AddCandidates(t.Context(), lobby, -1, signaling.Candidate(`{"candidate":"early"}`)); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(t.Context(), lobby); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Offer(t.Context(), lobby, append(signaling.Description(" "), offer...)); err != nil {
				t.Fatal(err)
			}
			list, err := s.Candidates(t.Context(), lobby, signaling.Caller, 0, 0)
			if want := age == settledAge; err != nil || (len(list) == 1) != want {
				t.Errorf("a call closed after %v leaves %d candidates to the next one, %v", age, len(list), err)
			}
			if err := s.Close(t.Context(), lobby); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A lobby that has nothing but early candidates expires soon, and a reader that waits for an offer
// there keeps waiting.
func TestEarlyCandidatesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, lobby := New(Limits{}), signaling.Ticket{Room: signaling.Lobby}
		read := make(chan error, 1)
		go func() {
			_, _, err := s.Description(t.Context(), lobby, signaling.Caller, "", time.Minute)
			read <- err
		}()
		synctest.Wait()
		if _, err := s.AddCandidates(t.Context(), lobby, -1, signaling.Candidate("{}")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if c := s.Counts(); c != (Counts{Awaited: 1}) {
			t.Errorf("there are %+v", c)
		}
		if err := <-read; !errors.Is(err, signaling.ErrNoOffer) {
			t.Errorf("the reader got %v", err)
		}
		time.Sleep(10 * time.Second)
		if c := s.Counts(); c != (Counts{}) || len(s.rooms) > 0 {
			t.Errorf("there are still %+v", c)
		}
	})
}
