package main

import (
	"context"
	"io"
	"sync/atomic"
	"testing"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// A counted pipe counts the channels that the other side opens. Until there are as many as expected, it reads
// only the first message of the first one: the file cannot arrive before.
type counted struct {
	*peer.Pipe
	expected int32
	channels *atomic.Int32
	all      chan struct{} // closed when there are as many as expected
}

func (c counted) Accept(ctx context.Context) (io.ReadWriteCloser, error) {
	ch, err := c.Pipe.Accept(ctx)
	if err != nil {
		return nil, err
	}
	n := c.channels.Add(1)
	if n == c.expected {
		close(c.all)
	}
	if n == 1 {
		return &held{ReadWriteCloser: ch, until: c.all}, nil
	}
	return ch, nil
}

type held struct {
	io.ReadWriteCloser
	begun bool
	until <-chan struct{}
}

func (h *held) Read(b []byte) (int, error) {
	if h.begun {
		<-h.until
	}
	h.begun = true
	return h.ReadWriteCloser.Read(b)
}

// The flag --stripes says which files have further connections: on this machine, auto means none.
func TestStripesFlag(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int32{"auto": 1, "always": 1 + 4, "never": 1} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			const size = 1 << 20
			k := newKilling(t)
			k.writes("data.bin", size)
			client, err := signaling.NewClient("http://"+k.address, signaling.Config{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.CloseIdle)
			code, err := peer.ParseCode("417-falcon-zebra")
			if err != nil {
				t.Fatal(err)
			}
			caller := k.begin("call", "--send", "data.bin", "--stripes", value)
			caller.prints(t, `"type":"waiting"`)
			session := peer.Answer(client, code, peer.Config{})
			t.Cleanup(session.Close)
			var channels atomic.Int32
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			callee := chat.Start(ctx, chat.Config{DownloadDir: t.TempDir(), AcceptFiles: true}, func(ctx context.Context) (chat.Link, error) {
				pipe, err := session.Pipe(ctx)
				return chat.Link{Pipe: counted{pipe, want, &channels, make(chan struct{})}}, err
			})
			if err := callee.Finish(ctx); err != nil { // it says nothing
				t.Fatal(err)
			}
			received := 0
			for e := range callee.Events() {
				if _, ok := e.(chat.FileReceived); ok {
					received++
				}
			}
			if err := callee.Wait(); err != nil {
				t.Error(err)
			}
			caller.finishes(t, 0)
			if n := channels.Load(); n != want || received != 1 {
				t.Errorf("the file came over %d channels, and arrived %d times", n, received)
			}
		})
	}
}
