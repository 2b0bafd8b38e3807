package peer_test

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// apart opens a channel on a connection of its own.
func apart(t testing.TB, from, to *peer.Pipe) (near, far io.ReadWriteCloser) {
	t.Helper()
	return opened(t, from.OpenApart, to)
}

func TestFurtherConnections(t *testing.T) {
	t.Run("carry whole messages, both ways, from either side", func(t *testing.T) {
		caller, callee := connected(t)
		for _, ends := range [][2]*peer.Pipe{{caller, callee}, {callee, caller}, {caller, callee}} {
			near, far := apart(t, ends[0], ends[1])
			for i, size := range []int{1, 64<<10 + 1, 0, 9} {
				put(t, near, far, pattern(size, uint32(i)))
				put(t, far, near, pattern(size, uint32(i)))
			}
		}
		talk(t, caller, callee)
	})

	t.Run("Close ends both sides", func(t *testing.T) {
		caller, callee := connected(t)
		near, far := apart(t, caller, callee)
		near.Close()
		_ = ends(t, far)
		far.Close()
		near, far = apart(t, caller, callee)
		far.Close()
		_ = ends(t, near)
		talk(t, caller, callee)
	})

	t.Run("are refused if they are not expected", func(t *testing.T) {
		caller, callee := connected(t)
		for range 3 {
			if _, err := caller.OpenApart(soon(t)); err == nil {
				t.Error("it opened")
			}
		}
		talk(t, caller, callee)
	})

	t.Run("are bounded in number, at a time", func(t *testing.T) {
		const most = 4
		caller, callee := connected(t)
		var nears []io.ReadWriteCloser
		for range most {
			near, _ := apart(t, caller, callee)
			nears = append(nears, near)
		}
		if _, err := caller.OpenApart(soon(t)); err == nil {
			t.Error("there is one more")
		}
		nears[0].Close()
		eventually(t, "a place is free again", func() bool {
			_, err := caller.OpenApart(soon(t))
			return err == nil
		})
	})

	t.Run("are refused while QUIC carries a channel of this side", func(t *testing.T) {
		var caller, callee *peer.Pipe
		var near, far io.ReadWriteCloser
		eventually(t, "QUIC carries a channel", func() bool { // on a busy machine, a round trip may take too long for it
			caller, callee = connected(t)
			near, far = further(t, caller, callee)
			return peer.OverQUIC(near)
		})
		if _, err := caller.OpenApart(soon(t)); err == nil {
			t.Error("there is one")
		}
		_, _ = apart(t, callee, caller)
		near.Close()
		_ = ends(t, far)
		_, _ = apart(t, caller, callee)
	})

	t.Run("end with their pipe", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		from, to := calling(t, store, room, quiet()), answering(t, store, room, quiet())
		near, far := apart(t, pipeOf(t, from), pipeOf(t, to))
		from.Close()
		_ = ends(t, near)
		_ = ends(t, far)
	})
}

// Behind NATs, a further connection is open four round trips after it was asked for: both sides look for their addresses at the same time, and
// neither waits for a nomination. If one of them does, as earlier versions do, both wait.
func TestFurtherConnectionsOpenSoon(t *testing.T) {
	const delay = 25 * time.Millisecond
	for name, c := range map[string]struct {
		caller, callee peer.Config
		most           time.Duration
	}{
		"by the first check":               {quiet(), quiet(), 8*delay + delay/2},
		"if the side that opens it waits":  {quiet().Patient(), quiet(), time.Second},
		"if the side that accepts it does": {quiet(), quiet().Patient(), time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNATs(t, portRestricted, portRestricted, delay), memstore.New(memstore.Limits{})
				c.caller.ICEServers = []signaling.ICEServer{n.stun(t)}
				c.callee.ICEServers = c.caller.ICEServers
				caller, callee := both(t, n.calls(t, store, right, c.caller), n.answers(t, store, right, c.callee))
				callee.Expect(true)
				begun := time.Now()
				near, err := caller.OpenApart(soon(t))
				took := time.Since(begun)
				if err != nil || took > c.most {
					t.Fatalf("it opened after %v (%v)", took, err)
				}
				t.Logf("it opened after %v", took)
				far, err := callee.Accept(soon(t))
				if err != nil {
					t.Fatal(err)
				}
				put(t, near, far, []byte("hi"))
				near.Close()
			})
		})
	}
}

