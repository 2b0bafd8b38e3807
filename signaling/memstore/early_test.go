package memstore

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
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
				time.Sleep(settledAge / 2) // the answer decides
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

// an earlyLobby is a lobby to which clients without tokens send candidates.
type earlyLobby struct {
	*Store
	t *testing.T
}

var plain = signaling.Ticket{Room: signaling.Lobby}

func (l earlyLobby) send(want error, c ...string) {
	l.t.Helper()
	var list []signaling.Candidate
	for _, one := range c {
		list = append(list, signaling.Candidate(one))
	}
	if _, err := l.AddCandidates(l.t.Context(), plain, -1, list...); !errors.Is(err, want) {
		l.t.Errorf("adding %q: %v, want %v", c, err, want)
	}
}

// offer offers, and expects that the offer has these candidates.
func (l earlyLobby) offer(sdp string, want ...string) {
	l.t.Helper()
	d, err := json.Marshal(map[string]string{"type": "offer", "sdp": sdp})
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.Offer(l.t.Context(), plain, d); err != nil {
		l.t.Fatal(err)
	}
	list, err := l.Candidates(l.t.Context(), plain, signaling.Caller, 0, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	var got []string
	for _, one := range list {
		got = append(got, string(one))
	}
	if !slices.Equal(got, want) {
		l.t.Errorf("the offer %q has %q, want %q", sdp, got, want)
	}
}

func (l earlyLobby) close() {
	l.t.Helper()
	if err := l.Close(l.t.Context(), plain); err != nil {
		l.t.Fatal(err)
	}
}

// In a lobby to which candidates come again and again, those that are too old neither count nor belong to an offer.
func TestOldEarlyCandidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := earlyLobby{New(Limits{Candidates: 2}), t}
		l.send(nil, `{"n":1}`)
		for n := range 3 {
			time.Sleep(signaling.EarlyWait * 3 / 5)
			l.send(nil, `{"n":`+strconv.Itoa(n+2)+`}`)
		}
		l.send(signaling.ErrListFull, `{"n":5}`)
		time.Sleep(signaling.EarlyWait*2/5 + time.Millisecond)
		l.offer("1", `{"n":4}`)
	})
}

// The room for early candidates is as large as that for others, and those of a call that ended take up none of it.
func TestRoomForEarlyCandidates(t *testing.T) {
	const a, b, named = `{"n":1}`, `{"n":2}`, `{"candidate":"","usernameFragment":"x"}`
	l := earlyLobby{New(Limits{Candidates: 2, ListBytes: len(named) + len(a)}), t}
	l.send(nil, named, a)
	l.offer("a=ice-ufrag:x", named, a)
	l.close()
	l.send(nil, a, b)
	l.offer("", a, b)
	l.close()
	l.offer("a=ice-ufrag:x")
	l.send(nil, named, a)
	l.close()
	l.send(nil, a, named)
	l.send(signaling.ErrListFull, b)
	l.offer("a=ice-ufrag:x", a, named)
	if c := l.Counts(); c != (Counts{Offered: 1}) {
		t.Errorf("there are %+v", c)
	}
	l.close()
	if c := l.Counts(); c != (Counts{}) {
		t.Errorf("after the last call there are %+v", c)
	}
}

// The username fragment decides only where both the candidate and the offer have one.
func TestFragmentsOfEarlyCandidates(t *testing.T) {
	const (
		unnamed = `{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host"}`
		cut     = `{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host ufrag"}`
		last    = `{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host ufrag mine"}`
		first   = `{"candidate":"ufrag mine"}`
		other   = `{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host ufrag other"}`
	)
	for _, c := range []struct {
		sdp  string
		want []string
	}{
		{"v=0\r\na=ice-ufrag:mine\r\n", []string{unnamed, cut, last, first}},
		{"v=0\r\ns=mine\r\n", []string{unnamed, cut, last, first, other}},
	} {
		l := earlyLobby{New(Limits{}), t}
		l.send(nil, unnamed, cut, last, first, other)
		l.offer(c.sdp, c.want...)
	}
}
