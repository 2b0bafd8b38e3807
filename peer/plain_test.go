package peer_test

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// texts sends a text each way, and sees the stranger's end.
func texts(t *testing.T, p *peer.Pipe, s *stranger) {
	t.Helper()
	dc := s.opened(t)
	if !p.Foreign {
		t.Error("the stranger is not seen as one")
	}
	send(t, p, "grüß dich")
	s.hears(t, "grüß dich")
	if err := dc.SendText("hello"); err != nil {
		t.Fatal(err)
	}
	hears(t, p, "hello")
	send(t, p, "")
	s.hears(t, "")
	s.close(t)
	if _, err := p.Recv(soon(t)); !errors.Is(err, io.EOF) {
		t.Errorf("Recv says %v, want %v", err, io.EOF)
	}
}

func TestStrangers(t *testing.T) {
	t.Parallel()
	for name, trickle := range map[string]bool{"with candidates one by one": true, "with all candidates in the description": false} {
		t.Run("a plain WebRTC program calls "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				s := newStranger(t, store, n.caller, signaling.Caller)
				s.channel(t, "a name of its own")
				if trickle {
					s.trickle(t)
				}
				s.call(t)
				texts(t, pipeOf(t, n.answers(t, store, signaling.Lobby, quiet())), s)
			})
		})

		t.Run("a plain WebRTC program answers "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				s := newStranger(t, store, n.callee, signaling.Callee)
				if trickle {
					s.trickle(t)
				}
				s.answer(t)
				p := pipeOf(t, n.calls(t, store, signaling.Lobby, quiet()))
				synctest.Wait()
				if store.Rooms() > 0 {
					t.Error("the room is not given back before the plain program has said something")
				}
				texts(t, p, s)
			})
		})
	}

	t.Run("a stranger that closes the channel alone has ended the connection", func(t *testing.T) {
		strangerCalls(t, func(t *testing.T, s *stranger, session *peer.Session, p *peer.Pipe, _ *logbook) {
			if err := s.opened(t).Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Recv(soon(t)); !errors.Is(err, io.EOF) {
				t.Errorf("Recv says %v, want %v", err, io.EOF)
			}
			_ = fails(t, session, peer.ErrLost)
		})
	})

	t.Run("binary messages of a stranger arrive like any other", func(t *testing.T) {
		strangerCalls(t, func(t *testing.T, s *stranger, _ *peer.Session, p *peer.Pipe, _ *logbook) {
			dc := s.opened(t)
			noise := []string{"\x00\xff\xfe\x80", "", strings.Repeat("\xf0", 40_000)}
			for _, m := range noise {
				if err := dc.Send([]byte(m)); err != nil {
					t.Fatal(err)
				}
			}
			for _, m := range noise {
				hears(t, p, m)
			}
		})
	})

	t.Run("a message of 1 MB is dropped, and the next one arrives", func(t *testing.T) {
		strangerCalls(t, func(t *testing.T, s *stranger, _ *peer.Session, p *peer.Pipe, log *logbook) {
			dc := s.opened(t)
			for _, size := range []int{1 << 20, 3 << 20, peer.MaxMessage + 1} {
				if err := dc.SendText(strings.Repeat("x", size)); err != nil {
					t.Fatal(err)
				}
				if err := dc.SendText("short"); err != nil {
					t.Fatal(err)
				}
				hears(t, p, "short")
			}
			log.has(t, "too long")
		})
	})

	t.Run("any number of messages that are too long leave a few lines in the log", func(t *testing.T) {
		strangerCalls(t, func(t *testing.T, s *stranger, _ *peer.Session, p *peer.Pipe, log *logbook) {
			messages := peer.Long[uint](40, 8)
			dc := s.opened(t)
			for range messages {
				if err := dc.SendText(strings.Repeat("x", peer.MaxMessage+1)); err != nil {
					t.Fatal(err)
				}
			}
			if err := dc.SendText("short"); err != nil {
				t.Fatal(err)
			}
			hears(t, p, "short")
			log.tells(t, "too long", messages)
		})
	})

	t.Run("a second channel is closed, and the first one goes on", func(t *testing.T) {
		strangerCalls(t, func(t *testing.T, s *stranger, _ *peer.Session, p *peer.Pipe, log *logbook) {
			first := s.opened(t)
			s.channel(t, "another")
			s.opened(t)
			s.loses(t)
			log.has(t, "another")
			if err := first.SendText("still here"); err != nil {
				t.Fatal(err)
			}
			hears(t, p, "still here")
		})
	})

	t.Run("any number of channels leave a few lines in the log", func(t *testing.T) {
		strangerCalls(t, func(t *testing.T, s *stranger, _ *peer.Session, p *peer.Pipe, log *logbook) {
			const channels = 40
			first := s.opened(t)
			for range channels {
				s.channel(t, "another")
				s.opened(t)
				s.loses(t)
			}
			log.tells(t, "closed a channel", channels)
			if err := first.SendText("still here"); err != nil {
				t.Fatal(err)
			}
			hears(t, p, "still here")
		})
	})
}

