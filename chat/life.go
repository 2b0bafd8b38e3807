package chat

import "slices"

// A side is one of the two.
type side int

const (
	ours side = iota
	theirs
)

// A stage is how far a side is in the life of a conversation. The package documentation draws it.
type stage byte

const (
	open       stage = iota // it may say something
	inputEnded              // it says no more, and still listens; its files may move
	leaving                 // ours: its goodbye is still to go out
	goodbye                 // it has said goodbye; or the other side's page did not come back
	over                    // ours: nothing more goes out; theirs: the reader knows
)

// legal has the steps out of each stage, for each side.
var legal = map[side]map[stage][]stage{
	ours: {
		open:       {inputEnded, leaving},
		inputEnded: {leaving},
		leaving:    {goodbye},
		goodbye:    {over},
	},
	theirs: {
		open:       {inputEnded, goodbye},
		inputEnded: {open, goodbye}, // open: its program was started again, and has input
		goodbye:    {over},
	},
}

// A life is that of a conversation.
type life struct {
	stages [2]stage
	first  bool // this side said goodbye before the other one did
}

// move takes a side to that stage, and reports whether the step is legal. An illegal one changes nothing.
func (l *life) move(who side, to stage) bool {
	if !slices.Contains(legal[who][l.stages[who]], to) {
		return false
	}
	if who == ours && to == goodbye {
		l.first = l.first || !l.past(theirs, goodbye) // it was before unsay, perhaps
	}
	l.stages[who] = to
	return true
}

// unsay takes back this side's goodbye: the pipe on which it was said was replaced, and the other side may not have read it.
func (l *life) unsay() { l.stages[ours] = min(l.stages[ours], leaving) }

// past reports whether a side has reached that stage.
func (l *life) past(who side, s stage) bool { return l.stages[who] >= s }

// is reports whether a side is at that stage.
func (l *life) is(who side, s stage) bool { return l.stages[who] == s }

// theyEndedIt reports whether the other side has left, and this side had not said goodbye before.
func (l *life) theyEndedIt() bool { return l.past(theirs, goodbye) && !l.first }
