package refused

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestNetwork(t *testing.T) {
	for address, want := range map[string]string{"192.0.2.77": "192.0.2.0/24", "::ffff:192.0.2.77": "192.0.2.0/24", "2001:db8:1:2::3": "2001:db8:1::/48", "fe80::1%eth0": "fe80::/48"} {
		if got := Network(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is %s in the log, want %s", address, got, want)
		}
	}
	if got := Network(netip.Addr{}); got != "invalid IP" {
		t.Errorf("no address is %q", got)
	}
}

func TestLog(t *testing.T) {
	var mu sync.Mutex // guards lines
	var lines []string
	newLog := func() *Log {
		lines = nil
		return &Log{Write: func(reason string, count int, last []any) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, fmt.Sprint(reason, " ", count, " ", last))
		}}
	}
	told := func(t *testing.T, want ...string) {
		t.Helper()
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(lines, want) {
			t.Fatalf("the log has %q, want %q", lines, want)
		}
	}
	add := func(l *Log, reason string, n int) {
		for i := range n {
			l.Add(reason, "client", i)
		}
	}
	for name, test := range map[string]func(t *testing.T){
		"the first is told at once, and the others with a minute's end, though none follows": func(t *testing.T) {
			l := newLog()
			add(l, "rooms", 10_000)
			told(t, "rooms 1 [client 0]")
			time.Sleep(Pause)
			told(t, "rooms 1 [client 0]", "rooms 9999 [client 9999]")
			time.Sleep(time.Hour)
			told(t, "rooms 1 [client 0]", "rooms 9999 [client 9999]")
		},
		"an attack without end takes a line a minute": func(t *testing.T) {
			l := newLog()
			for range 10 * 60 {
				add(l, "rooms", 7)
				time.Sleep(time.Second)
			}
			l.Close()
			if len(lines) < 10 || len(lines) > 12 {
				t.Errorf("ten minutes have %d lines", len(lines))
			}
		},
		"each reason has its own, and is told at once again after a silence": func(t *testing.T) {
			l := newLog()
			add(l, "rooms", 1)
			add(l, "answers", 1)
			told(t, "rooms 1 [client 0]", "answers 1 [client 0]")
			time.Sleep(2 * Pause)
			add(l, "rooms", 1)
			told(t, "rooms 1 [client 0]", "answers 1 [client 0]", "rooms 1 [client 0]")
		},
		"what is left is told at the end, and nothing later": func(t *testing.T) {
			l := newLog()
			add(l, "rooms", 3)
			l.Close()
			l.Close()
			add(l, "rooms", 3)
			time.Sleep(2 * Pause)
			told(t, "rooms 1 [client 0]", "rooms 2 [client 2]")
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}
