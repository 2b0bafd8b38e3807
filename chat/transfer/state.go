package transfer

// A state is where a file is in its life. The package documentation draws it.
type state byte

const (
	offered    state = iota // the receiver has not answered
	accepted                // the receiver wants it; nothing has moved yet
	moving                  // it has a channel
	waiting                 // its channel has ended before the file has
	committing              // the receiver has all of it, and gives it its name
	done                    // the receiver has it
	failed                  // it was declined, cancelled, or given up
)

// next has the legal steps out of each state.
var next = map[state][]state{
	offered:    {accepted, waiting, failed}, // waiting: an earlier run of the program has accepted it
	accepted:   {offered, moving, failed},   // offered: the journal could not be written, so the other side was not told
	moving:     {waiting, committing, done, failed},
	waiting:    {moving, done, failed}, // done: the receiver confirms on the chat channel, so it may do so on a later pipe
	committing: {done, failed},
}

// move takes the step from s to that state, and reports whether it is legal. An illegal step changes
// nothing: it says that another goroutine, or the other side, was faster.
func (s *state) move(to state) bool {
	for _, legal := range next[*s] {
		if legal == to {
			*s = to
			return true
		}
	}
	return false
}

// over reports whether it is decided how the file ends, though its name may still have to be given.
func (s state) over() bool { return s >= committing }
