package peer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"p2pchat/peer/contact"
	"p2pchat/signaling"
)

// turn is how long a Listener looks into those rooms that share a request with others.
const turn = 5 * time.Second

// A Listener waits for calls of many contacts at one server:
//
//	rooms of this hour, with the newest keys ──▶ a request that waits
//	all others, if they do not fit in as well ─▶ a request for each part, in turns
//
// So it needs two connections at most, however many the contacts are. An offer in one of their rooms proves nothing yet: meet
// the contact to find out who made it.
type Listener struct {
	store  signaling.Store
	config ListenConfig

	mu       sync.Mutex // guards what follows
	contacts map[string]contact.Keys
	changed  chan struct{}                // closed when contacts change
	known    map[string]signaling.Version // of the offers that were told, by room
}

// A ListenConfig tunes a Listener.
type ListenConfig struct {
	// Offered is called with the ID of each contact in whose rooms there is a new offer, from any goroutine. It must not wait.
	Offered func(id string)
	// Trouble is called with an error when the server begins to refuse, and with nil when it no longer does. It may be nil.
	Trouble func(error)
	// Seed has 32 bytes of chance, always the same ones: the names of rooms in which no contact calls follow from them.
	Seed []byte
	Log  *slog.Logger // slog.Default() if nil
}

// NewListener returns a Listener at a server, for no contacts yet.
func NewListener(at signaling.Store, config ListenConfig) *Listener {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Trouble == nil {
		config.Trouble = func(error) {}
	}
	return &Listener{store: at, config: config, contacts: map[string]contact.Keys{}, changed: make(chan struct{}), known: map[string]signaling.Version{}}
}

// Set replaces the contacts, by ID. For those who are renewed, and those who were not there before, offers count as new even if
// they were told before.
func (l *Listener) Set(contacts map[string]contact.Keys, renewed ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	told, now := len(l.known), time.Now()
	for id, keys := range contacts {
		if _, was := l.contacts[id]; was && !slices.Contains(renewed, id) {
			continue
		}
		places, _ := keys.Places(keys.Side.Other(), now)
		for _, p := range places {
			delete(l.known, p.Room)
		}
	}
	if len(l.known) == told && maps.EqualFunc(l.contacts, contacts, sameRooms) {
		return // each new read costs the server's rate as much as many requests
	}
	l.contacts = maps.Clone(contacts)
	close(l.changed)
	l.changed = make(chan struct{})
}

// sameRooms reports whether two keys lead to the same rooms.
func sameRooms(a, b contact.Keys) bool {
	return a.Side == b.Side && slices.EqualFunc(a.Generations, b.Generations, func(g, h contact.Generation) bool { return slices.Equal(g.Root, h.Root) })
}

// Run waits until ctx ends.
func (l *Listener) Run(ctx context.Context) {
	for ctx.Err() == nil {
		now := time.Now()
		rooms, changed := l.rooms(now)
		hour, over := withinHour(ctx, now)
		reading, end := context.WithCancel(hour)
		var wg sync.WaitGroup
		wg.Go(func() {
			defer end()
			select {
			case <-changed:
			case <-reading.Done():
			}
		})
		parts := slices.Collect(slices.Chunk(rooms, signaling.MaxOffers))
		wg.Go(func() { l.read(reading, parts[:1], signaling.Forever) })
		if others := parts[1:]; len(others) > 0 {
			wg.Go(func() { l.read(reading, others, turn) })
		}
		wg.Wait()
		over()
	}
}

// A listenedRoom is a room, and the contact who may call there.
type listenedRoom struct{ name, contact string }

// rooms returns all rooms to wait in, the likeliest first, and a channel that is closed when they are others. Further rooms fill
// the list up to a size that hides how many contacts there are.
func (l *Listener) rooms(now time.Time) ([]listenedRoom, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var first, others []listenedRoom
	live := map[string]bool{}
	for id, keys := range l.contacts {
		places, _ := keys.Places(keys.Side.Other(), now)
		for i, p := range places {
			live[p.Room] = true
			if r := (listenedRoom{p.Room, id}); i == 0 {
				first = append(first, r)
			} else {
				others = append(others, r)
			}
		}
	}
	maps.DeleteFunc(l.known, func(room string, _ signaling.Version) bool { return !live[room] })
	all := slices.Concat(first, others)
	for decoy, size := uint64(0), paddedRooms(len(all)); len(all) < size; decoy++ {
		places, _ := newDecoy(l.config.Seed, decoy).Places(contact.First, now)
		for _, p := range places[:min(len(places), size-len(all))] {
			all = append(all, listenedRoom{name: p.Room})
		}
	}
	return all, l.changed
}

