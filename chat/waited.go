package chat

import (
	"time"

	"p2pchat/chat/reliable"
)

const (
	longWait  = 60 // seconds: the time at which a message was written is sent if it has waited longer for the other side
	maxWaited = 32 // times in a hello; it has space for twice as many
)

// A waited is when messages were written that have had to wait for the other side: those up to an ID, from the one after the waited
// before it.
type waited struct {
	Through uint64 `json:"through"`
	At      int64  `json:"at"` // Unix time in seconds
}

// waitedOf returns when those of the frames that wait were written. What was written within longWait has one time, that of the first.
// Of what was kept by an older program, and all after it, the time is not known.
func waitedOf(frames []reliable.Frame, now time.Time) (list []waited) {
	for _, f := range frames {
		n := len(list)
		switch {
		case f.At <= 0, now.Unix()-f.At <= longWait:
			return list
		case n > 0 && f.At >= list[n-1].At && f.At-list[n-1].At <= longWait:
			list[n-1].Through = f.Seq
		case n == maxWaited:
			return list
		default:
			list = append(list, waited{f.Seq, f.At})
		}
	}
	return list
}

// writtenAt returns when the message with that ID was written, as the other side says, or zero if it did not wait. A time that is
// not before now is not believed.
func writtenAt(list []waited, id uint64, now time.Time) time.Time {
	for _, w := range list {
		if id <= w.Through {
			if w.At <= 0 || w.At >= now.Unix() {
				break
			}
			return time.Unix(w.At, 0)
		}
	}
	return time.Time{}
}
