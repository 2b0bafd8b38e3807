package peer_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A side that breaks the rules of a move gains nothing, and loses its connection at most.
func TestMoveOfAStranger(t *testing.T) {
	for name, says := range map[string][]string{
		"nothing":                       nil,
		"no JSON":                       {"hello"},
		"an offer that makes no sense":  {`{"description":{"type":"offer","sdp":"v=0"}}`},
		"an offer of a plain program":   {`{"description":{"type":"offer","sdp":"v=0\r\na=fingerprint:sha-256 00\r\n"}}`},
		"two offers":                    {`{"description":{"type":"offer"}}`, `{"description":{"type":"offer"}}`},
		"stands, out of turn":           {`{"stands":true}`, `{"stands":true}`},
		"too many candidates":           {manyCandidates()},
		"candidates that are too large": largeCandidates(),
	} {
		t.Run("who says "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				from, to := n.calls(t, store, right, moving()), n.answers(t, store, right, moving())
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				c, err := caller.Ask(soon(t), peer.MoveLabel)
				if err != nil {
					t.Fatal(err)
				}
				for _, text := range says {
					if _, err := c.Write([]byte(text)); err != nil {
						break // the other side has closed it
					}
				}
				if strings.HasPrefix(name, "candidates") {
					closed := make(chan struct{})
					go func() { defer close(closed); _, _ = c.Read(make([]byte, 64<<10)) }()
					select {
					case <-closed:
					case <-time.After(5 * time.Second):
						t.Error("the channel is open")
					}
				}
				time.Sleep(time.Minute)
				c.Close()
				time.Sleep(time.Second)
				if isOver(callee.Replaced()) {
					t.Error("it has moved")
				}
				talk(t, caller, callee)
				callee.Move() // it still can
				caller, callee = replacedBoth(t, from, to, caller, callee)
				talk(t, caller, callee)
			})
		})
	}

	for _, label := range []string{peer.MoveLabel, peer.RenewLabel} {
		t.Run("who asks without end to "+label, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				book := &logbook{}
				config := moving()
				config.Log = book.logger()
				from, to := n.calls(t, store, right, moving()), n.answers(t, store, right, config)
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				for range 5 * peer.MovesMost {
					c, err := caller.Ask(soon(t), label)
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(100 * time.Millisecond)
					c.Close()
					time.Sleep(time.Second)
				}
				if n := book.count("the connection stays as it is"); n != peer.MovesMost {
					t.Errorf("%d moves began", n)
				}
				talk(t, caller, callee)
				callee.Move() // what the other side does takes nothing from this side's own
				caller, callee = replacedBoth(t, from, to, caller, callee)
				talk(t, caller, callee)
			})
		})
	}

	t.Run("who asks on many channels at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
			from, to := n.calls(t, store, right, moving()), n.answers(t, store, right, moving())
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			var all []io.Closer
			for range 30 {
				c, err := caller.Ask(soon(t), peer.MoveLabel)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, c)
			}
			time.Sleep(time.Second)
			if held := callee.Held(); held > 3 {
				t.Errorf("%d channels are open", held)
			}
			for _, c := range all {
				c.Close()
			}
			talk(t, caller, callee)
		})
	})

	for name, change := range map[string]struct{ secret, was, now string }{
		"does not know the keys of the connection": {secret: "guessed"},
		"shows another certificate":                {was: "a=fingerprint:sha-256 ", now: "a=fingerprint:sha-256 00:"},
	} {
		t.Run("who "+name, func(t *testing.T) {
			sdp := offerOf(t) // outside of the bubble
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				from, to := n.calls(t, store, right, moving()), n.answers(t, store, right, moving())
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				c, err := caller.Ask(soon(t), peer.MoveLabel)
				if err != nil {
					t.Fatal(err)
				}
				code := caller.Rendezvous
				code.Secret = cmp.Or(change.secret, code.Secret)
				handshake, offer, err := peer.Propose(code, sdp)
				if err != nil {
					t.Fatal(err)
				}
				if change.was != "" { // on the way
					offer = bytes.Replace(offer, []byte(change.was), []byte(change.now), 1)
				}
				body, err := json.Marshal(map[string]any{"description": json.RawMessage(offer)})
				if err == nil {
					_, err = c.Write(body)
				}
				if err != nil {
					t.Fatal(err)
				}
				b := make([]byte, 64<<10)
				size, err := c.Read(b)
				if err != nil {
					t.Fatal("no answer: ", err)
				}
				var answer struct{ Description json.RawMessage }
				if err := json.Unmarshal(b[:size], &answer); err != nil {
					t.Fatal(err)
				}
				if _, err := handshake.Settle(signaling.Description(answer.Description)); err == nil {
					t.Error("the answer agrees with a guess")
				}
				time.Sleep(30 * time.Second)
				if isOver(callee.Replaced()) {
					t.Error("it has moved")
				}
				talk(t, caller, callee)
			})
		})
	}
}

// largeCandidates returns twice as much as a side may say, in few candidates.
func largeCandidates() []string {
	one := fmt.Sprintf(`{"candidates":["%s"]}`, strings.Repeat("a", 60<<10))
	return slices.Repeat([]string{one}, 2*peer.MaxCarried/len(one)+1)
}

func manyCandidates() string {
	list := make([]json.RawMessage, peer.MaxCandidates+1)
	for i := range list {
		list[i] = json.RawMessage(fmt.Sprintf(`{"sealed":"%d"}`, i))
	}
	b, err := json.Marshal(map[string]any{"candidates": list})
	if err != nil {
		panic(err)
	}
	return string(b)
}
