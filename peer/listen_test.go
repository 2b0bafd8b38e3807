package peer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/peer/contact"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A counted counts the reads of many rooms that wait at once, and notes the rooms of each.
type counted struct {
	signaling.Store
	fails error

	mu        sync.Mutex // guards what follows
	now, most int
	rooms     [][]string
}

func (c *counted) Offers(ctx context.Context, wanted []signaling.WantedOffer, wait time.Duration) ([]signaling.Offered, error) {
	var names []string
	for _, w := range wanted {
		names = append(names, w.Room)
	}
	c.mu.Lock()
	fails := c.fails
	c.now++
	c.most = max(c.most, c.now)
	c.rooms = append(c.rooms, names)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now--
	}()
	if fails != nil {
		return nil, fails
	}
	return c.Store.Offers(ctx, wanted, wait)
}

func (c *counted) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails = err
}

// reads returns the rooms of all reads since the last call.
func (c *counted) reads() [][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.rooms = nil }()
	return c.rooms
}

// contactKeys returns the keys of both sides of contact n.
func contactKeys(n int) [2]contact.Keys {
	key, nonce := fmt.Appendf(nil, "%032d", n), make([]byte, contact.NonceSize)
	return [2]contact.Keys{contact.Keep(contact.First, key, nonce, nonce), contact.Keep(contact.Second, key, nonce, nonce)}
}

// listens runs a Listener for n contacts, within a bubble.
func listens(t *testing.T, n int) (l *peer.Listener, at *counted, offered <-chan string, contacts map[string]contact.Keys) {
	t.Helper()
	at = &counted{Store: memstore.New(memstore.Limits{})}
	told := make(chan string, 16)
	l = peer.NewListener(at, peer.ListenConfig{Offered: func(id string) { told <- id }, Seed: bytes.Repeat([]byte{7}, 32)})
	contacts = map[string]contact.Keys{}
	for i := range n {
		contacts[strconv.Itoa(i)] = contactKeys(i)[i%2]
	}
	l.Set(contacts)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return l, at, told, contacts
}

// offers puts an offer where contact n calls, whose clock is off.
func offers(t *testing.T, at signaling.Store, n int, off time.Duration) {
	t.Helper()
	keys := contactKeys(n)[1-n%2]
	places, _ := keys.Places(keys.Side, time.Now().Add(off))
	if _, err := at.Offer(t.Context(), signaling.NewTicket(places[0].Room, signaling.Caller), signaling.Description(`{"type":"offer","sdp":""}`)); err != nil {
		t.Fatal(err)
	}
}

// after waits for the next offer, and returns whose it is and how long that took.
func after(t *testing.T, offered <-chan string) (id string, took time.Duration) {
	t.Helper()
	started := time.Now()
	select {
	case id = <-offered:
	case <-time.After(time.Minute):
		t.Fatal("no call was noticed")
	}
	return id, time.Since(started)
}

func silent(t *testing.T, offered <-chan string, why string) {
	t.Helper()
	select {
	case id := <-offered:
		t.Errorf("a call of %s was told: %s", id, why)
	case <-time.After(time.Minute):
	}
}

