package contact

import (
	"errors"
	"slices"
	"testing"
)

// moves are what a side does with its keys in a call.
type moves struct {
	roll         func(k Keys, met string, key []byte) (Keys, error)
	show, unroll func(k Keys, id string) Keys
}

// Every order in which the two sides of a call take their steps, with a kill or a declined call after any of them, three calls in a row, and with
// each generation in which the two may meet.
func TestAKillStrandsNeitherSide(t *testing.T) {
	t.Parallel()
	schedules, err := strand(moves{Keys.Roll, Keys.Show, Keys.Unroll})
	t.Log(schedules, "schedules")
	if err != nil || schedules < 1000 {
		t.Errorf("%d schedules were tried: %v", schedules, err)
	}
}

// Each of these faults strands two sides in one of the schedules.
func TestStrandsAreFound(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]moves{
		"the older keys go before the other side has shown the new ones": {func(k Keys, met string, key []byte) (Keys, error) {
			k, err := k.Roll(met, key)
			return k.Show(k.ID()), err
		}, Keys.Show, Keys.Unroll},
		"a declined call ends the older keys":              {Keys.Roll, Keys.Show, func(k Keys, _ string) Keys { return k.Show(k.ID()) }},
		"the newest keys roll, whichever the two met with": {func(k Keys, _ string, key []byte) (Keys, error) { return k.Roll(k.ID(), key) }, Keys.Show, Keys.Unroll},
	} {
		if schedules, err := strand(m); !errors.Is(err, errStranded) {
			t.Errorf("not found in %d schedules, though %s: %v", schedules, name, err)
		}
	}
}

var errStranded = errors.New("the two have no generation in common")

// strand tries all schedules. It returns how many there are, and errStranded if one of them leaves the two without keys in common.
func strand(m moves) (schedules int, err error) {
	var calls func(sides [2]Keys, left byte)
	calls = func(sides [2]Keys, left byte) {
		ids := common(sides[0], sides[1])
		if len(ids) == 0 {
			err = errStranded
		}
		if left == 0 || err != nil {
			schedules++
			return
		}
		for _, met := range ids {
			var rolled [2]Keys
			for s := range sides {
				var failed error
				if rolled[s], failed = m.roll(sides[s], met, key(10+left)); failed != nil {
					err = failed
					return
				}
			}
			// steps: a side stores; then what it shows may reach the other side, if that has stored
			var steps func(now [2]Keys, stored, shown [2]bool)
			steps = func(now [2]Keys, stored, shown [2]bool) {
				calls(now, left-1)           // both are killed here
				if stored[0] && !stored[1] { // the other side declines
					declined := now
					declined[0] = m.unroll(now[0], rolled[0].ID())
					calls(declined, left-1)
				}
				for s := range now {
					next, st, sh := now, stored, shown
					switch {
					case !stored[s]:
						next[s], st[s] = rolled[s], true
					case stored[1-s] && !shown[s]:
						next[1-s], sh[s] = m.show(now[1-s], rolled[s].ID()), true
					default:
						continue
					}
					steps(next, st, sh)
				}
			}
			steps(sides, [2]bool{}, [2]bool{})
		}
	}
	a, b := kept()
	calls([2]Keys{a, b}, 3)
	return schedules, err
}

// common returns the IDs of the generations that both have, the newest of the first one's first.
func common(a, b Keys) []string {
	var ids []string
	for _, g := range a.Generations {
		if slices.ContainsFunc(b.Generations, func(h Generation) bool { return h.ID() == g.ID() }) {
			ids = append(ids, g.ID())
		}
	}
	return ids
}
