package main

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"p2pchat/cmd/p2pchat/internal/proxy/proxytest"
)

// Where nothing but a CONNECT proxy leads outside, calls go through a relay over TCP, whatever the other side's network
// allows. Without naming the proxy they do not work.
func TestNATProxy(t *testing.T) {
	needsLab(t)
	t.Parallel()
	const proxyAt = "203.0.113.77"
	for _, other := range []string{cone, symmetric} {
		t.Run(other, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, cone, other, quality{})
			l.serve("--relay", "--relay-open")
			l.join("silent", "eth0", proxyAt)
			l.proxy("silent", proxyAt+":3128")
			l.rules("ra", `
				table ip walled {
					chain through {
						type filter hook forward priority filter - 1; policy accept
						iifname "lan" ip daddr != `+proxyAt+` drop
						iifname "lan" meta l4proto != tcp drop
					}
				}
			`)
			args := []string{"417-falcon-zebra", "--server", "http://" + serverAddress + ":3000", "--ui", "json"}
			lost := l.start("a", append([]string{"call"}, args...)...)
			lost.notes(l, `the server cannot be reached`)
			lost.finishes(l, exitServer)

			begun := time.Now()
			a := l.start("a", append([]string{"call", "--proxy", "http://" + proxyAt + ":3128"}, args...)...)
			l.sees(a, `"type":"waiting"`)
			b := l.start("b", append([]string{"answer"}, args...)...)
			l.sees(a, `"path":"relay".*"type":"connected"`)
			l.sees(b, `"path":"relay".*"type":"connected"`)
			t.Logf("both sides are connected after %v", time.Since(begun))
			l.say(a, "ping")
			l.sees(b, `"text":"ping"`)

			doctor := l.start("a", "doctor", "--proxy", "http://"+proxyAt+":3128", "--server", "http://"+serverAddress+":3000")
			doctor.prints(l, `through the proxy http://203\.0\.113\.77:3128 \(--proxy\)`)
			doctor.prints(l, `yes  turn:203\.0\.113\.1:3478\?transport=tcp`)
			doctor.prints(l, `Calls work with everyone, through the relay: this network blocks UDP\.`)
			doctor.finishes(l, 0)
		})
	}
}

// proxy runs a CONNECT proxy on a machine of the lab.
func (l *lab) proxy(on, address string) {
	l.Helper()
	var listener net.Listener
	err := inNamespace(l.ns(on), func() (err error) {
		listener, err = (&net.ListenConfig{}).Listen(l.Context(), "tcp", address)
		return err
	})
	if err != nil {
		l.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: patience, Handler: proxytest.HTTP{Dial: func(ctx context.Context, network, to string) (c net.Conn, err error) {
		err = inNamespace(l.ns(on), func() (err error) {
			c, err = (&net.Dialer{}).DialContext(ctx, network, to)
			return err
		})
		return c, err
	}}}
	ended := make(chan struct{})
	go func() { _ = s.Serve(listener); close(ended) }() // until it is closed
	l.Cleanup(func() {
		_ = s.Close()
		<-ended
	})
}
