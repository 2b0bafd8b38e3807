package peer

import (
	"strings"

	"github.com/pion/webrtc/v4"
)

// A plainCandidate is a candidate for a plain WebRTC program. Some refuse one that has null for a
// member that they do not need.
type plainCandidate struct {
	Candidate string `json:"candidate"`
	section
}

// A section of an SDP is what a candidate belongs to.
type section struct {
	Mid  string `json:"sdpMid"`
	Line int    `json:"sdpMLineIndex"`
}

// plain returns the SDP of a plain program as pion takes it, and the candidates that were in it. Such programs write
// dialects that browsers take. own is this side's description, if it came first.
func plain(sdp string, own *webrtc.SessionDescription) (tidy string, candidates []candidate) {
	var b strings.Builder
	for line := range strings.FieldsFuncSeq(sdp, func(r rune) bool { return r == '\r' || r == '\n' }) {
		switch {
		case strings.HasPrefix(line, "a=candidate:"):
			if len(candidates) < maxCandidates {
				candidates = append(candidates, parseCandidate(webrtc.ICECandidateInit{Candidate: line}))
			}
			continue
		case strings.HasPrefix(line, "a=sctp-init:") && own != nil && strings.Contains(own.SDP, line):
			// libdatachannel repeats attributes that it does not know. Its copy of this side's
			// attribute is no consent to begin SCTP without a handshake.
			continue
		}
		b.WriteString(line)
		b.WriteString("\r\n")
	}
	return b.String(), candidates
}

// withCandidate returns sdp with a candidate in its section for data.
func withCandidate(sdp, candidate string) string {
	at := strings.Index(sdp, "m=application")
	if at < 0 {
		return sdp
	}
	// Attributes come after a section's other lines (RFC 8866, section 5), in any order.
	first := strings.Index(sdp[at:], "a=")
	if first < 0 {
		return sdp
	}
	at += first
	return sdp[:at] + "a=" + candidate + "\r\n" + sdp[at:]
}

// sectionOf returns the SDP's section for data (RFC 5888).
func sectionOf(sdp string) section {
	before, after, _ := strings.Cut(sdp, "m=application")
	_, mid, _ := strings.Cut(after, "a=mid:")
	mid, _, _ = strings.Cut(mid, "\n")
	return section{strings.TrimSpace(mid), strings.Count(before, "\nm=")}
}

// trickles reports whether a plain program says that it takes candidates after the description
// (RFC 8840, section 4.1.3). One that does not may never ask for them.
func trickles(sdp string) bool {
	for line := range strings.Lines(sdp) {
		if options, ok := strings.CutPrefix(line, "a=ice-options:"); ok && strings.Contains(" "+strings.NewReplacer(",", " ").Replace(strings.TrimSpace(options))+" ", " trickle ") {
			return true
		}
	}
	return false
}
