package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"p2pchat/signaling"
)

// callers are pairs of programs that call each other from one address, one pair after the other.
type callers struct {
	c        *crowd
	name     string
	required bool         // each of its calls must succeed
	client   *http.Client // of that address
	proxy    *forwarder

	made          int
	opened, first []time.Duration
}

func (c *crowd) newCallers(name string, from net.IP, required bool) *callers {
	return &callers{c: c, name: name, required: required, client: c.client(from, true), proxy: newForwarder(c.t, from, c.nginx)}
}

func (l *callers) close() { l.proxy.close() }

func (l *callers) callsUntil(ctx context.Context) {
	for ctx.Err() == nil {
		if err := l.call(); err != nil && l.required {
			l.c.t.Errorf("a call %s: %v", l.name, err)
		} else if err != nil {
			l.c.t.Logf("a call %s: %.300s", l.name, err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(4 * time.Second):
		}
	}
}

// digits returns how many digits the server proposes for the number of a room, or 6 if it refuses to say.
func (l *callers) digits() int {
	res, err := l.client.Get("https://" + l.c.nginx + "/ice-servers") //nolint:gosec // the test's own nginx
	if err != nil {
		return 6
	}
	_ = res.Body.Close()
	n, err := strconv.Atoi(res.Header.Get(signaling.RoomDigitsHeader))
	if err != nil {
		return 6
	}
	return n
}

// call has two programs meet with a new code, and say a line each. The caller types its line before the callee is there.
func (l *callers) call() (err error) {
	l.made++
	env := append(os.Environ(), "P2PCHAT_NAME=tester", "SSL_CERT_FILE="+l.c.dir+"/own.pem")
	server := "https://" + l.proxy.l.Addr().String()
	least := int(math.Pow10(l.digits() - 1))
	code := fmt.Sprintf("%d-falcon-zebra", least+rand.IntN(9*least)) //nolint:gosec // a test's
	began := time.Now()
	caller, err := start(l.c.dir, env, "call", code, "--server", server, "--leave-on-eof")
	if err != nil {
		return err
	}
	defer caller.kill()
	if _, err := io.WriteString(caller.in, "hello from the caller\n"); err != nil {
		return err
	}
	if _, err := caller.err.wait(regexp.MustCompile(`(?m)^p2pchat: Waiting for the other side`)); err != nil {
		return fmt.Errorf("it has no room: %w", err)
	}
	opened := time.Since(began)
	began = time.Now()
	callee, err := start(l.c.dir, env, "answer", code, "--server", server, "--leave-on-eof")
	if err != nil {
		return err
	}
	defer callee.kill()
	if _, err := callee.out.wait(regexp.MustCompile(`(?m)^hello from the caller$`)); err != nil {
		return fmt.Errorf("the callee: %w\n%s\nthe caller:\n%s", err, callee.err, caller.err)
	}
	first := time.Since(began)
	_, err = io.WriteString(callee.in, "hello from the callee\n")
	if err = errors.Join(err, callee.in.Close()); err != nil {
		return err
	}
	if _, err := caller.out.wait(regexp.MustCompile(`(?m)^hello from the callee$`)); err != nil {
		return fmt.Errorf("the caller: %w\n%s", err, caller.err)
	}
	if err := errors.Join(caller.in.Close(), caller.end(), callee.end()); err != nil {
		return err
	}
	l.opened, l.first = append(l.opened, opened), append(l.first, first)
	return nil
}

// A forwarder gives a program on this machine another address of loopback, as a NAT would.
type forwarder struct {
	l   net.Listener
	all sync.WaitGroup
}

func newForwarder(t *testing.T, from net.IP, to string) *forwarder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{l: l}
	f.all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			f.all.Go(func() { forward(near, from, to) })
		}
	})
	t.Cleanup(f.close)
	return f
}

// close ends the forwarder when the connections of its programs have ended.
func (f *forwarder) close() {
	_ = f.l.Close() // it may be closed
	f.all.Wait()
}

func forward(near net.Conn, from net.IP, to string) {
	defer func() { _ = near.Close() }()
	far, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}).Dial("tcp", to)
	if err != nil {
		return
	}
	join(near, far)
}
