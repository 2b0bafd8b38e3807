// Package contact has the keys of two people who have kept each other, and so meet without a code.
//
//	key of the call, two nonces ─▶ generation ── key of the next call ─▶ generation ─▶ …
//	                                   │
//	                                   ├─▶ Root ─▶ the Place and the Beacon of an hour, for each side that may call
//	                                   └─▶ Boxes: what is left at the server for each side
//
// Each call makes the next generation, so a copy of the keys is worthless after the next call. Both sides keep the
// generation with which they met until the other side has shown that it has the new one: so they always have one in
// common, wherever one of them is killed. Package contact only computes. Its caller writes Keys to disk before it shows
// their ID.
package contact

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sizes in bytes.
const (
	KeySize   = 32 // of Root, of a chain, of the key of a call, and of the key of a block
	tokenSize = 16 // of a room's name, of its secret, of the tokens of a box, and of an ID
	NonceSize = 16
)

// A Side is one of the two who have kept each other, the same for both and for ever.
type Side int

// The two sides.
const (
	First  Side = iota // was the caller when they kept each other
	Second             // was the callee
)

// Other returns the other side.
func (s Side) Other() Side { return 1 - s }

// String returns "first" or "second", as the keys are derived with it.
func (s Side) String() string { return [...]string{"first", "second"}[s&1] }

// Yields reports whether s answers where both call at the same time: the other side's offer is then the one that counts.
func (s Side) Yields() bool { return s == Second }

// Keys are what one side keeps of a contact, on disk. They are secret.
type Keys struct {
	Side        Side         `json:"side"`
	Generations []Generation `json:"generations"`     // the newest first; two until the other side has shown that it has the newest
	Shown       bool         `json:"shown,omitempty"` // the other side has kept this one, or a call has shown it since
}

// A Generation is what follows from one call.
type Generation struct {
	Root  []byte `json:"root"`  // 32 bytes
	Boxes [2]Box `json:"boxes"` // of the Side that puts
}

// A Box is where one side leaves blocks for the other at a server. Each block has a key of its own, from a chain that
// only moves forward: neither Root nor a later state of the Box gives the keys of earlier blocks.
type Box struct {
	Put    []byte `json:"put"`    // 16 bytes: the token that puts a block
	Take   []byte `json:"take"`   // 16 bytes: the token that reads and deletes blocks
	Chain  []byte `json:"chain"`  // 32 bytes, from which the key of the next block follows
	Number uint64 `json:"number"` // of the next block, from 0
}

// A Place is where two contacts meet in one hour. The server sees the room alone, which tells nothing of other rooms,
// nor of the two.
type Place struct {
	Room, Secret string // 128 bits each, in lower-case base32 without padding
}

var (
	// ErrNoGeneration says that the keys of the call do not have the generation with which the two met.
	ErrNoGeneration = errors.New("the keys with which the two met are no longer kept")
	errKeys         = errors.New("these are not the keys of a contact")
)

// Keep returns the keys of one side when both have agreed to keep each other. key is that of their call, 32 bytes that only the
// two have; the nonces are what each side has sent to the other over that call, so that an
// attacker with an older copy of a disk cannot derive the keys.
func Keep(side Side, key, firsts, seconds []byte) Keys {
	return Keys{Side: side, Generations: []Generation{generation(key, slices.Concat(firsts, seconds), "keep")}}
}

// Roll returns the keys after a meeting with the generation whose ID is met. key is that of the new call. Until Show, the
// returned keys have that generation, too. It returns ErrNoGeneration if k does not have it.
func (k Keys) Roll(met string, key []byte) (Keys, error) {
	for _, g := range k.Generations {
		if g.ID() == met {
			// Other generations go: the other side has the one with which it met.
			k.Generations = []Generation{generation(slices.Concat(g.Root, key), nil, "roll"), g}
			return k, nil
		}
	}
	return Keys{}, ErrNoGeneration
}

// Unroll returns the keys without the generation of id, which Roll has made for a call that the other side declined: that side has
// not rolled, and will not. Without that word from it Unroll must not be used, because a side that has rolled may have dropped the
// older generation. Keys that do not have another one stay as they are.
func (k Keys) Unroll(id string) Keys {
	if id == k.ID() && len(k.Generations) > 1 {
		k.Generations = k.Generations[1:]
	}
	return k
}

// ID returns what this side shows to the other once k is on disk: the ID of the newest generation.
func (k Keys) ID() string { return k.Generations[0].ID() }

// Show returns the keys once the other side has shown id. The older generation is dropped if that is the newest one's ID;
// another ID changes nothing.
func (k Keys) Show(id string) Keys {
	if id == k.ID() {
		k.Generations, k.Shown = k.Generations[:1:1], true
	}
	return k
}

