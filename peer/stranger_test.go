package peer_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v5/vnet"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// A stranger is a plain WebRTC program: pion with its default settings, which knows
// nothing of this one. It meets in the lobby, without a token, and asks again and
// again.
type stranger struct {
	pc       *webrtc.PeerConnection
	at       signaling.Store
	side     signaling.Side
	heard    chan webrtc.DataChannelMessage
	channels chan *webrtc.DataChannel // that have opened
	closed   chan struct{}            // as often as a channel was
	wg       sync.WaitGroup
	trickles bool
	limit    string // if not empty, what it takes for the other side's max-message-size
	deaf     bool   // it never asks for candidates

	// How it writes candidates and its description; nil: as pion does.
	dialect func(webrtc.ICECandidateInit) any
	rewrite func(webrtc.SessionDescription) webrtc.SessionDescription

	// With these a caller passes for one of ours, and trickles nothing but its nonce.
	claims    bool
	handshake *peer.Handshake

	mu      sync.Mutex // guards what follows
	posted  bool       // its description
	pending []signaling.Candidate
}

func newStranger(t *testing.T, at signaling.Store, on *vnet.Net, side signaling.Side) *stranger {
	t.Helper()
	engine := webrtc.SettingEngine{LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard}}
	engine.SetNet(on)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(engine)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	s := &stranger{
		pc: pc, at: at, side: side, heard: make(chan webrtc.DataChannelMessage, 100),
		channels: make(chan *webrtc.DataChannel, 10), closed: make(chan struct{}, 10),
	}
	pc.OnDataChannel(s.adopt)
	t.Cleanup(func() {
		s.close(t)
		s.wg.Wait()
	})
	return s
}

func (s *stranger) close(t *testing.T) {
	t.Helper()
	if err := s.pc.GracefulClose(); err != nil {
		t.Error(err)
	}
}

func (s *stranger) ticket() signaling.Ticket {
	return signaling.Ticket{Room: signaling.Lobby, Side: s.side}
}

func (s *stranger) adopt(dc *webrtc.DataChannel) {
	dc.OnOpen(func() { s.channels <- dc })
	dc.OnMessage(func(m webrtc.DataChannelMessage) { s.heard <- m })
	dc.OnClose(func() { s.closed <- struct{}{} })
}

// channel announces a channel.
func (s *stranger) channel(t *testing.T, label string) {
	t.Helper()
	s.announce(t, label, nil)
}

// announce announces a channel of another kind.
func (s *stranger) announce(t *testing.T, label string, kind *webrtc.DataChannelInit) {
	t.Helper()
	dc, err := s.pc.CreateDataChannel(label, kind)
	if err != nil {
		t.Fatal(err)
	}
	s.adopt(dc)
}

// trickle posts candidates as they come, one by one.
func (s *stranger) trickle(t *testing.T) {
	t.Helper()
	s.trickles = true
	s.pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		if c == nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		var body any = c.ToJSON()
		if s.dialect != nil {
			body = s.dialect(c.ToJSON())
		}
		s.pending = append(s.pending, asJSON(t, body))
		s.flush(t)
	})
}

// flush posts the candidates that wait for the description, under mu.
func (s *stranger) flush(t *testing.T) {
	t.Helper()
	if !s.posted {
		return
	}
	for _, c := range s.pending {
		if _, err := s.at.AddCandidates(context.Background(), s.ticket(), -1, c); err != nil && !errors.Is(err, signaling.ErrNoRoom) {
			t.Error("posting a candidate: ", err)
		}
	}
	s.pending = nil
}

// call posts an offer, and goes on with the answer in the background.
func (s *stranger) call(t *testing.T) {
	t.Helper()
	offer, err := s.pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.describe(t, offer)
	s.wg.Go(func() {
		s.take(t, s.await(t))
		if !s.deaf {
			s.read(t)
		}
	})
}

// answer answers the offer that comes, in the background.
func (s *stranger) answer(t *testing.T) {
	t.Helper()
	s.wg.Go(func() {
		s.take(t, s.await(t))
		answer, err := s.pc.CreateAnswer(nil)
		if err != nil {
			t.Error(err)
			return
		}
		s.describe(t, answer)
		s.read(t)
	})
}

