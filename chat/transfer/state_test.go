package transfer

import "testing"

// Every legal step is taken, and every other one is refused and changes nothing.
func TestState(t *testing.T) {
	all := []state{offered, accepted, moving, waiting, committing, done, failed}
	legal := map[[2]state]string{
		{offered, accepted}:  "the receiver accepts",
		{offered, waiting}:   "an earlier run of the program has accepted",
		{offered, failed}:    "declined",
		{accepted, offered}:  "the answer could not be kept",
		{accepted, moving}:   "it has a channel",
		{accepted, failed}:   "cancelled before it moved",
		{moving, waiting}:    "the channel ended",
		{moving, committing}: "all has arrived",
		{moving, done}:       "the receiver has confirmed it",
		{moving, failed}:     "cancelled on its way",
		{waiting, moving}:    "it has the next channel",
		{waiting, done}:      "the receiver confirms on a later pipe",
		{waiting, failed}:    "cancelled between two channels",
		{committing, done}:   "it has its name",
		{committing, failed}: "it could not be given a name",
	}
	for _, from := range all {
		for _, to := range all {
			s := from
			_, want := legal[[2]state{from, to}]
			if s.move(to) != want {
				t.Errorf("from %d to %d: legal %v", from, to, !want)
			}
			if now := map[bool]state{true: to, false: from}[want]; s != now {
				t.Errorf("from %d to %d: it is %d", from, to, s)
			}
		}
	}
}

// Once a file is given its name, nothing else decides how it ends.
func TestWhatIsOver(t *testing.T) {
	for s, over := range map[state]bool{offered: false, accepted: false, moving: false, waiting: false, committing: true, done: true, failed: true} {
		if s.over() != over {
			t.Errorf("state %d is over: %t", s, s.over())
		}
	}
}
