package peer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A plain caller that takes no candidates after the answer is not kept waiting for a relay that
// the server holds until the caller has accepted the answer.
func TestHeldRelaysDelayNoWholeAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		held     bool
		least    time.Duration
		lessThan time.Duration
	}{
		"held":                         {true, 0, 500 * time.Millisecond},
		"silent for some other reason": {false, 1500 * time.Millisecond, 2 * time.Second},
	} {
		t.Run("a relay that is "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				machine(t, n.router, relayAddress) // where nothing answers
				s := newStranger(t, store, n.caller, signaling.Caller)
				s.channel(t, "data")
				s.rewrite = func(d webrtc.SessionDescription) webrtc.SessionDescription {
					d.SDP = without(d.SDP, "a=ice-options")
					return d
				}
				s.call(t)
				awaitLobby(t, store)
				config := quiet()
				config.Discover = func(context.Context, signaling.Ticket, time.Duration) ([]signaling.ICEServer, error) {
					return []signaling.ICEServer{{URLs: []string{"turn:" + relayAddress + ":3478"}, Username: "user", Credential: "password", Held: c.held}}, nil
				}
				begun := time.Now()
				session := n.answers(t, store, signaling.Lobby, config)
				if _, _, err := store.Description(soon(t), signaling.Ticket{Room: signaling.Lobby}, signaling.Callee, "", signaling.Forever); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); took < c.least || took >= c.lessThan {
					t.Errorf("the answer took %v", took)
				}
				texts(t, pipeOf(t, session), s)
			})
		})
	}
}

// awaitLobby waits until there is an offer in the lobby.
func awaitLobby(t *testing.T, store signaling.Store) {
	t.Helper()
	if _, _, err := store.Description(soon(t), signaling.Ticket{Room: signaling.Lobby}, signaling.Caller, "", signaling.Forever); err != nil {
		t.Fatal(err)
	}
}
