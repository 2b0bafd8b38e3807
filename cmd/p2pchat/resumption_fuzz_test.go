package main

import (
	"encoding/json"
	"testing"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// What an outbox says of how to meet again may be damaged: it is refused, or comes to the same when it is written again.
func FuzzResumePoint(f *testing.F) {
	f.Add(resumePoint{Server: "http://x", Again: peer.Resumption{Typed: peer.Code{Room: "417", Secret: "falcon-zebra"}}}.String())
	f.Add(resumePoint{Server: "http://x", Contact: "0123456789abcdef"}.String())
	f.Add(`{"Again":{"Spent":-1,"Side":7}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var r resumePoint
		if json.Unmarshal([]byte(text), &r) != nil {
			return
		}
		for _, side := range []signaling.Side{signaling.Caller, signaling.Callee} {
			_ = r.fits(side)
		}
		_ = r.Again.Burnt()
		var again resumePoint
		if err := json.Unmarshal([]byte(r.String()), &again); err != nil || again.String() != r.String() {
			t.Errorf("%q is written as %q, and then as %q (%v)", text, r, again, err)
		}
	})
}