// A side that breaks the protocol gets no more connections than another, and keeps none of their places.
func TestFurtherConnectionsOfAStranger(t *testing.T) {
	t.Run("are refused where the description makes no sense, and give their place back", func(t *testing.T) {
		caller, callee := connected(t)
		callee.Expect(true)
		offer := offerOf(t)
		twice := offer + "a=fingerprint:sha-256 00\r\n"
		for _, text := range []string{
			"", "{", `{"type":"answer","sdp":"x"}`, `{"type":"offer"}`, string(noise(60_000)),
			description(strings.ReplaceAll(offer, "a=fingerprint", "a=x")), description(twice), description(strings.ReplaceAll(offer, "m=", "x=")),
		} {
			c, err := caller.Ask(soon(t), peer.ApartLabel)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
			_ = ends(t, c)
			c.Close()
		}
		eventually(t, "a place is free again", func() bool {
			_, err := caller.OpenApart(soon(t))
			return err == nil
		})
		talk(t, caller, callee)
	})

	t.Run("are bounded in number where a side asks for more", func(t *testing.T) {
		const most, asked = 4, 12
		caller, callee := connected(t)
		callee.Expect(true)
		ended, all := make(chan struct{}, asked), []io.ReadWriteCloser(nil)
		for range asked {
			c, err := caller.Ask(soon(t), peer.ApartLabel)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
			go func() {
				_, _ = c.Read(make([]byte, 1))
				ended <- struct{}{}
			}()
		}
		for range asked - most {
			<-ended
		}
		talk(t, caller, callee)
		if len(ended) > 0 {
			t.Error("it has fewer than four")
		}
		for _, c := range all {
			c.Close()
		}
		for range most {
			<-ended
		}
	})
}

// offerOf returns the offer of a PeerConnection that is never connected.
func offerOf(t *testing.T) string {
	t.Helper()
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() }) // it has no connection
	if _, err := pc.CreateDataChannel("x", nil); err != nil {
		t.Fatal(err)
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return offer.SDP
}

func description(sdp string) string {
	b, _ := json.Marshal(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: sdp}) // it never fails
	return string(b)
}

// A side that has a connection cannot make the other one send packets elsewhere.
func TestFurtherConnectionsElsewhere(t *testing.T) {
	offer := offerOf(t)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 10*time.Millisecond)
		from, to := n.connect(t, memstore.New(memstore.Limits{}))
		caller, callee := pipeOf(t, from), pipeOf(t, to)
		callee.Expect(true)
		var asked [2]atomic.Int64 // packets to the caller's machine, and to another
		n.router.AddChunkFilter(func(c vnet.Chunk) bool {
			switch c.DestinationAddr().String() {
			case "10.0.0.1:9":
				asked[0].Add(1)
			case "10.0.0.99:9":
				asked[1].Add(1)
			}
			return true
		})
		c, err := caller.Ask(soon(t), peer.ApartLabel)
		if err != nil {
			t.Fatal(err)
		}
		const candidate = "a=candidate:1 1 udp 2130706431 %s 9 typ host\r\n"
		sdp := offer + fmt.Sprintf(candidate+candidate, "10.0.0.1", "10.0.0.99")
		if _, err := c.Write([]byte(description(sdp))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if here, there := asked[0].Load(), asked[1].Load(); here == 0 || there != 0 {
			t.Errorf("%d packets went to the caller, and %d elsewhere", here, there)
		}
		c.Close()
	})
}
