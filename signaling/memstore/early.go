package memstore

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"p2pchat/signaling"
)

// settledAge is the age of the latest description in the lobby from which on a candidate without
// an ICE username fragment is taken for a candidate of the next call: by then the two sides of the
// current call have gathered theirs.
const settledAge = 15 * time.Second

// An earlyCandidate came to the lobby without a token. It may belong to an offer that is still
// under way. If the lobby has another offer, that offer's list has the candidate, too.
type earlyCandidate struct {
	candidate signaling.Candidate
	at        int64 // Unix time in ms
	unclaimed bool  // the lobby had no offer, or its call had settled
}

// addEarly adds candidates for the offer that they may precede. It returns the number of early
// candidates, or ErrListFull.
func (r *state) addEarly(c []signaling.Candidate, limits Limits, now time.Time) (int, error) {
	r.early = slices.DeleteFunc(slices.Clone(r.early), func(e earlyCandidate) bool { return e.stale(now) })
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
	unclaimed := !r.hasOffer() || now.Sub(time.UnixMilli(r.describedAt)) >= settledAge
	for _, one := range c {
		r.early = append(r.early, earlyCandidate{bytes.Clone(one), now.UnixMilli(), unclaimed})
	}
	return len(r.early), nil
}

func (e earlyCandidate) stale(now time.Time) bool {
	return now.Sub(time.UnixMilli(e.at)) > signaling.EarlyWait
}

// claimEarly removes the early candidates that belong to the new offer d, and returns them. It
// leaves those that name another offer. The ICE username fragment (RFC 8839, section 5.4) decides
// if both d and the candidate have one, and otherwise earlyCandidate.unclaimed.
func (r *state) claimEarly(d signaling.Description, now time.Time) (claimed []signaling.Candidate) {
	if len(r.early) == 0 {
		return nil
	}
	known := fragmentsOf(d)
	var rest []earlyCandidate
	for _, e := range r.early {
		switch decides, matches := e.match(known); {
		case e.stale(now):
		case decides && matches, !decides && e.unclaimed:
			claimed = append(claimed, e.candidate)
		case decides:
			rest = append(rest, e)
		}
	}
	r.early = rest
	return claimed
}

// dropEarly removes the early candidates of the offer d, whose call ends. It leaves those of the
// next offer: a client may send them before the client of the last call closes the room.
func (r *state) dropEarly(d signaling.Description, now time.Time) {
	if len(r.early) == 0 {
		return
	}
	known := fragmentsOf(d)
	r.early = slices.DeleteFunc(slices.Clone(r.early), func(e earlyCandidate) bool {
		decides, matches := e.match(known)
		return e.stale(now) || decides && matches || !decides && !e.unclaimed
	})
}

// match reports whether the ICE username fragment decides which offer a candidate belongs to, and
// whether the candidate has one of the known fragments, which are those of a description.
func (e earlyCandidate) match(known []string) (decides, matches bool) {
	fragment := fragmentOf(e.candidate)
	return fragment != "" && len(known) > 0, slices.Contains(known, fragment)
}

// fragmentsOf returns the ICE username fragments of a description.
func fragmentsOf(d signaling.Description) (all []string) {
	var description struct{ SDP string }
	_ = json.Unmarshal(d, &description) // it was checked
	for line := range strings.Lines(description.SDP) {
		if fragment, found := strings.CutPrefix(line, "a=ice-ufrag:"); found {
			all = append(all, strings.TrimSpace(fragment))
		}
	}
	return all
}

// fragmentOf returns the ICE username fragment of a candidate, or "": the member of
// RTCIceCandidateInit, or else the extension in the candidate's line.
func fragmentOf(c signaling.Candidate) string {
	var candidate struct {
		Candidate        string
		UsernameFragment string
	}
	_ = json.Unmarshal(c, &candidate) // a member of another type is no fragment
	if candidate.UsernameFragment != "" {
		return candidate.UsernameFragment
	}
	words := strings.Fields(candidate.Candidate)
	if i := slices.Index(words, "ufrag"); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}