// strangerCalls runs a test over a pipe to a stranger that called, with a channel named
// "first".
func strangerCalls(t *testing.T, test func(*testing.T, *stranger, *peer.Session, *peer.Pipe, *logbook)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, store, log := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{}), &logbook{}
		s := newStranger(t, store, n.caller, signaling.Caller)
		s.limit = "1073741823"
		s.channel(t, "first")
		s.trickle(t)
		s.call(t)
		config := quiet()
		config.Log = log.logger()
		session := n.answers(t, store, signaling.Lobby, config)
		test(t, s, session, pipeOf(t, session), log)
	})
}

func TestTheWrongChannel(t *testing.T) {
	protocol, no, never, brief := "p2pchat.v1", false, uint16(0), uint16(100)
	right := webrtc.DataChannelInit{Protocol: &protocol}
	for name, wrong := range map[string]struct {
		label string
		init  webrtc.DataChannelInit
	}{
		"of another name":              {"talk", right},
		"without the protocol":         {"chat", webrtc.DataChannelInit{}},
		"that loses the order":         {"chat", webrtc.DataChannelInit{Protocol: &protocol, Ordered: &no}},
		"that sends nothing twice":     {"chat", webrtc.DataChannelInit{Protocol: &protocol, MaxRetransmits: &never}},
		"that forgets what is too old": {"chat", webrtc.DataChannelInit{Protocol: &protocol, MaxPacketLifeTime: &brief}},
	} {
		t.Run("a channel "+name+" is declined, and the right one taken", func(t *testing.T) {
			n, store, log := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{}), &logbook{}
			s := newStranger(t, store, n.caller, signaling.Caller)
			s.claims = true
			s.announce(t, wrong.label, &wrong.init)
			s.call(t)
			config := quiet()
			config.Log = log.logger()
			session := n.answers(t, store, signaling.Lobby, config)
			s.opened(t)
			s.loses(t)
			log.tells(t, "closed a channel that is not the one", 1)
			s.announce(t, "chat", &right)
			p := pipeOf(t, session)
			if p.Foreign {
				t.Error("one that says it is ours is foreign")
			}
			send(t, p, "hello")
			select {
			case m := <-s.heard:
				if string(m.Data) != "hello" || m.IsString {
					t.Errorf("received %q (a text: %v)", m.Data, m.IsString)
				}
			case <-soon(t).Done():
				t.Fatal("nothing arrives")
			}
		})
	}
}

func TestTwoChannelsAtOnce(t *testing.T) {
	n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
	s := newStranger(t, store, n.caller, signaling.Caller)
	s.channel(t, "one")
	s.channel(t, "two")
	s.call(t)
	p := pipeOf(t, n.answers(t, store, signaling.Lobby, quiet()))
	channels := []*webrtc.DataChannel{s.opened(t), s.opened(t)}
	s.loses(t)
	for _, dc := range channels {
		if dc.ReadyState() == webrtc.DataChannelStateOpen {
			if err := dc.SendText(dc.Label()); err != nil {
				t.Fatal(err)
			}
			hears(t, p, dc.Label())
		}
	}
}

