package peer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// further opens a channel beside the pipes.
func further(t testing.TB, from, to *peer.Pipe) (near, far io.ReadWriteCloser) {
	t.Helper()
	return opened(t, from.Open, to)
}

// opened opens a channel, and accepts it at the other side.
func opened(t testing.TB, open func(context.Context) (io.ReadWriteCloser, error), to *peer.Pipe) (near, far io.ReadWriteCloser) {
	t.Helper()
	to.Expect(true)
	near, err := open(soon(t))
	if err != nil {
		t.Fatal("opening: ", err)
	}
	far, err = to.Accept(soon(t))
	if err != nil {
		t.Fatal("accepting: ", err)
	}
	return near, far
}

// put writes a message that is to be read at the other end.
func put(t testing.TB, near, far io.ReadWriter, message []byte) {
	t.Helper()
	if _, err := near.Write(message); err != nil {
		t.Fatal("writing: ", err)
	}
	b := make([]byte, 100_000)
	if n, err := far.Read(b); err != nil || !bytes.Equal(b[:n], message) {
		t.Fatalf("read %d bytes of %d (%v)", n, len(message), err)
	}
}

// ends waits for the end of a channel.
func ends(t testing.TB, c io.ReadWriteCloser) error {
	t.Helper()
	n, err := c.Read(make([]byte, 100))
	if err == nil {
		t.Fatalf("it goes on with %d bytes", n)
	}
	return err
}

func TestFurtherChannels(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(transport.name, func(t *testing.T) { furtherChannels(t, transport.config()) })
	}

	t.Run("of another kind are closed, though some are expected", func(t *testing.T) {
		protocol, no := "p2pchat.v1", false
		n, store, log := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{}), &logbook{}
		s := newStranger(t, store, n.caller, signaling.Caller)
		s.claims = true
		s.announce(t, "chat", &webrtc.DataChannelInit{Protocol: &protocol})
		s.call(t)
		config := quiet()
		config.Log = log.logger()
		p := pipeOf(t, n.answers(t, store, signaling.Lobby, config))
		s.opened(t)
		p.Expect(true)
		for label, init := range map[string]*webrtc.DataChannelInit{"files": {Protocol: &protocol}, "chat": {Protocol: &protocol}, "file": {Protocol: &protocol, Ordered: &no}} {
			s.announce(t, label, init)
			s.opened(t)
			s.loses(t)
		}
		if n := p.Held(); n > 0 {
			t.Errorf("%d refused channels are held for as long as the connection", n)
		}
		s.channel(t, "file")
		s.opened(t)
		s.loses(t)
		log.tells(t, "closed a channel that is not the one", 4)
		s.announce(t, "file", &webrtc.DataChannelInit{Protocol: &protocol})
		if _, err := p.Accept(soon(t)); err != nil {
			t.Error(err)
		}
	})

	t.Run("of a plain WebRTC program are closed", func(t *testing.T) {
		strangerCalls(t, func(t *testing.T, s *stranger, _ *peer.Session, p *peer.Pipe, _ *logbook) {
			s.opened(t)
			p.Expect(true)
			protocol := "p2pchat.v1"
			s.announce(t, "file", &webrtc.DataChannelInit{Protocol: &protocol})
			s.opened(t)
			s.loses(t)
		})
	})
}

// furtherChannels tests what is the same on each transport.
func furtherChannels(t *testing.T, config peer.Config) {
	t.Helper()
	t.Run("carry whole messages, both ways, from either side", func(t *testing.T) {
		caller, callee := connectedWith(t, config)
		for _, ends := range [][2]*peer.Pipe{{caller, callee}, {callee, caller}, {caller, callee}} {
			near, far := further(t, ends[0], ends[1])
			for i, size := range []int{1, 64<<10 + 1, 0, 9} {
				put(t, near, far, pattern(size, uint32(i)))
				put(t, far, near, pattern(size, uint32(i)))
			}
		}
		talk(t, caller, callee)
	})

	t.Run("Close ends both sides, and calls that wait", func(t *testing.T) {
		caller, callee := connectedWith(t, config)
		near, far := further(t, caller, callee)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := ends(t, near); errors.Is(err, io.EOF) {
				t.Error("the other side has closed it")
			}
		})
		put(t, near, far, []byte("x")) // near reads by now, or soon
		near.Close()
		wg.Wait()
		if err := ends(t, far); !errors.Is(err, io.EOF) {
			t.Errorf("it says %v", err)
		}
		far.Close()
		far.Close()
		if _, err := near.Write([]byte("x")); err == nil {
			t.Error("it can be written to")
		}
		talk(t, caller, callee)
	})

	t.Run("are closed if they are not expected", func(t *testing.T) {
		caller, callee := connectedWith(t, config)
		for range 3 {
			c, err := caller.Open(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := ends(t, c); !errors.Is(err, io.EOF) {
				t.Errorf("it says %v", err)
			}
			c.Close()
		}
		further(t, caller, callee) // when they are expected
		callee.Expect(false)
		c, err := caller.Open(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		_ = ends(t, c)
		talk(t, caller, callee)
	})

	t.Run("are bounded in number, at a time", func(t *testing.T) {
		const most = 16
		caller, callee := connectedWith(t, config)
		var fars []io.ReadWriteCloser
		for range most {
			_, far := further(t, caller, callee)
			fars = append(fars, far)
		}
		c, err := caller.Open(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		_ = ends(t, c)
		fars[3].Close()
		near, far := further(t, caller, callee)
		put(t, near, far, []byte("one more"))
	})

	t.Run("one after the other leave nothing behind", func(t *testing.T) {
		caller, callee := connectedWith(t, config)
		for i := range peer.Long(300, 50) {
			near, far := further(t, caller, callee)
			put(t, near, far, []byte(strconv.Itoa(i)))
			near.Close()
			_ = ends(t, far)
			far.Close()
		}
		talk(t, caller, callee)
	})

	t.Run("end with the connection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t, time.Millisecond)
			from, to := n.connectWith(t, memstore.New(memstore.Limits{}), config)
			caller, callee := pipeOf(t, from), pipeOf(t, to)
			near, _ := further(t, caller, callee)
			n.sever()
			_ = ends(t, near)
			<-caller.Ended() // QUIC may notice the silence before ICE does
			for what, wait := range map[string]func(context.Context) (io.ReadWriteCloser, error){"Open": caller.Open, "Accept": caller.Accept} {
				if _, err := wait(context.Background()); !errors.Is(err, peer.ErrLost) {
					t.Errorf("%s says %v", what, err)
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if _, err := callee.Accept(ctx); err == nil {
				t.Error("Accept outlives its context")
			}
		})
	})
}

// What goes over a further channel in messages of 64 KiB, beside a bare detached
// DataChannel.
func BenchmarkFurtherChannel(b *testing.B) {
	const size, count = 64 << 10, 128
	caller, callee := connected(b)
	ours, to := further(b, caller, callee)
	near, far, hangUp := bare(b)
	defer hangUp()
	message, buffer := make([]byte, size), make([]byte, size)
	flow := func(from io.Writer, to io.Reader) time.Duration {
		begun := time.Now()
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			for range count {
				if _, err := from.Write(message); err != nil {
					b.Error(err)
					return
				}
			}
		})
		for range count {
			if _, err := to.Read(buffer); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(begun)
	}
	var times, bares []time.Duration
	for b.Loop() {
		times = append(times, flow(ours, to))
		bares = append(bares, flow(near, far))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(size*count/1e6/p(.5, times).Seconds(), "MB/s")
	b.ReportMetric(ratio(p(.5, bares), p(.5, times)), "x-bare-speed")
}
