package peer_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/pion/stun/v4"

	"p2pchat/peer"
)

func TestAwaitUDP(t *testing.T) {
	server, err := net.ListenPacket("udp4", "127.0.0.1:0") //nolint:noctx // of a test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() }) // nothing is on its way
	asked, silent := make(chan struct{}, 16), atomic.Bool{}
	go func() { // ends with server, which the test closes
		b := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			mute := silent.Load()
			asked <- struct{}{}
			var request stun.Message
			if mute || stun.Decode(b[:n], &request) != nil {
				_, _ = server.WriteTo([]byte("no STUN"), from)
				continue
			}
			if reply, err := stun.Build(&request, stun.BindingSuccess); err == nil {
				_, _ = server.WriteTo(reply.Raw, from)
			}
		}
	}()

	t.Run("says nothing where UDP has worked from the beginning", func(t *testing.T) {
		works := make(chan struct{})
		peer.AwaitUDP(soon(t), server.LocalAddr().String(), works)
		<-asked
		if isOver(works) {
			t.Error("UDP has worked before")
		}
	})

	t.Run("says nothing where one packet was lost", func(t *testing.T) {
		silent.Store(true)
		works, over := make(chan struct{}), make(chan struct{})
		go func() { defer close(over); peer.AwaitUDP(soon(t), server.LocalAddr().String(), works) }()
		<-asked
		silent.Store(false)
		<-over
		if isOver(works) {
			t.Error("UDP has worked before")
		}
		<-asked
	})

	t.Run("says when it begins to work", func(t *testing.T) {
		silent.Store(true)
		works, over := make(chan struct{}), make(chan struct{})
		go func() { defer close(over); peer.AwaitUDP(soon(t), server.LocalAddr().String(), works) }()
		<-asked
		<-asked
		if isOver(works) {
			t.Error("what is no answer counts as one")
		}
		silent.Store(false)
		<-works
		<-over
	})

	t.Run("ends with its context", func(t *testing.T) {
		silent.Store(true)
		ctx, cancel := context.WithCancel(context.Background())
		works, over := make(chan struct{}), make(chan struct{})
		go func() { defer close(over); peer.AwaitUDP(ctx, server.LocalAddr().String(), works) }()
		<-asked
		cancel()
		<-over
		if isOver(works) {
			t.Error("UDP does not work")
		}
	})
}
