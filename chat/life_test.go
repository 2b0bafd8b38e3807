package chat

import "testing"

// Every legal step is taken, and every other one is refused and changes nothing.
func TestLife(t *testing.T) {
	all := []stage{open, inputEnded, leaving, goodbye, over}
	steps := map[side]map[[2]stage]string{
		ours: {
			{open, inputEnded}:    "Finish",
			{open, leaving}:       "Leave, or the other side has left",
			{inputEnded, leaving}: "both inputs have ended",
			{leaving, goodbye}:    "all was sent",
			{goodbye, over}:       "the other side has left, too",
		},
		theirs: {
			{open, inputEnded}:    "its end is read",
			{open, goodbye}:       "its goodbye comes",
			{inputEnded, open}:    "its program was restarted",
			{inputEnded, goodbye}: "its goodbye comes",
			{goodbye, over}:       "the reader knows",
		},
	}
	for who, legal := range steps {
		for _, from := range all {
			for _, to := range all {
				var l life
				l.stages[who] = from
				_, want := legal[[2]stage{from, to}]
				if l.move(who, to) != want {
					t.Errorf("side %d from %d to %d: legal %v", who, from, to, !want)
				}
				if now := map[bool]stage{true: to, false: from}[want]; !l.is(who, now) {
					t.Errorf("side %d from %d to %d: it is %d", who, from, to, l.stages[who])
				}
			}
		}
	}
}

// Who has said goodbye first decides who waits for whom.
func TestFirstGoodbye(t *testing.T) {
	walk := func(steps ...func(*life) bool) (l life) {
		for i, step := range steps {
			if !step(&l) {
				t.Errorf("step %d is refused", i)
			}
		}
		return l
	}
	leave := func(l *life) bool { return l.move(ours, leaving) }
	say := func(l *life) bool { return l.move(ours, goodbye) }
	hear := func(l *life) bool { return l.move(theirs, goodbye) }
	if l := walk(leave, say, hear); !l.first || l.theyEndedIt() {
		t.Error("this side said it first")
	}
	if l := walk(hear, leave, say); l.first || !l.theyEndedIt() {
		t.Error("the other side said it first")
	}
}

// A goodbye that is said again does not change which side was the first: one of them must close the pipe.
func TestUnsay(t *testing.T) {
	for _, first := range []bool{true, false} {
		var l life
		say := func() { l.move(ours, leaving); l.move(ours, goodbye) }
		if first {
			say()
		}
		l.move(theirs, goodbye)
		if !first {
			say()
		}
		l.move(ours, over)
		l.unsay()
		if !l.is(ours, leaving) {
			t.Errorf("it is %d", l.stages[ours])
		}
		if say(); l.first != first || !l.is(ours, goodbye) {
			t.Errorf("first: %v, want %v", l.first, first)
		}
	}
	var l life
	if l.unsay(); !l.is(ours, open) {
		t.Error("a side that has not said goodbye is leaving")
	}
}
