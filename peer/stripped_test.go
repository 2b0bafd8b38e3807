package peer_test

import (
	"context"
	"encoding/json"

	"p2pchat/signaling"
)

// A stripped Store leaves nothing in a description but what every WebRTC program knows: so
// either side takes the other for such a program.
type stripped struct{ signaling.Store }

func strip(d signaling.Description) signaling.Description {
	var members struct {
		Type string `json:"type"`
		SDP  string `json:"sdp"`
	}
	if json.Unmarshal(d, &members) != nil {
		return d
	}
	b, err := json.Marshal(members)
	if err != nil {
		return d
	}
	return b
}

func (p stripped) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	return p.Store.Offer(ctx, t, strip(d))
}

func (p stripped) Reoffer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	return p.Store.Reoffer(ctx, t, strip(d))
}

func (p stripped) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	return p.Store.Answer(ctx, t, to, strip(d))
}
