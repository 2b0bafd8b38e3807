package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// A call moves to another way soon after the network has changed, while a file and messages are on their way: nothing is lost or
// comes twice.
func TestNATMoves(t *testing.T) {
	needsLab(t)
	slow := quality{delay: 5 * time.Millisecond, rate: 20e6 / 8}
	for _, c := range []struct {
		name     string
		nat      string // of a
		callee   string
		prepare  func(*lab)
		path     string // at first
		change   func(*lab)
		from, to string
		within   time.Duration
		lines    int
	}{
		{
			"from a relay when the network lets UDP through", noUDP, "b", func(*lab) {}, relayed,
			func(l *lab) { l.nat("ra", cone) }, "relay", direct, 3 * time.Second, 300,
		},
		{
			"from Wi-Fi to a cable of the same network", cone, "s", (*lab).bridge, "host|" + direct,
			(*lab).plug, "host|" + direct, "host|" + direct, 3 * time.Second, 2000,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, c.nat, cone, slow)
			c.prepare(l)
			l.serve("--relay", "--relay-open")
			server, dir, path := "http://"+serverAddress+":3000", t.TempDir(), filepath.Join(t.TempDir(), "data")
			if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 30e6)); err != nil {
				t.Fatal(err)
			}
			a := l.start("a", "call", "417-falcon-zebra", "--server", server, "--ui", "json", "--send", path)
			l.sees(a, `"type":"waiting"`)
			b := l.start(c.callee, "answer", "417-falcon-zebra", "--server", server, "--ui", "json", "--accept-files", "--download-dir", dir)
			for _, p := range []*process{a, b} {
				l.sees(p, `"path":"(`+c.path+`)".*"type":"connected"`)
			}
			l.chats(a, b, 0, 100)
			time.Sleep(3 * time.Second) // the first try to leave a relay is over

			c.change(l)
			begun := time.Now()
			moved := regexp.MustCompile(`"from":"(` + c.from + `)","path":"(` + c.to + `)".*"type":"moved"`)
			said, pause := 100, time.Duration(0)
			var took time.Duration
			for ; took == 0 || said < c.lines; said += 10 {
				if took == 0 && moved.MatchString(a.out.String()) {
					took = time.Since(begun)
				}
				last := time.Now()
				l.chats(a, b, said, said+10)
				pause = max(pause, time.Since(last))
				if time.Since(begun) > patience {
					t.Fatalf("the call stays where it is: %s", a.err)
				}
			}
			t.Logf("moved %s after the change, with %d lines; at most %s for ten lines", took.Round(time.Millisecond), said, pause.Round(time.Millisecond))
			if took > c.within {
				t.Errorf("it took %s", took)
			}
			l.sees(b, moved.String())
			l.sees(a, `"type":"file-sent"`)
			l.sees(b, `"type":"file-received"`)
			l.leave(a, b)
			hasLines(t, b, said)
			for _, p := range []*process{a, b} {
				if regexp.MustCompile(`"type":"(disconnected|reconnected)"`).MatchString(p.out.String()) {
					t.Errorf("a move looks like a loss: %s", p.out)
				}
			}
		})
	}
}

// chats sends lines from one side to the other, and waits until they are there.
func (l *lab) chats(from, to *process, first, end int) {
	l.Helper()
	for i := first; i < end; i++ {
		l.say(from, fmt.Sprint("line ", i))
	}
	l.sees(to, fmt.Sprintf(`"text":"line %d"`, end-1))
}

// hasLines fails the test unless a process has got so many lines, each once and in order.
func hasLines(t *testing.T, p *process, n int) {
	t.Helper()
	lines := regexp.MustCompile(`"text":"line (\d+)"`).FindAllStringSubmatch(p.out.String(), -1)
	for i, m := range lines {
		if m[1] != strconv.Itoa(i) {
			t.Fatalf("line %s came in place of %d", m[1], i)
		}
	}
	if len(lines) != n {
		t.Errorf("%d of %d lines have come", len(lines), n)
	}
}

// bridge makes the router of a a switch with Wi-Fi, too: its route is worse than a cable's.
func (l *lab) bridge() {
	l.Helper()
	r, a := l.ns("ra"), l.ns("a")
	l.run("ip -n %s link set lan down", r)
	l.run("ip -n %s addr flush dev lan", r)
	l.run("ip -n %s link set lan name port0", r)
	l.run("ip -n %s link add lan type bridge", r)
	l.run("ip -n %s link set port0 master lan up", r)
	l.run("ip -n %s addr add 10.1.0.1/24 dev lan", r)
	l.run("ip -n %s link set lan up", r)
	l.run("ip -n %s route del default", a)
	l.run("ip -n %s route add default via 10.1.0.1 dev eth0 metric 600", a)
}

// plug plugs a cable into a. As with DHCP, packets have gone over it before there is a route.
func (l *lab) plug() {
	l.Helper()
	r, a := l.ns("ra"), l.ns("a")
	l.run("ip link add port1 netns %s type veth peer name eth1 netns %s", r, a)
	l.run("ip -n %s link set port1 master lan up", r)
	l.run("ip -n %s addr add 10.1.0.3/24 dev eth1", a)
	l.run("ip -n %s link set eth1 up", a)
	l.run("ip netns exec %s ping -q -c 1 -w 10 -I eth1 10.1.0.1", a)
	l.run("ip -n %s route add default via 10.1.0.1 dev eth1 metric 100", a)
}
