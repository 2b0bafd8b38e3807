package peer_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

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
	for name, trickle := range map[string]bool{"with candidates one by one": true, "with all candidates in the description": false} {
		t.Run("a plain WebRTC program calls "+name, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
			s := newStranger(t, store, n.caller, signaling.Caller)
			s.channel(t, "a name of its own")
			if trickle {
				s.trickle(t)
			}
			s.call(t)
			texts(t, pipeOf(t, n.answers(t, store, signaling.Lobby, quiet())), s)
		})

		t.Run("a plain WebRTC program answers "+name, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
			s := newStranger(t, store, n.callee, signaling.Callee)
			if trickle {
				s.trickle(t)
			}
			s.answer(t)
			texts(t, pipeOf(t, n.calls(t, store, signaling.Lobby, quiet())), s)
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
			const messages = 40
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