// Places returns where the two meet at now if caller calls, with the ID of the generation of each. The first is
// where the caller should be if both clocks are right; then come the older generation's, and those of the hours before and
// after, because clocks are wrong.
func (k Keys) Places(caller Side, now time.Time) (places []Place, ids []string) {
	for _, epoch := range hoursAround(now) {
		for _, g := range k.Generations {
			places, ids = append(places, g.Place(caller, epoch)), append(ids, g.ID())
		}
	}
	return places, ids
}

// OwnBeacons returns by what the other side recognises on a local network at now that this side calls: one for each generation.
func (k Keys) OwnBeacons(now time.Time) (all []string) {
	for _, g := range k.Generations {
		all = append(all, g.Beacon(k.Side, Epoch(now)))
	}
	return all
}

// Beacons returns by what this side recognises on a local network at now that the other side calls, also if the clock of one is wrong.
func (k Keys) Beacons(now time.Time) (all []string) {
	for _, epoch := range hoursAround(now) {
		for _, g := range k.Generations {
			all = append(all, g.Beacon(k.Side.Other(), epoch))
		}
	}
	return all
}

// hoursAround returns the hour of now, and those before and after it.
func hoursAround(now time.Time) [3]int64 {
	hour := Epoch(now)
	return [...]int64{hour, hour - 1, hour + 1}
}

// Check returns an error unless k are keys as Keep and Roll make them.
func (k Keys) Check() error {
	if k.Side != First && k.Side != Second || len(k.Generations) < 1 || len(k.Generations) > 2 {
		return errKeys
	}
	for _, g := range k.Generations {
		if len(g.Root) != KeySize {
			return errKeys
		}
		for _, b := range g.Boxes {
			if len(b.Put) != tokenSize || len(b.Take) != tokenSize || len(b.Chain) != KeySize {
				return errKeys
			}
		}
	}
	return nil
}

// generation derives a generation from what only the two have.
func generation(secret, salt []byte, purpose string) Generation {
	seed, err := hkdf.Key(sha256.New, secret, salt, "p2pchat/2 contact "+purpose, KeySize)
	if err != nil {
		panic(err) // only for a size above 8,160
	}
	g := Generation{Root: expand(seed, "root", KeySize)}
	for _, s := range []Side{First, Second} {
		g.Boxes[s] = Box{Put: expand(seed, "put "+s.String(), tokenSize), Take: expand(seed, "take "+s.String(), tokenSize), Chain: expand(seed, "chain "+s.String(), KeySize)}
	}
	return g
}

// ID returns the name of a generation between the two. It tells nothing of the keys.
func (g Generation) ID() string { return hex.EncodeToString(expand(g.Root, "id", tokenSize)) }

// Place returns where the two meet in an hour if caller calls.
func (g Generation) Place(caller Side, epoch int64) Place {
	hour := g.hour(caller, epoch)
	return Place{Room: text(expand(hour, "room", tokenSize)), Secret: text(expand(hour, "secret", tokenSize))}
}

// Beacon returns by what the two recognise a call on a local network in an hour if caller calls. A server that has seen their room does
// not know it.
func (g Generation) Beacon(caller Side, epoch int64) string {
	return text(expand(g.hour(caller, epoch), "beacon", tokenSize))
}

// hour returns the key of an hour if caller calls.
func (g Generation) hour(caller Side, epoch int64) []byte {
	return expand(g.Root, "place "+caller.String()+" "+strconv.FormatInt(epoch, 10), KeySize)
}

// Epoch returns the number of the hour of t, from 1970 on (UTC).
func Epoch(t time.Time) int64 { return t.Unix() / 3600 }

// NextEpoch returns when the hour of t ends.
func NextEpoch(t time.Time) time.Time { return time.Unix((Epoch(t)+1)*3600, 0) }

// Next returns the key and the number of the next block, and the box after it, in which nothing is left of that key.
func (b Box) Next() (key []byte, number uint64, after Box) {
	after = b
	after.Chain, after.Number = expand(b.Chain, "chain", KeySize), b.Number+1
	return expand(b.Chain, "key", KeySize), b.Number, after
}

// Context returns what a block is bound to: the box, by its tokens, and the block's number.
func (b Box) Context() []byte {
	return binary.BigEndian.AppendUint64(slices.Concat(b.Put, b.Take), b.Number)
}

func expand(secret []byte, purpose string, size int) []byte {
	b, err := hkdf.Expand(sha256.New, secret, purpose, size)
	if err != nil {
		panic(err) // only for a size above 8,160
	}
	return b
}

func text(b []byte) string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}