// Plain WebRTC programs write what browsers take, in several ways.
func TestDialects(t *testing.T) {
	for name, dialect := range map[string]func(webrtc.ICECandidateInit) any{
		"with the name of the SDP's attribute": func(c webrtc.ICECandidateInit) any {
			return map[string]any{"candidate": "a=" + c.Candidate, "sdpMid": "0"}
		},
		"with the end of its line": func(c webrtc.ICECandidateInit) any {
			return map[string]any{"candidate": "a=" + c.Candidate + "\r\n", "sdpMLineIndex": 0}
		},
		"without a section": func(c webrtc.ICECandidateInit) any {
			return map[string]any{"candidate": c.Candidate, "sdpMid": nil, "sdpMLineIndex": nil, "usernameFragment": nil}
		},
		"alone": func(c webrtc.ICECandidateInit) any { return map[string]any{"candidate": c.Candidate} },
	} {
		for _, side := range []signaling.Side{signaling.Caller, signaling.Callee} {
			t.Run("a "+side.String()+" writes candidates "+name, func(t *testing.T) {
				n, store, log := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{}), &logbook{}
				config := quiet()
				config.Log = log.logger()
				on := map[signaling.Side]*vnet.Net{signaling.Caller: n.caller, signaling.Callee: n.callee}[side]
				s := newStranger(t, store, on, side)
				s.dialect = dialect
				s.trickle(t)
				var session *peer.Session
				if side == signaling.Caller {
					s.channel(t, "data")
					s.call(t)
					session = n.answers(t, store, signaling.Lobby, config)
				} else {
					s.answer(t)
					session = n.calls(t, store, signaling.Lobby, config)
				}
				texts(t, pipeOf(t, session), s)
				if log.count("dropped a candidate") > 0 {
					log.has(t, "nothing that was dropped")
				}
			})
		}
	}

	t.Run("a candidate names its section, and nothing is null there", func(t *testing.T) {
		n, store := newNetwork(t, 5*time.Millisecond), &recorder{Store: memstore.New(memstore.Limits{})}
		s := newStranger(t, store, n.callee, signaling.Callee)
		s.answer(t)
		texts(t, pipeOf(t, n.calls(t, store, signaling.Lobby, quiet())), s)
		_, candidates := store.written()
		for _, c := range candidates {
			if !strings.Contains(string(c), `"sdpMid":"0"`) {
				t.Errorf("a candidate is %s", c)
			}
		}
		if len(candidates) == 0 {
			t.Error("there is no candidate")
		}
	})

	t.Run("an answer that repeats this side's sctp-init is no consent, and needs no last newline", func(t *testing.T) {
		n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
		s := newStranger(t, store, n.callee, signaling.Callee)
		s.rewrite = func(d webrtc.SessionDescription) webrtc.SessionDescription {
			echo := regexp.MustCompile(`a=sctp-init:\S+`).FindString(s.pc.RemoteDescription().SDP)
			if echo == "" {
				t.Error("the offer has no sctp-init")
			}
			d.SDP += echo
			return d
		}
		s.answer(t)
		texts(t, pipeOf(t, n.calls(t, store, signaling.Lobby, quiet())), s)
	})

	t.Run("a caller that never asks for candidates finds them in the answer", func(t *testing.T) {
		n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
		s := newStranger(t, store, n.caller, signaling.Caller)
		s.deaf = true
		s.channel(t, "data")
		s.call(t)
		texts(t, pipeOf(t, n.answers(t, store, signaling.Lobby, quiet())), s)
		if answer := s.pc.RemoteDescription().SDP; !strings.Contains(answer, "a=candidate:") {
			t.Errorf("the answer has no candidate: %s", answer)
		}
	})
}

// The chat is found by its name or, where no channel has it, by its id.
func TestChoiceOfChannels(t *testing.T) {
	for want, labels := range map[string][]string{"chat": {"control", "chat", "telemetry"}, "first": {"first", "second", "third"}} {
		t.Run(want, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
			s := newStranger(t, store, n.caller, signaling.Caller)
			for _, label := range labels {
				s.channel(t, label)
			}
			s.call(t)
			p := pipeOf(t, n.answers(t, store, signaling.Lobby, quiet()))
			for range labels {
				if dc := s.opened(t); dc.Label() == want {
					if err := dc.SendText("on the right one"); err != nil {
						t.Fatal(err)
					}
				}
			}
			hears(t, p, "on the right one")
			s.loses(t)
			s.loses(t)
		})
	}
}

func TestNegotiatedChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it waits 15 s for a channel
		n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
		s := newStranger(t, store, n.caller, signaling.Caller)
		negotiated, id := true, uint16(0)
		s.announce(t, "chat", &webrtc.DataChannelInit{Negotiated: &negotiated, ID: &id})
		s.call(t)
		if _, err := n.answers(t, store, signaling.Lobby, quiet()).Pipe(soon(t)); !errors.Is(err, peer.ErrNoChannel) {
			t.Errorf("the error is %v", err)
		}
	})
}
