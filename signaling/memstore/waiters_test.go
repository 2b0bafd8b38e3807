package memstore

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
)

// awaitOffer waits for the offer of a room in the background.
func awaitOffer(ctx context.Context, s *Store, room string) <-chan error {
	read := make(chan error, 1)
	go func() {
		_, _, err := s.Description(ctx, signaling.Ticket{Room: room}, signaling.Caller, "", signaling.Forever)
		read <- err
	}()
	synctest.Wait()
	return read
}

// A read that gives up takes nothing from those that wait for the same.
func TestReadsThatGiveUp(t *testing.T) {
	for gone := range 3 {
		synctest.Test(t, func(t *testing.T) {
			s := New(Limits{})
			var reads [3]<-chan error
			ctx, giveUp := context.WithCancel(t.Context())
			for i := range reads {
				if i == gone {
					reads[i] = awaitOffer(ctx, s, "room")
				} else {
					reads[i] = awaitOffer(t.Context(), s, "room")
				}
			}
			giveUp()
			if err := <-reads[gone]; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if _, err := s.Offer(t.Context(), signaling.NewTicket("room", signaling.Caller), offer); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			for i, read := range reads {
				if i == gone {
					continue
				}
				select {
				case err := <-read:
					if err != nil {
						t.Error(err)
					}
				default:
					t.Fatalf("read %d still waits, after read %d gave up", i, gone)
				}
			}
		})
	}
}

// Reads that end leave nothing in a room that lives on.
func TestReadsThatEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, caller := opened(t)
		for range 10 {
			if _, _, err := s.Description(t.Context(), caller, signaling.Callee, "", time.Second); !errors.Is(err, signaling.ErrNoAnswer) {
				t.Fatal(err)
			}
		}
		if n := len(s.rooms["room"].waiters[signaling.Callee][signaling.DocDescription]); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

// Reads of many rooms that end leave nothing, also in rooms that others wait for.
func TestReadsOfManyRoomsThatEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shared = "aroomthatbothreadswaitfor"
		s := New(Limits{})
		other := awaitMany(t, s, shared, "aroomthatoneofthemwaitsfor")
		for range 3 {
			if list, err := s.Offers(t.Context(), []signaling.WantedOffer{{Room: shared}}, time.Second); len(list) > 0 || err != nil {
				t.Errorf("%v, %v", list, err)
			}
		}
		if n := len(*s.listeners[shared]); n != 1 {
			t.Errorf("%d reads wait for the room", n)
		}
		if _, err := s.Offer(t.Context(), signaling.NewTicket(shared, signaling.Caller), offer); err != nil {
			t.Fatal(err)
		}
		if n := <-other; n != 1 {
			t.Errorf("the read that waited found %d offers", n)
		}
		if n := len(s.listeners); n != 0 {
			t.Errorf("%d rooms are still waited for", n)
		}
	})
}

// awaitMany waits for offers in the background, and sends how many there were.
func awaitMany(t *testing.T, s *Store, rooms ...string) <-chan int {
	var wanted []signaling.WantedOffer
	for _, room := range rooms {
		wanted = append(wanted, signaling.WantedOffer{Room: room})
	}
	found := make(chan int, 1)
	go func() {
		list, err := s.Offers(t.Context(), wanted, signaling.Forever)
		if err != nil {
			t.Error(err)
		}
		found <- len(list)
	}()
	synctest.Wait()
	return found
}

// A read that ends because its room was closed has no part in the next room of that name.
func TestReadsOfAClosedRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, caller := opened(t)
		read := make(chan error, 1)
		go func() {
			_, _, err := s.Description(t.Context(), caller, signaling.Callee, "", signaling.Forever)
			read <- err
		}()
		synctest.Wait()
		if err := s.Close(t.Context(), caller); err != nil {
			t.Fatal(err)
		}
		if err := <-read; !errors.Is(err, signaling.ErrClosed) {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if _, err := s.Offer(t.Context(), caller, offer); err != nil {
			t.Fatal(err)
		}
		livesFor(t, s, idle)
	})
}

// Rooms expire also behind one in which a read waits.
func TestExpiryBehindAWaitingRead(t *testing.T) {
	for name, used := range map[string]bool{"a room that is not used": false, "a room that is used": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, caller := opened(t)
				ctx, giveUp := context.WithCancel(t.Context())
				read := make(chan error, 1)
				go func() {
					_, _, err := s.Description(ctx, caller, signaling.Callee, "", signaling.Forever)
					read <- err
				}()
				synctest.Wait()
				if used {
					if _, err := s.AddCandidates(t.Context(), caller, 0, signaling.Candidate("{}")); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := s.Offer(t.Context(), signaling.NewTicket("another", signaling.Caller), offer); err != nil {
					t.Fatal(err)
				}
				time.Sleep(idle)
				if c := s.Counts(); c != (Counts{Offered: 1}) {
					t.Errorf("there are %+v", c)
				}
				giveUp()
				if err := <-read; !errors.Is(err, context.Canceled) {
					t.Errorf("a read that gives up: %v", err)
				}
			})
		})
	}
}

