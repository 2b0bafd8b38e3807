package contact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func key(n byte) []byte { return bytes.Repeat([]byte{n}, KeySize) }

func kept() (first, second Keys) {
	return Keep(First, key(1), key(2)[:NonceSize], key(3)[:NonceSize]), Keep(Second, key(1), key(2)[:NonceSize], key(3)[:NonceSize])
}

func TestBothSidesDeriveTheSame(t *testing.T) {
	t.Parallel()
	a, b := kept()
	for n := range byte(3) {
		if a.ID() != b.ID() || a.Side == b.Side {
			t.Fatalf("generation %d: %s and %s", n, a.ID(), b.ID())
		}
		for _, caller := range []Side{First, Second} {
			theirs, _ := b.Places(caller, time.Unix(7200, 0))
			if ours, _ := a.Places(caller, time.Unix(7200, 0)); !slices.Equal(ours, theirs) {
				t.Errorf("generation %d, %s calls: other places", n, caller)
			}
		}
		met := a.ID()
		var err error
		if a, err = a.Roll(met, key(20+n)); err != nil {
			t.Fatal(err)
		}
		if b, err = b.Roll(met, key(20+n)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Roll("another", key(1)); err == nil {
		t.Error("a generation that was never kept rolls")
	}
	if got := a.Show("another"); len(got.Generations) != 2 || got.Shown {
		t.Error("a wrong ID drops a generation")
	}
}

// Once the other side has shown the newest generation, a copy of the older keys meets no one.
func TestShownKeysEndTheOlderOnes(t *testing.T) {
	t.Parallel()
	k, _ := kept()
	older := k.ID()
	k, err := k.Roll(older, key(4))
	if err != nil {
		t.Fatal(err)
	}
	if _, ids := k.Places(First, time.Unix(7200, 0)); !slices.Contains(ids, older) {
		t.Error("the older generation is gone before the other side has the newest one")
	}
	k = k.Show(k.ID())
	if _, ids := k.Places(First, time.Unix(7200, 0)); slices.Contains(ids, older) || !k.Shown {
		t.Errorf("the older generation still has places, shown: %t", k.Shown)
	}
	if _, err := k.Roll(older, key(5)); !errors.Is(err, ErrNoGeneration) {
		t.Errorf("a meeting with the older generation: %v", err)
	}
}

// A declined call leaves the keys of before, and only that call's.
func TestDeclinedCall(t *testing.T) {
	t.Parallel()
	before, _ := kept()
	rolled, err := before.Roll(before.ID(), key(4))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		keys Keys
		id   string
		want Keys
	}{
		"the call's keys":           {rolled, rolled.ID(), before},
		"the keys of before":        {rolled, before.ID(), rolled},
		"the only keys there are":   {before, before.ID(), before},
		"keys that were never kept": {before, rolled.ID(), before},
	} {
		if got := c.keys.Unroll(c.id); !reflect.DeepEqual(got, c.want) {
			t.Errorf("without %s: %d generations, %s", name, len(got.Generations), got.ID())
		}
	}
}

// Of two who call each other at the same time the second one answers, in the program and in the page.
func TestOneSideYields(t *testing.T) {
	t.Parallel()
	if First.Yields() || !Second.Yields() || First.Other() != Second || Second.Other() != First {
		t.Error("not the second side alone answers")
	}
}

func TestHours(t *testing.T) {
	t.Parallel()
	for at, want := range map[int64]int64{0: 0, 3599: 0, 3600: 1, 1_700_000_000: 472222, 1_700_002_799: 472222} {
		now := time.Unix(at, 0)
		if got := Epoch(now); got != want {
			t.Errorf("second %d is in hour %d, want %d", at, got, want)
		}
		if next := NextEpoch(now); Epoch(next) != want+1 || Epoch(next.Add(-time.Nanosecond)) != want {
			t.Errorf("the hour of second %d ends at %s", at, next)
		}
	}
}

// Clocks that are up to an hour apart find each other, whatever the minute.
func TestPlacesOfWrongClocks(t *testing.T) {
	t.Parallel()
	a, b := kept()
	for minute := range 60 {
		for _, off := range []time.Duration{-time.Hour, -31 * time.Minute, 0, time.Minute, time.Hour} {
			now := time.Unix(1_700_000_000, 0).Add(time.Duration(minute) * time.Minute)
			calls, _ := a.Places(First, now)
			if waits, _ := b.Places(First, now.Add(off)); !slices.Contains(waits, calls[0]) {
				t.Errorf("minute %d, clock off by %s: the two miss each other", minute, off)
			}
		}
	}
}

// Each side recognises that the other calls, with clocks that are up to an hour apart, and neither takes its own call for the other's.
func TestBeacons(t *testing.T) {
	t.Parallel()
	a, b := kept()
	a, err := a.Roll(a.ID(), key(4)) // b has been killed before it has rolled
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	for _, off := range []time.Duration{-time.Hour, 0, time.Hour} {
		for _, pair := range [][2]Keys{{a, b}, {b, a}} {
			caller, callee := pair[0], pair[1]
			if !slices.ContainsFunc(caller.OwnBeacons(now), func(s string) bool { return slices.Contains(callee.Beacons(now.Add(off)), s) }) {
				t.Errorf("the call of the %s is not recognised by a clock that is off by %s", caller.Side, off)
			}
			if slices.ContainsFunc(caller.OwnBeacons(now), func(s string) bool { return slices.Contains(caller.Beacons(now.Add(off)), s) }) {
				t.Errorf("the %s recognises its own call as the other side's", caller.Side)
			}
		}
	}
	if len(a.OwnBeacons(now)) != len(a.Generations) || slices.ContainsFunc(a.OwnBeacons(now.Add(2*time.Hour)), func(s string) bool { return slices.Contains(b.Beacons(now), s) }) {
		t.Error("beacons stay longer than the hours around theirs")
	}
}

// No two derived values are equal, and none is part of another: not over sides, hours, generations, or purposes.
func TestNothingIsDerivedTwice(t *testing.T) {
	t.Parallel()
	k, _ := kept()
	seen := map[string]string{}
	see := func(what, value string) {
		if was, twice := seen[value]; twice {
			t.Errorf("%s is %s", what, was)
		}
		seen[value] = what
	}
	for n := range byte(3) {
		g := k.Generations[0]
		see(fmt.Sprint("root ", n), string(g.Root))
		see(fmt.Sprint("id ", n), g.ID())
		for _, s := range []Side{First, Second} {
			for hour := range int64(5) {
				p := g.Place(s, hour)
				see(fmt.Sprint("room ", n, s, hour), p.Room)
				see(fmt.Sprint("secret ", n, s, hour), p.Secret)
				see(fmt.Sprint("beacon ", n, s, hour), k.Generations[0].Beacon(s, hour))
			}
			b := g.Boxes[s]
			see(fmt.Sprint("put ", n, s), string(b.Put))
			see(fmt.Sprint("take ", n, s), string(b.Take))
			for block := range 5 {
				see(fmt.Sprint("chain ", n, s, block), string(b.Chain))
				var key []byte
				key, _, b = b.Next()
				see(fmt.Sprint("key ", n, s, block), string(key))
			}
		}
		var err error
		if k, err = k.Roll(k.ID(), key(30)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	first, second := kept()
	for _, k := range []Keys{first, second} {
		if err := k.Check(); err != nil {
			t.Error(err)
		}
		if k, err := k.Roll(k.ID(), key(4)); err != nil || k.Check() != nil {
			t.Errorf("after a call: %v, %v", err, k.Check())
		}
	}
	for name, spoil := range map[string]func(*Keys){
		"no generation": func(k *Keys) { k.Generations = nil },
		"three":         func(k *Keys) { k.Generations = slices.Repeat(k.Generations, 3) },
		"another side":  func(k *Keys) { k.Side = 2 },
		"a short root":  func(k *Keys) { k.Generations[0].Root = k.Generations[0].Root[1:] },
		"no put token":  func(k *Keys) { k.Generations[0].Boxes[0].Put = nil },
		"no take token": func(k *Keys) { k.Generations[0].Boxes[0].Take = nil },
		"no chain":      func(k *Keys) { k.Generations[0].Boxes[1].Chain = nil },
	} {
		k, _ := kept()
		if spoil(&k); k.Check() == nil {
			t.Error(name, "passes")
		}
	}
}

// The page derives the same.
func TestVectors(t *testing.T) {
	t.Parallel()
	type vector struct {
		Key, Firsts, Seconds []byte
		Call                 []byte // the key of the next call
		Epoch                int64
		Kept, Rolled         Generation
		IDs                  []string
		Places               map[string]Place // by generation and caller
		BlockKeys            [][]byte         // of the first's box in Kept
	}
	v := vector{Key: key(1), Firsts: key(2)[:NonceSize], Seconds: key(3)[:NonceSize], Call: key(4), Epoch: 473040, Places: map[string]Place{}}
	k := Keep(First, v.Key, v.Firsts, v.Seconds)
	v.Kept = k.Generations[0]
	k, err := k.Roll(k.ID(), v.Call)
	if err != nil {
		t.Fatal(err)
	}
	v.Rolled = k.Generations[0]
	v.IDs = []string{v.Kept.ID(), v.Rolled.ID()}
	for _, s := range []Side{First, Second} {
		v.Places["kept "+s.String()] = v.Kept.Place(s, v.Epoch)
		v.Places["rolled "+s.String()] = v.Rolled.Place(s, v.Epoch)
	}
	box := v.Kept.Boxes[First]
	for range 3 {
		var key []byte
		key, _, box = box.Next()
		v.BlockKeys = append(v.BlockKeys, key)
	}
	got, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/contact.json"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(want)) != string(got) {
		t.Errorf("%s has other values than this package derives: the page and older files would not meet it", file)
	}
}
