package memstore

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"p2pchat/signaling"
)

// settled is the age of the newest description in the lobby from which on a candidate without
// an ICE username fragment is taken for the next call's: the two sides of the current call
// have gathered theirs by then.
const settled = 15 * time.Second

// An early candidate came to the lobby without a token. It may belong to an offer that is
// still under way. If the lobby has another offer, that offer's list has the candidate, too.
type early struct {
	candidate signaling.Candidate
	at        int64 // Unix time in ms
	free      bool  // the lobby had no offer, or its call had settled
}

// await keeps candidates for the offer that they may precede. It returns how many wait.
func (r *state) await(c []signaling.Candidate, limits Limits, now time.Time) (int, error) {
	r.early = slices.DeleteFunc(slices.Clone(r.early), func(e early) bool { return e.stale(now) })
	size := 0
	for _, e := range r.early {
		size += len(e.candidate)
	}
	for _, one := range c {
		size += len(one)
	}
	if len(r.early)+len(c) > limits.Candidates || size > limits.ListBytes {
		return 0, signaling.ErrListFull
	}
	free := !r.open() || now.Sub(time.UnixMilli(r.since)) >= settled
	for _, one := range c {
		r.early = append(r.early, early{bytes.Clone(one), now.UnixMilli(), free})
	}
	return len(r.early), nil
}

func (e early) stale(now time.Time) bool {
	return now.Sub(time.UnixMilli(e.at)) > signaling.Early
}

// claim takes the early candidates that belong to the new offer d, and leaves those that
// name another one. The ICE username fragment (RFC 8839, section 5.4) decides where both
// d and the candidate have one. Otherwise time and state do: see early.free.
func (r *state) claim(d signaling.Description, now time.Time) (mine []signaling.Candidate) {
	if len(r.early) == 0 {
		return nil
	}
	known := fragments(d)
	var rest []early
	for _, e := range r.early {
		switch named, fits := e.names(known); {
		case e.stale(now):
		case named && fits, !named && e.free:
			mine = append(mine, e.candidate)
		case named:
			rest = append(rest, e)
		}
	}
	r.early = rest
	return mine
}

// endEarly drops the early candidates of the offer d, which ends. It keeps those of the next
// offer: a client may send them before the client of the last call closes the room.
func (r *state) endEarly(d signaling.Description, now time.Time) {
	known := fragments(d)
	r.early = slices.DeleteFunc(slices.Clone(r.early), func(e early) bool {
		named, fits := e.names(known)
		return e.stale(now) || named && fits || !named && !e.free
	})
}

// names reports whether the ICE username fragment decides about a candidate, and whether it
// is one of those known, which a description has.
func (e early) names(known []string) (named, fits bool) {
	name := fragment(e.candidate)
	return name != "" && len(known) > 0, slices.Contains(known, name)
}

// fragments lists the ICE username fragments of a description.
func fragments(d signaling.Description) (all []string) {
	var description struct{ SDP string }
	_ = json.Unmarshal(d, &description) // it was checked
	for line := range strings.Lines(description.SDP) {
		if name, found := strings.CutPrefix(line, "a=ice-ufrag:"); found {
			all = append(all, strings.TrimSpace(name))
		}
	}
	return all
}

// fragment is the ICE username fragment that a candidate names, or empty: the member of
// RTCIceCandidateInit, or the extension in the candidate's line.
func fragment(c signaling.Candidate) string {
	var candidate struct {
		Candidate        string
		UsernameFragment string
	}
	_ = json.Unmarshal(c, &candidate) // a member of another type names nothing
	if candidate.UsernameFragment != "" {
		return candidate.UsernameFragment
	}
	words := strings.Fields(candidate.Candidate)
	if i := slices.Index(words, "ufrag"); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}
