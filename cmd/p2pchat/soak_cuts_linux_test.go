package main

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A cuttable forwards connections to a server until it cuts them.
type cuttable struct {
	l  net.Listener
	to string

	mu    sync.Mutex // guards what follows
	off   bool
	conns map[net.Conn]bool
}

func newCuttable(t *testing.T, to string) *cuttable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cuttable{l: l, to: to, conns: map[net.Conn]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { c.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.cut(0)
		all.Wait()
	})
	return c
}

// carry copies both ways until one side ends, or the cut.
func (c *cuttable) carry(near net.Conn) {
	defer func() { _ = near.Close() }()
	far, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	c.mu.Lock()
	if c.off {
		c.mu.Unlock()
		return
	}
	c.conns[near], c.conns[far] = true, true
	c.mu.Unlock()
	join(near, far)
	c.mu.Lock()
	delete(c.conns, near)
	delete(c.conns, far)
	c.mu.Unlock()
}

// cut ends all connections, and takes no other for d.
func (c *cuttable) cut(d time.Duration) {
	c.mu.Lock()
	c.off = true
	for conn := range c.conns {
		_ = conn.Close()
	}
	c.mu.Unlock()
	<-time.After(d)
	c.mu.Lock()
	c.off = false
	c.mu.Unlock()
}

// join copies between two connections, both ways, until one of them ends, and closes both.
func join(near, far net.Conn) {
	var both sync.WaitGroup
	for _, ends := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(ends[0], ends[1])
			_ = near.Close()
			_ = far.Close()
		})
	}
	both.Wait()
}