// paddedRooms returns how many rooms a Listener waits in that has n of its own.
func paddedRooms(n int) int {
	for _, size := range []int{16, 64, 256} {
		if n <= size {
			return size
		}
	}
	return (n + signaling.MaxOffers - 1) / signaling.MaxOffers * signaling.MaxOffers
}

// decoyLife is how long the box of a decoy keeps its name on average. That of a contact keeps its name until the next call of the two.
const decoyLife = 7 * 24 * time.Hour

// DecoyBoxes returns the boxes at now of contacts that do not exist, the same ones for a seed. With them, n contacts are of a number
// that hides n, as with the rooms of a Listener. From time to time one has another name, as if the contact had been in a call.
func DecoyBoxes(seed []byte, n int, now time.Time) []contact.Box {
	all := make([]contact.Box, paddedRooms(n)-n)
	for i := range all {
		turn := binary.BigEndian.AppendUint64(slices.Clone(seed), decoyTurn(seed, uint64(i), now))
		all[i] = newDecoy(turn, uint64(i)).Generations[0].Boxes[contact.Second]
	}
	return all
}

// decoyTurn returns how often the box of a decoy has had another name since 1970: once in each decoyLife, at a moment of it that
// follows from the seed.
func decoyTurn(seed []byte, number uint64, now time.Time) uint64 {
	life := int64(decoyLife / time.Second)
	turn, since := uint64(now.Unix()/life), uint64(now.Unix()%life) //nolint:gosec // after 1970
	at := sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(slices.Clone(seed), number), turn))
	if since < binary.BigEndian.Uint64(at[:])%uint64(life) {
		return turn
	}
	return turn + 1
}

// newDecoy returns the keys of a contact that does not exist, the same each time, so that its rooms come and go as those of others.
func newDecoy(seed []byte, number uint64) contact.Keys {
	key := sha256.Sum256(binary.BigEndian.AppendUint64(slices.Clone(seed), number))
	return contact.Keep(contact.First, key[:], nil, nil)
}

// read reads the offers of one part of the rooms after another, each for up to wait, until ctx ends.
func (l *Listener) read(ctx context.Context, parts [][]listenedRoom, wait time.Duration) {
	var pause backoff
	refused := false
	for turns := 0; ctx.Err() == nil; turns++ {
		rooms, limit := parts[turns%len(parts)], wait
		if refused { // a read that waits would tell only with the next offer that the server no longer refuses
			limit = 0
		}
		list, err := l.store.Offers(ctx, l.wanted(rooms), limit)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !refused {
				l.config.Log.Info("the rooms of contacts cannot be read; trying again", "why", err)
				l.config.Trouble(err)
			}
			refused = true
		case refused:
			l.config.Trouble(nil)
			refused = false
		}
		l.tell(rooms, list)
		if err != nil || len(list) > 0 { // a malicious server may always have another offer
			_ = pause.wait(ctx) // the loop looks at ctx
		}
	}
}

// wanted returns what to ask for in rooms.
func (l *Listener) wanted(rooms []listenedRoom) []signaling.WantedOffer {
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted := make([]signaling.WantedOffer, len(rooms))
	for i, r := range rooms {
		wanted[i] = signaling.WantedOffer{Room: r.name, Known: l.known[r.name]}
	}
	return wanted
}

// tell tells of the contacts in whose rooms there are offers, each once.
func (l *Listener) tell(rooms []listenedRoom, list []signaling.Offered) {
	told := map[string]bool{"": true} // no contact calls where the list was filled up
	for _, o := range list {
		i := slices.IndexFunc(rooms, func(r listenedRoom) bool { return r.name == o.Room })
		if i < 0 {
			continue
		}
		l.mu.Lock()
		l.known[o.Room] = o.Version
		l.mu.Unlock()
		if id := rooms[i].contact; !told[id] {
			told[id] = true
			l.config.Offered(id)
		}
	}
}
