package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
)

// A Comparison is what a measure of two peers took, beside the same over two bare PeerConnections, which
// is the limit. It is printed as JSON, too; times are in milliseconds.
type Comparison struct {
	Count int     `json:"count"`
	Ours  Summary `json:"ours"`
	Bare  Summary `json:"bare"`
	Ratio float64 `json:"ratio"` // of the medians
	// Of a transfer: MB/s.
	Speed     float64 `json:"mb_per_second,omitempty"`
	BareSpeed float64 `json:"bare_mb_per_second,omitempty"`
}

func compare(n int, ours, bare *Histogram) Comparison {
	c := Comparison{Count: n, Ours: ours.Summary(), Bare: bare.Summary()}
	c.Ratio = c.Ours.P50 / c.Bare.P50
	return c
}

func peerConfig() peer.Config {
	return peer.Config{Log: slog.New(slog.DiscardHandler)}
}

// A pair is two sessions that meet at a server of their own.
type pair struct {
	at        signaling.Store
	address   string // of the server, by name
	stop      context.CancelFunc
	served    chan struct{}
	near, far *peer.Pipe
	sessions  []*peer.Session
}

// newPair starts the server. close ends it.
func newPair(ctx context.Context) (*pair, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at, err := signaling.NewClient("http://"+l.Addr().String(), signaling.Config{})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	p := &pair{at: at, address: fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port), stop: stop, served: make(chan struct{})}
	s := server.New(memstore.New(memstore.Limits{}), server.Config{Log: slog.New(slog.DiscardHandler)})
	go func() {
		defer close(p.served)
		_ = s.Serve(ctx, l, time.Second) // its error would only say that a connection was still open
	}()
	return p, nil
}

// connect waits until both sides may chat. number tells one room from another.
func (p *pair) connect(ctx context.Context, number int) (err error) {
	code := peer.Code{Room: strconv.Itoa(100 + number), Secret: "amber-falcon"} // the server has no other clients
	p.sessions = []*peer.Session{peer.Call(p.at, code, peerConfig()), peer.Answer(p.at, code, peerConfig())}
	if p.near, err = p.sessions[0].Pipe(ctx); err == nil {
		p.far, err = p.sessions[1].Pipe(ctx)
	}
	return err
}

func (p *pair) disconnect() {
	for _, s := range p.sessions {
		s.Close()
	}
	p.sessions = nil
}

func (p *pair) close() {
	p.disconnect()
	p.stop()
	<-p.served
}

// Connect measures n times how long two peers take from the callee's start until both can chat.
func Connect(ctx context.Context, n int) (c Comparison, err error) {
	p, err := newPair(ctx)
	if err != nil {
		return c, err
	}
	defer p.close()
	var ours, bare Histogram
	for i := range n {
		began := time.Now()
		err := p.connect(ctx, i)
		ours.Add(time.Since(began))
		p.disconnect()
		if err != nil {
			return c, err
		}
		began = time.Now()
		_, _, hangUp, err := peer.Bare(ctx, peerConfig())
		bare.Add(time.Since(began))
		if err != nil {
			return c, err
		}
		hangUp()
	}
	return compare(n, &ours, &bare), nil
}

// alternate measures n times, by turns, one task over a Session's pipes and over a bare channel.
func alternate(ctx context.Context, n int, ours func(near, far *peer.Pipe) error, bare func(near, far io.ReadWriter) error) (c Comparison, err error) {
	p, err := newPair(ctx)
	if err != nil {
		return c, err
	}
	defer p.close()
	if err := p.connect(ctx, 0); err != nil {
		return c, err
	}
	near, far, hangUp, err := peer.Bare(ctx, peerConfig())
	if err != nil {
		return c, err
	}
	defer hangUp()
	var pipes, channels Histogram
	for range n {
		began := time.Now()
		if err := ours(p.near, p.far); err != nil {
			return c, err
		}
		pipes.Add(time.Since(began))
		began = time.Now()
		if err := bare(near, far); err != nil {
			return c, err
		}
		channels.Add(time.Since(began))
	}
	return compare(n, &pipes, &channels), nil
}

// Message measures n times how long 64 bytes take there and back.
func Message(ctx context.Context, n int) (Comparison, error) {
	message, buffer := make([]byte, 64), make([]byte, 1024)
	return alternate(ctx, n, func(near, far *peer.Pipe) error {
		for _, ends := range [][2]*peer.Pipe{{near, far}, {far, near}} {
			if err := ends[0].Send(ctx, message); err != nil {
				return err
			}
			if _, err := ends[1].Recv(ctx); err != nil {
				return err
			}
		}
		return nil
	}, func(near, far io.ReadWriter) error {
		for _, ends := range [][2]io.ReadWriter{{near, far}, {far, near}} {
			if _, err := ends[0].Write(message); err != nil {
				return err
			}
			if _, err := ends[1].Read(buffer); err != nil {
				return err
			}
		}
		return nil
	})
}

// Transfer measures n times how long 256 messages of 64 KiB take in one direction.
func Transfer(ctx context.Context, n int) (Comparison, error) {
	const size, count = 64 << 10, 256
	message, buffer := make([]byte, size), make([]byte, size)
	flow := func(write, read func() error) error {
		written := make(chan error, 1)
		go func() {
			for range count {
				if err := write(); err != nil {
					written <- err
					return
				}
			}
			written <- nil
		}()
		for range count {
			if err := read(); err != nil {
				return err
			}
		}
		return <-written
	}
	c, err := alternate(ctx, n, func(near, far *peer.Pipe) error {
		return flow(func() error { return near.Send(ctx, message) }, func() error { _, err := far.Recv(ctx); return err })
	}, func(near, far io.ReadWriter) error {
		return flow(func() error { _, err := near.Write(message); return err }, func() error { _, err := far.Read(buffer); return err })
	})
	c.Speed, c.BareSpeed = size*count/1e3/c.Ours.P50, size*count/1e3/c.Bare.P50
	return c, err
}
