package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

// A plainClient knows only the diagram of the signaling API: paths without a room, no tokens, no waiting, raw text on
// the channel.
type plainClient struct {
	t      *testing.T
	server string
	pc     *webrtc.PeerConnection
	heard  chan string
	ended  chan struct{}
}

func newPlainClient(t *testing.T, server string) *plainClient {
	t.Helper()
	e := webrtc.SettingEngine{}
	e.SetIncludeLoopbackCandidate(true) // on a machine without a network
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.GracefulClose() }) // it may have ended
	return &plainClient{t: t, server: server, pc: pc, heard: make(chan string, 10), ended: make(chan struct{})}
}

// use takes the channel that both sides talk on.
func (c *plainClient) use(dc *webrtc.DataChannel) {
	dc.OnMessage(func(m webrtc.DataChannelMessage) {
		if !m.IsString {
			c.t.Errorf("a plain client was sent binary: %q", m.Data)
		}
		c.heard <- string(m.Data)
	})
	dc.OnClose(func() { close(c.ended) })
}

// trickle posts this side's candidates one by one, once the description is there.
func (c *plainClient) trickle(path string, described <-chan struct{}) {
	c.pc.OnICECandidate(func(candidate *webrtc.ICECandidate) {
		if candidate != nil {
			<-described
			c.post(path, candidate.ToJSON())
		}
	})
}

func (c *plainClient) post(path string, what any) {
	body, err := json.Marshal(what)
	if err != nil {
		c.t.Error(err)
		return
	}
	res, err := http.Post(c.server+path, "application/json", bytes.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return
	}
	res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		c.t.Errorf("POST %s: %s", path, res.Status)
	}
}

// poll asks until it is answered with 200.
func (c *plainClient) poll(path string, into any) {
	c.t.Helper()
	for tick := time.Tick(20 * time.Millisecond); ; <-tick {
		if c.get(path, into) {
			return
		}
	}
}

func (c *plainClient) get(path string, into any) bool {
	res, err := http.Get(c.server + path)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return err == nil && res.StatusCode == http.StatusOK && json.Unmarshal(body, into) == nil
}

// pollCandidates adds the other side's candidates until the two are connected.
func (c *plainClient) pollCandidates(path string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for after := 0; c.pc.ConnectionState() != webrtc.PeerConnectionStateConnected; <-tick.C {
		var list []webrtc.ICECandidateInit
		c.get(path+"?after="+strconv.Itoa(after), &list)
		for _, candidate := range list {
			if err := c.pc.AddICECandidate(candidate); err != nil {
				c.t.Errorf("the program's candidate %v: %v", candidate, err)
			}
		}
		after += len(list)
	}
}

func (c *plainClient) hears(want string) {
	c.t.Helper()
	select {
	case got := <-c.heard:
		if got != want {
			c.t.Errorf("the plain client heard %q, not %q", got, want)
		}
	case <-time.After(patience):
		c.t.Fatalf("the plain client did not hear %q", want)
	}
}

func TestPlainClients(t *testing.T) {
	t.Parallel()
	t.Run("call the program in the lobby", func(t *testing.T) {
		t.Parallel()
		server, program := serverAnd(t, "answer")
		c := newPlainClient(t, server)
		c.talk(c.calls(), program)
	})
	t.Run("call the program, and close the channel without a word", func(t *testing.T) {
		t.Parallel()
		server, program := serverAnd(t, "answer")
		c := newPlainClient(t, server)
		dc := c.calls()
		program.notes(t, `^p2pchat: Unverified: `)
		if err := dc.Close(); err != nil {
			t.Fatal(err)
		}
		program.finishes(t, exitFailed)
		program.notes(t, `error: the other program closed the channel before anything was said`)
	})
	t.Run("answer the program in the lobby", func(t *testing.T) {
		t.Parallel()
		server, program := serverAnd(t, "call")
		c := newPlainClient(t, server)
		c.talk(c.answers(), program)
	})
}

// calls opens a channel in the lobby.
func (c *plainClient) calls() *webrtc.DataChannel {
	c.t.Helper()
	dc, err := c.pc.CreateDataChannel("data", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.use(dc)
	open := make(chan struct{})
	dc.OnOpen(func() { close(open) })
	described := make(chan struct{})
	c.trickle("/offer-candidate", described)
	offer, err := c.pc.CreateOffer(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.pc.SetLocalDescription(offer); err != nil {
		c.t.Fatal(err)
	}
	c.post("/offer", offer)
	close(described)
	var answer webrtc.SessionDescription
	c.poll("/answer", &answer)
	if err := c.pc.SetRemoteDescription(answer); err != nil {
		c.t.Fatal(err)
	}
	c.pollCandidates("/answer-candidates")
	<-open
	return dc
}

// answers waits for a call in the lobby, and for its channel.
func (c *plainClient) answers() *webrtc.DataChannel {
	c.t.Helper()
	open := make(chan *webrtc.DataChannel, 1)
	c.pc.OnDataChannel(func(dc *webrtc.DataChannel) {
		c.use(dc)
		dc.OnOpen(func() { open <- dc })
	})
	var offer webrtc.SessionDescription
	c.poll("/offer", &offer)
	if err := c.pc.SetRemoteDescription(offer); err != nil {
		c.t.Fatal(err)
	}
	described := make(chan struct{})
	c.trickle("/answer-candidate", described)
	answer, err := c.pc.CreateAnswer(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.pc.SetLocalDescription(answer); err != nil {
		c.t.Fatal(err)
	}
	c.post("/answer", answer)
	close(described)
	c.pollCandidates("/offer-candidates")
	return <-open
}

// serverAnd starts a server and the program that the plain client meets there.
func serverAnd(t *testing.T, command string) (address string, program *process) {
	t.Helper()
	address = serving(t)
	return address, launch(t, command, "--server", address)
}

// talk is the same from either side: raw text both ways, then the program leaves.
func (c *plainClient) talk(dc *webrtc.DataChannel, program *process) {
	c.t.Helper()
	if err := dc.SendText("hello from afar"); err != nil {
		c.t.Fatal(err)
	}
	program.hears(c.t, "hello from afar")
	program.notes(c.t, `^p2pchat: Unverified: `)
	program.say(c.t, "hello back\nand again")
	c.hears("hello back")
	c.hears("and again")
	if err := dc.Close(); err != nil {
		c.t.Fatal(err)
	}
	program.finishes(c.t, 0)
	<-c.ended
}