func TestListener(t *testing.T) {
	bubble := func(name string, f func(*testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
	}

	bubble("each of 1,000 contacts is heard at once, over two requests", func(t *testing.T) {
		_, at, offered, _ := listens(t, 1000)
		for _, n := range []int{0, 500, 999} {
			offers(t, at, n, 0)
			if id, took := after(t, offered); id != strconv.Itoa(n) || took > 100*time.Millisecond { // the pause after an offer
				t.Errorf("%s was told after %s, not %d at once", id, took, n)
			}
		}
		for _, off := range []time.Duration{-time.Hour, time.Hour} {
			offers(t, at, 998, off)
			if id, took := after(t, offered); id != "998" || took > 15*time.Second {
				t.Errorf("%s was told after %s, not 998 in turn", id, took)
			}
		}
		if at.most != 2 {
			t.Errorf("%d requests waited at once, not 2", at.most)
		}
	})

	bubble("an offer is told once, and again once its contact was gone", func(t *testing.T) {
		l, at, offered, contacts := listens(t, 3)
		offers(t, at, 1, 0)
		if id, _ := after(t, offered); id != "1" {
			t.Error(id)
		}
		silent(t, offered, "it was told before")
		l.Set(map[string]contact.Keys{"0": contacts["0"]})
		silent(t, offered, "no program listens for it")
		l.Set(contacts)
		if id, _ := after(t, offered); id != "1" {
			t.Error(id)
		}
		l.Set(contacts, "0")
		silent(t, offered, "it is not renewed")
		l.Set(contacts, "1")
		if id, _ := after(t, offered); id != "1" {
			t.Error(id)
		}
	})

	bubble("new keys and new hours have other rooms", func(t *testing.T) {
		l, at, offered, contacts := listens(t, 1)
		time.Sleep(5 * time.Hour)
		offers(t, at, 0, 0)
		after(t, offered)
		next, err := contacts["0"].Roll(contacts["0"].ID(), make([]byte, contact.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		l.Set(map[string]contact.Keys{"0": next.Show(next.ID())})
		synctest.Wait()
		at.reads()
		offers(t, at, 0, time.Hour)
		silent(t, offered, "its keys are others")
		l.Set(map[string]contact.Keys{"0": next}) // the older ones count, too
		after(t, offered)
	})

	bubble("the number of rooms hides that of contacts, and most rooms stay from hour to hour", func(t *testing.T) {
		for _, c := range []struct{ contacts, rooms int }{{0, 16}, {1, 16}, {5, 16}, {6, 64}, {21, 64}, {22, 256}, {86, 1024}} {
			_, at, _, _ := listens(t, c.contacts)
			synctest.Wait()
			was := at.reads()[0]
			if len(was) != c.rooms {
				t.Errorf("%d contacts: %d rooms, not %d", c.contacts, len(was), c.rooms)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			now := at.reads()
			stay := 0
			for _, room := range now[len(now)-1] {
				if slices.Contains(was, room) {
					stay++
				}
			}
			if stay < c.rooms*2/3-1 || stay > c.rooms*2/3+1 { // as of a contact's three rooms
				t.Errorf("%d contacts: %d of %d rooms stay", c.contacts, stay, c.rooms)
			}
		}
	})

	bubble("a server that refuses is told of once, and asked again", func(t *testing.T) {
		at := &counted{Store: memstore.New(memstore.Limits{}), fails: errors.New("no such path")}
		trouble, offered := make(chan error, 16), make(chan string, 16)
		l := peer.NewListener(at, peer.ListenConfig{Offered: func(id string) { offered <- id }, Trouble: func(err error) { trouble <- err }, Seed: make([]byte, 32)})
		l.Set(map[string]contact.Keys{"0": contactKeys(0)[0]})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { l.Run(ctx) })
		defer wg.Wait()
		defer cancel()
		if err := <-trouble; err == nil {
			t.Error("it is told as if all were well")
		}
		time.Sleep(time.Minute)
		if n := len(at.reads()); n > 40 || len(trouble) > 0 {
			t.Errorf("it was asked %d times in a minute, and told %d times more", n, len(trouble))
		}
		at.fail(nil)
		time.Sleep(time.Minute)
		select {
		case err := <-trouble:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("it is not told that the server no longer refuses")
		}
		offers(t, at, 0, 0)
		after(t, offered)
	})
}

// A malicious server makes offers in all rooms, again and again.
type offering struct {
	signaling.Store
	n int
}

func (o *offering) Offers(ctx context.Context, wanted []signaling.WantedOffer, _ time.Duration) (list []signaling.Offered, _ error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, w := range append(slices.Clone(wanted), signaling.WantedOffer{Room: "a-room-that-was-not-asked-for"}) {
		o.n++
		list = append(list, signaling.Offered{Room: w.Room, Version: signaling.Version(strconv.Itoa(o.n)), Offer: signaling.Description(`{"type":"offer","sdp":""}`)})
	}
	return list, nil
}

func TestAServerThatMakesOffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := map[string]int{}
		l := peer.NewListener(&offering{}, peer.ListenConfig{Offered: func(id string) { told[id]++ }, Seed: make([]byte, 32)})
		l.Set(map[string]contact.Keys{"0": contactKeys(0)[0], "1": contactKeys(1)[1]})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		l.Run(ctx)
		if len(told) != 2 || told["0"] == 0 || told["0"] > 40 || told["1"] != told["0"] {
			t.Errorf("in a minute, these were told: %v", told)
		}
	})
}

// The boxes of contacts that do not exist get other names one by one, at no regular times, and each about once a week.
func TestDecoyBoxes(t *testing.T) {
	t.Parallel()
	seed, begun := bytes.Repeat([]byte{7}, 32), time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	boxes := func(hour int) []contact.Box {
		return peer.DecoyBoxes(seed, 3, begun.Add(time.Duration(hour)*time.Hour))
	}
	if n := len(boxes(0)); n != 13 {
		t.Fatalf("3 contacts and %d others", n)
	}
	const weeks = 20
	names, last := map[string]bool{}, boxes(0)
	changes, together, gaps := 0, 0, map[int]bool{}
	since := make([]int, len(last))
	for hour := range weeks * 7 * 24 {
		now, changed := boxes(hour), 0
		for i, b := range now {
			if bytes.Equal(b.Take, last[i].Take) {
				continue
			}
			if names[string(b.Take)] {
				t.Fatal("a box has a name again that it had before")
			}
			changed++
			gaps[hour-since[i]] = true
			since[i] = hour
		}
		for _, b := range last {
			names[string(b.Take)] = true
		}
		last, changes, together = now, changes+changed, max(together, changed)
	}
	if want := weeks * len(last); changes < want-len(last) || changes > want+len(last) {
		t.Errorf("%d changes in %d weeks, want about %d", changes, weeks, want)
	}
	if together > 3 || len(gaps) < changes/4 {
		t.Errorf("%d change in one hour, and %d changes have only %d distances", together, changes, len(gaps))
	}
}
