package peer_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// Between two sides that take each other for plain WebRTC programs: what is not sealed
// with their key, others do not even look at.
func TestGarbledCandidates(t *testing.T) {
	tests := map[string]struct {
		candidate string
		refused   bool // by a line in the log; pion takes or overlooks the others
	}{
		"no JSON":             {candidate: `nonsense`, refused: true},
		"nothing":             {candidate: ``, refused: true},
		"a list":              {candidate: `[]`, refused: true},
		"a text":              {candidate: `"candidate:1 1 udp 1 10.0.0.9 9 typ host"`, refused: true},
		"null":                {candidate: `null`},
		"an empty object":     {candidate: `{}`},
		"a number for a text": {candidate: `{"candidate":5}`, refused: true},
		"an empty candidate":  {candidate: `{"candidate":""}`},
		"the last one":        {candidate: `{"candidate":"candidate:"}`},
		"words":               {candidate: `{"candidate":"candidate:over there"}`, refused: true},
		"an unknown type":     {candidate: `{"candidate":"candidate:1 1 udp 2130706431 10.0.0.9 9999 typ pigeon"}`},
		"an unknown protocol": {candidate: `{"candidate":"candidate:1 1 sctp 2130706431 10.0.0.9 9999 typ host"}`},
		"no port":             {candidate: `{"candidate":"candidate:1 1 udp 2130706431 10.0.0.9 99999999 typ host"}`, refused: true},
		"another section":     {candidate: `{"candidate":"candidate:1 1 udp 2130706431 10.0.0.9 9999 typ host","sdpMid":"video","sdpMLineIndex":7}`},
		"another generation":  {candidate: `{"candidate":"candidate:1 1 udp 2130706431 10.0.0.9 9999 typ host ufrag gone"}`},
		"a hidden address":    {candidate: `{"candidate":"candidate:1 1 udp 2130706431 4ba7d1b5-ea1c-4a3d-8b9e-3a2f6d8c1e70.local 9999 typ host"}`},
		"a name":              {candidate: `{"candidate":"candidate:1 1 udp 2130706431 nobody.invalid 9999 typ host"}`},
		"TCP":                 {candidate: `{"candidate":"candidate:1 1 tcp 1518280447 10.0.0.9 9 typ host tcptype active"}`},
		"passive TCP":         {candidate: `{"candidate":"candidate:1 1 tcp 1518280447 10.0.0.9 9999 typ host tcptype passive"}`},
		"IPv6 with a zone":    {candidate: `{"candidate":"candidate:1 1 udp 2130706431 fe80::1%eth0 9999 typ host"}`},
		"very much":           {candidate: `{"candidate":"candidate:` + strings.Repeat("1", 60_000) + `"}`, refused: true},
	}
	for name, test := range tests {
		t.Run(name+" is dropped, and the two connect", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, log := newNetwork(t, time.Millisecond), &logbook{}
				store := scrambler{stripped{memstore.New(memstore.Limits{})}, func(list []signaling.Candidate) []signaling.Candidate {
					return slices.Insert(list, 0, signaling.Candidate(test.candidate))
				}}
				config := quiet()
				config.Log = log.logger()
				caller, callee := n.calls(t, store, room, quiet()), n.answers(t, store, room, config)
				talk(t, pipeOf(t, caller), pipeOf(t, callee))
				if refused := log.count("dropped a candidate") > 0; refused != test.refused {
					t.Errorf("refused: %v, want %v", refused, test.refused)
				}
			})
		})
	}
}

// garbled are descriptions that cannot be answered, by what is wrong with them.
func garbled(t *testing.T, side signaling.Side) map[string]signaling.Description {
	t.Helper()
	good := string(stale(t, side))
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pc.GracefulClose() }()
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo); err != nil {
		t.Fatal(err)
	}
	video, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	sdp := sdpOf(t, good)
	return map[string]signaling.Description{
		"an empty SDP":      describing(t, side, ""),
		"a poem":            describing(t, side, "Roses are red\r\nViolets are blue\r\n"),
		"video alone":       describing(t, side, strings.ReplaceAll(video.SDP, "a=setup:actpass", map[signaling.Side]string{signaling.Caller: "a=setup:actpass", signaling.Callee: "a=setup:active"}[side])),
		"half an SDP":       describing(t, side, sdp[:len(sdp)/2]),
		"no fingerprint":    describing(t, side, without(sdp, "a=fingerprint")),
		"no password":       describing(t, side, without(sdp, "a=ice-pwd")),
		"two fingerprints":  describing(t, side, strings.ReplaceAll(sdp, "a=fingerprint:sha-256 ", "a=fingerprint:sha-256 "+strings.Repeat("00:", 31)+"00\r\na=fingerprint:sha-256 ")),
		"a bad fingerprint": describing(t, side, strings.ReplaceAll(sdp, "a=fingerprint:sha-256 ", "a=fingerprint:sha-256 zz:")),
	}
}

func without(sdp, prefix string) string {
	lines := strings.SplitAfter(sdp, "\r\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, prefix) }), "")
}

func TestGarbledDescriptions(t *testing.T) {
	for name, bad := range garbled(t, signaling.Caller) {
		t.Run("an offer of "+name+" is followed by the next", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
				post(t, store, signaling.Lobby, signaling.Caller, bad)
				config, events := telling()
				callee := n.answers(t, store, signaling.Lobby, config)
				sensible(t, await[peer.Retrying](t, events).Err)
				caller := n.calls(t, store, signaling.Lobby, quiet())
				talk(t, pipeOf(t, caller), pipeOf(t, callee))
			})
		})

		t.Run("a callee who gets nothing but "+name+" waits for better", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
				config, events := telling()
				callee := n.answers(t, store, signaling.Lobby, config)
				for range 2 * peer.Attempts {
					post(t, store, signaling.Lobby, signaling.Caller, bad)
					sensible(t, await[peer.Retrying](t, events).Err)
				}
				caller := n.calls(t, store, signaling.Lobby, quiet())
				talk(t, pipeOf(t, caller), pipeOf(t, callee))
			})
		})
	}

	for name, bad := range garbled(t, signaling.Callee) {
		t.Run("an answer of "+name+" makes the caller offer again", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
				config, events := telling()
				caller := n.calls(t, store, room, config)
				await[peer.Waiting](t, events)
				post(t, store, room, signaling.Callee, bad)
				sensible(t, await[peer.Retrying](t, events).Err)
				callee := n.answers(t, store, room, quiet())
				talk(t, pipeOf(t, caller), pipeOf(t, callee))
			})
		})
	}
}

func sdpOf(t *testing.T, description string) string {
	t.Helper()
	var d struct{ SDP string }
	if err := json.Unmarshal([]byte(description), &d); err != nil {
		t.Fatal(err)
	}
	return d.SDP
}

// sensible tells a person what happened.
func sensible(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	if !errors.Is(err, peer.ErrGarbled) && (!errors.Is(err, peer.ErrNoPath) || !strings.Contains(text, "none of their addresses answered")) {
		t.Errorf("it says %v", err)
	}
}