// describe posts its description: the type, the SDP and nothing else.
func (s *stranger) describe(t *testing.T, d webrtc.SessionDescription) {
	t.Helper()
	gathered := webrtc.GatheringCompletePromise(s.pc)
	if err := s.pc.SetLocalDescription(d); err != nil {
		t.Error(err)
		return
	}
	if !s.trickles {
		<-gathered
		d = *s.pc.LocalDescription()
	}
	if s.rewrite != nil {
		d = s.rewrite(d)
	}
	var err error
	body := asJSON(t, d)
	if s.claims {
		if s.handshake, body, err = peer.Propose(peer.Code{Room: signaling.Lobby}, without(without(d.SDP, "a=candidate"), "a=end-of-candidates")); err != nil {
			t.Error(err)
		}
	}
	if s.side == signaling.Caller {
		_, err = s.at.Offer(context.Background(), s.ticket(), body)
	} else {
		_, err = s.at.Answer(context.Background(), s.ticket(), "", body)
	}
	if err != nil {
		t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posted = true
	s.flush(t)
}

// await asks for the other side's description until it is there.
func (s *stranger) await(t *testing.T) (d webrtc.SessionDescription) {
	t.Helper()
	s.poll(t, func(ctx context.Context) bool {
		body, _, err := s.at.Description(ctx, s.ticket(), s.side.Other(), "", 0)
		if err == nil && s.claims {
			s.reveal(t, body)
		}
		return err == nil && json.Unmarshal(body, &d) == nil
	})
	return d
}

// reveal shows that it is one of ours.
func (s *stranger) reveal(t *testing.T, answer signaling.Description) {
	t.Helper()
	nonce, err := s.handshake.Settle(answer)
	if err == nil {
		_, err = s.at.AddCandidates(context.Background(), s.ticket(), -1, nonce)
	}
	if err != nil {
		t.Error(err)
	}
}

// candidate returns the content of a candidate of the other side.
func (s *stranger) candidate(c signaling.Candidate) (init webrtc.ICECandidateInit, err error) {
	if s.claims {
		return s.handshake.Open(c)
	}
	return init, json.Unmarshal(c, &init)
}

var maxMessageSize = regexp.MustCompile(`a=max-message-size:\d+`)

func (s *stranger) take(t *testing.T, d webrtc.SessionDescription) {
	t.Helper()
	if d.SDP == "" {
		return
	}
	if s.limit != "" {
		d.SDP = maxMessageSize.ReplaceAllString(d.SDP, "a=max-message-size:"+s.limit)
	}
	if err := s.pc.SetRemoteDescription(d); err != nil && s.pc.ConnectionState() != webrtc.PeerConnectionStateClosed {
		t.Error(err)
	}
}

// read takes the other side's candidates until the connection stands.
func (s *stranger) read(t *testing.T) {
	t.Helper()
	after := 0
	s.poll(t, func(ctx context.Context) bool {
		list, err := s.at.Candidates(ctx, s.ticket(), s.side.Other(), after, 0)
		if err != nil && !errors.Is(err, signaling.ErrNoRoom) {
			t.Error("reading candidates: ", err)
			return true
		}
		after += len(list)
		for _, c := range list {
			if init, err := s.candidate(c); err != nil {
				t.Error(err)
			} else if err := s.pc.AddICECandidate(init); err != nil {
				t.Log("its candidate: ", err)
			}
		}
		return slices.Contains([]webrtc.PeerConnectionState{
			webrtc.PeerConnectionStateConnected, webrtc.PeerConnectionStateClosed,
		}, s.pc.ConnectionState())
	})
}

// poll asks every 50 ms.
func (s *stranger) poll(t *testing.T, done func(context.Context) bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	ctx := soon(t)
	for !done(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done(): // of the test: what it waits for will not come
			return
		}
	}
}

// opened waits for the next of its channels to open.
func (s *stranger) opened(t *testing.T) *webrtc.DataChannel {
	t.Helper()
	select {
	case dc := <-s.channels:
		return dc
	case <-soon(t).Done():
		t.Fatal("none of its channels opened")
		return nil
	}
}

// loses waits until one of its channels is closed.
func (s *stranger) loses(t *testing.T) {
	t.Helper()
	select {
	case <-s.closed:
	case <-soon(t).Done():
		t.Fatal("all its channels stay open")
	}
}

// hears waits for a text.
func (s *stranger) hears(t *testing.T, want string) {
	t.Helper()
	select {
	case m := <-s.heard:
		if string(m.Data) != want || !m.IsString {
			t.Errorf("the stranger received %q (a text: %v), want the text %q", m.Data, m.IsString, want)
		}
	case <-soon(t).Done():
		t.Fatalf("the stranger did not receive %q", want)
	}
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	return b
}

// alone checks that no program ever talked to it.
func (s *stranger) alone(t *testing.T) {
	t.Helper()
	select {
	case m := <-s.heard:
		t.Errorf("the stranger was told %q", m.Data)
	case <-s.channels:
		t.Error("a channel to the stranger opened")
	default:
	}
}
