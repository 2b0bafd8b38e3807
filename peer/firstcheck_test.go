package peer_test

import (
	"context"
	"encoding/json"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5/vnet"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// The callee's first pair is of no use where packets go one way only: it moves to the one that the caller nominates.
func TestFirstCheckWithoutAWayBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rtt, deaf, hears, to = 100 * time.Millisecond, "10.0.0.3", "10.0.0.4", "10.0.0.2"
		n, store := newNetwork(t, rtt/2), memstore.New(memstore.Limits{})
		n.caller = machine(t, n.router, deaf, hears)
		first := ""
		n.router.AddChunkFilter(func(c vnet.Chunk) bool { // one at a time
			source, destination := hostOf(c.SourceAddr()), hostOf(c.DestinationAddr())
			if destination == to && (first != "" || source == deaf) {
				first = deaf
				return true
			}
			return destination != deaf && destination != to
		})
		from := n.calls(t, store, right, quiet())
		synctest.Wait()
		begun := time.Now()
		caller, callee := both(t, from, n.answers(t, store, right, quiet()))
		if took := time.Since(begun); first != deaf || took > 6*rtt {
			t.Errorf("it took %v, and %q was heard first", took, first)
		}
		talk(t, caller, callee)
	})
}

func hostOf(at net.Addr) string {
	h, _, _ := net.SplitHostPort(at.String()) // of a chunk, which has both
	return h
}

// A listener in an open room reads the ICE passwords, and can send the first check from an address that is silent. That
// delays the two who meet there, and does not part them.
func TestForgedFirstCheck(t *testing.T) {
	const rtt, attacker = 20 * time.Millisecond, "10.0.0.9"
	took := map[string]time.Duration{}
	for name, nominating := range map[string][]stun.Setter{"a check": nil, "a nomination": {ice.UseCandidate()}, "none": nil} {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, rtt/2), memstore.New(memstore.Limits{})
			from := machine(t, n.router, attacker)
			server := listensAt(t, from, 3478)
			caller := n.calls(t, distant{store, 10 * rtt}, open, quiet())
			body, _, err := store.Description(soon(t), signaling.Ticket{Room: open}, signaling.Caller, "", signaling.Forever)
			if err != nil {
				t.Fatal(err)
			}
			var offer, answer struct{ SDP string }
			if err := json.Unmarshal(body, &offer); err != nil {
				t.Fatal(err)
			}
			config := quiet()
			config.ICEServers = []signaling.ICEServer{{URLs: []string{"stun:" + attacker + ":3478"}}}
			time.Sleep(time.Second) // the caller's reads wait at the Store
			begun := time.Now()
			to := n.answers(t, store, open, config)
			callee := mapped(t, server)
			if body, _, err = store.Description(soon(t), signaling.Ticket{Room: open}, signaling.Callee, "", signaling.Forever); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(body, &answer); err != nil {
				t.Fatal(err)
			}
			check, err := stun.Build(append([]stun.Setter{
				stun.TransactionID, stun.BindingRequest, stun.NewUsername(attribute(t, answer.SDP, "ice-ufrag") + ":" + attribute(t, offer.SDP, "ice-ufrag")),
				ice.AttrControlling(1), ice.PriorityAttr(1<<31 - 1),
			}, append(nominating, stun.NewShortTermIntegrity(attribute(t, answer.SDP, "ice-pwd")), stun.Fingerprint)...)...)
			if err != nil {
				t.Fatal(err)
			}
			if name != "none" {
				if _, err := listensAt(t, from, 10_000).WriteTo(check.Raw, callee); err != nil {
					t.Fatal(err)
				}
			}
			far, near := both(t, caller, to)
			took[name] = time.Since(begun)
			talk(t, far, near)
		})
	}
	for _, name := range []string{"a check", "a nomination"} {
		if late := took[name] - took["none"]; late > 3*rtt {
			t.Errorf("%s of an attacker costs %v, on a link of %v", name, late, rtt)
		}
	}
	t.Log(took)
}

// A server that sets firstCheck, or removes it, delays a call by one attempt at most: a caller that does not nominate,
// though the callee waits for that, may have no pair in common with it.
func TestAServerThatChangesFirstCheck(t *testing.T) {
	const rtt, attempt, cut = 100 * time.Millisecond, 15 * time.Second, "10.0.0.3"
	for _, c := range []struct {
		name           string
		of             signaling.Side
		says           bool
		caller, callee peer.Config
	}{
		{"removed from the offer", signaling.Caller, false, quiet(), quiet()},
		{"removed from the answer", signaling.Callee, false, quiet(), quiet()},
		{"set in the offer", signaling.Caller, true, quiet().Patient(), quiet()},
		{"set in the answer", signaling.Callee, true, quiet(), quiet().Patient()},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, rtt/2), &flagging{memstore.New(memstore.Limits{}), c.of, c.says, 0}
				n.caller = machine(t, n.router, cut, "10.0.0.4")
				n.router.AddChunkFilter(func(c vnet.Chunk) bool { return hostOf(c.SourceAddr()) != cut && hostOf(c.DestinationAddr()) != cut })
				from := n.calls(t, store, right, c.caller)
				synctest.Wait()
				begun := time.Now()
				caller, callee := both(t, from, n.answers(t, store, right, c.callee))
				took := time.Since(begun)
				t.Logf("%v, %d documents changed", took, store.changed)
				if store.changed == 0 || took > attempt+10*rtt {
					t.Errorf("it took %v; %d documents were changed", took, store.changed)
				}
				talk(t, caller, callee)
			})
		})
	}
}

// A flagging Store changes the member firstCheck in the descriptions of one side.
type flagging struct {
	signaling.Store
	of      signaling.Side
	says    bool
	changed int
}

func (f *flagging) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	d, v, err := f.Store.Description(ctx, t, of, known, wait)
	if err != nil || of != f.of {
		return d, v, err
	}
	var body, dialect map[string]any
	if err := json.Unmarshal(d, &body); err != nil {
		return nil, "", err
	}
	dialect, _ = body["p2pchat"].(map[string]any)
	if was, _ := dialect["firstCheck"].(bool); was != f.says {
		f.changed++
	}
	dialect["firstCheck"] = f.says
	d, err = json.Marshal(body)
	return d, v, err
}