// A read that ends in the lobby before there is an offer leaves the early candidates there, and they leave with time.
func TestReadsBesideEarlyCandidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := earlyLobby{New(Limits{}), t}
		reads := func() {
			if _, _, err := l.Description(t.Context(), plain, signaling.Caller, "", time.Second); !errors.Is(err, signaling.ErrNoOffer) {
				t.Error(err)
			}
		}
		l.send(nil, "{}")
		reads()
		l.offer("", "{}")
		l.close()
		l.send(nil, "{}")
		reads()
		time.Sleep(signaling.EarlyWait)
		if c := l.Counts(); c != (Counts{}) || len(l.rooms) > 0 {
			t.Errorf("there are %+v", c)
		}
	})
}

// The lobby belongs to no client: guesses there are none, and an offer there is no room that its client has opened.
func TestLobbyBelongsToNoClient(t *testing.T) {
	g := &guessing{Store: New(Limits{Client: 1, Rooms: 2}), t: t}
	lobby := signaling.Ticket{Room: signaling.Lobby, From: "caller"}
	for range maxGuesses + 1 {
		g.rooms++
		if _, err := g.Offer(t.Context(), lobby, secretOffer); err != nil {
			t.Fatal(err)
		}
		if err := g.answer(lobby, "mallory"); err != nil {
			t.Fatal(err)
		}
		g.turnDown(lobby)
	}
	room := g.open("caller")
	if err := g.answer(room, "mallory"); err != nil {
		t.Errorf("after answers in the lobby: %v", err)
	}
	if _, err := g.Offer(t.Context(), lobby, offer); err != nil {
		t.Errorf("an offer in the lobby, of a client with a room, where no further room fits: %v", err)
	}
	if _, err := g.Offer(t.Context(), signaling.NewTicket("third", signaling.Caller), offer); !errors.Is(err, signaling.ErrServerFull) {
		t.Errorf("a third room: %v", err)
	}
}

// A caller whose offer in the lobby is replaced by another's is told at once, and so is one whose call another ends, also if
// candidates for the next call are there already.
func TestOthersInTheLobby(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(l earlyLobby)
		want error
	}{
		"offers": {func(l earlyLobby) { l.offer("another") }, signaling.ErrTurnedDown},
		"closes": {func(l earlyLobby) { l.send(nil, `{"candidate":"","usernameFragment":"next"}`); l.close() }, signaling.ErrClosed},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := earlyLobby{New(Limits{}), t}
			caller := signaling.NewTicket(signaling.Lobby, signaling.Caller)
			if _, err := l.Offer(t.Context(), caller, signaling.Description(`{"type":"offer","sdp":"a=ice-ufrag:first"}`)); err != nil {
				t.Fatal(err)
			}
			read := make(chan error, 1)
			go func() {
				_, _, err := l.Description(t.Context(), caller, signaling.Callee, "", time.Hour)
				read <- err
			}()
			synctest.Wait()
			began := time.Now()
			c.do(l)
			if err := <-read; !errors.Is(err, c.want) || time.Since(began) > 0 {
				t.Errorf("another %s: %v after %s", name, err, time.Since(began))
			}
		})
	}
}

// A room counts for the client that opened it, also when its caller has another address by then.
func TestRoomOfACallerThatMoves(t *testing.T) {
	s := New(Limits{Client: 1})
	caller := signaling.NewTicket("room", signaling.Caller)
	caller.From = "home"
	if _, err := s.Offer(t.Context(), caller, offer); err != nil {
		t.Fatal(err)
	}
	caller.From = "mobile"
	if _, err := s.Reoffer(t.Context(), caller, secretOffer); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]error{"home": signaling.ErrTooManyRooms, "mobile": nil} {
		another := signaling.NewTicket("room.of."+from, signaling.Caller)
		another.From = from
		if _, err := s.Offer(t.Context(), another, offer); !errors.Is(err, want) {
			t.Errorf("another room of %s: %v, want %v", from, err, want)
		}
	}
}

// Early candidates count for the bytes of their offer's list.
func TestBytesOfEarlyCandidates(t *testing.T) {
	l := earlyLobby{New(Limits{ListBytes: 10}), t}
	l.send(nil, `{"n":1}`)
	l.offer("", `{"n":1}`)
	l.send(signaling.ErrListFull, `{"n":2}`)
}

// A reader that knows an earlier answer waits for the next one.
func TestReadAfterAnEarlierAnswer(t *testing.T) {
	s, caller := opened(t)
	v, err := s.Answer(t.Context(), signaling.NewTicket("room", signaling.Callee), "", answer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reoffer(t.Context(), caller, secretOffer); err != nil {
		t.Fatal(err)
	}
	if d, _, err := s.Description(t.Context(), caller, signaling.Callee, v, 0); !errors.Is(err, signaling.ErrNoAnswer) {
		t.Errorf("it got %q, %v", d, err)
	}
}
