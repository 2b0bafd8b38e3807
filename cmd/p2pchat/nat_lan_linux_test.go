package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pion/mdns/v2"
	"golang.org/x/net/ipv4"

	"p2pchat/peer"
	"p2pchat/signaling/lan"
)

// newLAN is machines on one network with nothing else: no router, no server, no default route.
func newLAN(t testing.TB, machines ...string) *lab {
	t.Helper()
	path, err := exec.LookPath("p2pchat")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{TB: t, path: path, prefix: newPrefix()}
	names := append([]string{"pub"}, machines...)
	t.Cleanup(func() {
		for _, n := range names {
			l.run("ip netns del %s", l.ns(n))
		}
	})
	for _, n := range names {
		l.run("ip netns add %s", l.ns(n))
		l.run("ip -n %s link set lo up", l.ns(n))
	}
	l.run("ip -n %s link add br0 type bridge mcast_snooping 0", l.ns("pub"))
	l.run("ip -n %s link set br0 up", l.ns("pub"))
	for i, n := range machines {
		l.join(n, "eth0", fmt.Sprintf("192.168.7.%d", i+1))
	}
	return l
}

// onLAN starts the program on a machine with --lan auto, unless args say otherwise.
func (l *lab) onLAN(on string, args ...string) *process {
	l.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.ns(on), l.path}, args...)...) //nolint:gosec // the program under test
	return launchCommand(l, cmd, l.TempDir(), append(os.Environ(), "P2PCHAT_LAN=", "P2PCHAT_NAME="+on))
}

// Two machines on one network meet without a server.
func TestNATLocalNetwork(t *testing.T) {
	needsLab(t)
	t.Parallel()

	connects := func(l *lab, begun time.Time, a, b *process) {
		l.Helper()
		for _, p := range []*process{a, b} {
			if got := l.sees(p, `"path":"(\w+)".*"type":"connected"`); got[1] != "host" && got[1] != "prflx" {
				l.Errorf("they have connected by %s", got[1])
			}
		}
		l.Logf("connected after %v", time.Since(begun).Round(time.Millisecond))
		l.say(a, "hello")
		l.sees(b, `"text":"hello"`)
		l.leave(a, b)
	}

	t.Run("by a code that both know, the callee first", func(t *testing.T) {
		t.Parallel()
		l := newLAN(t, "a", "b")
		b := l.onLAN("b", "answer", "417-falcon-zebra", "--ui", "json")
		l.sees(b, `looking on your local network`)
		begun := time.Now()
		a := l.onLAN("a", "call", "417-falcon-zebra", "--ui", "json")
		connects(l, begun, a, b)
	})

	t.Run("by a code that the caller makes", func(t *testing.T) {
		t.Parallel()
		l := newLAN(t, "a", "b")
		a := l.onLAN("a", "call", "--lan", "always", "--ui", "json")
		code := l.sees(a, `"code":"([^"]+)".*"type":"waiting"`)[1]
		begun := time.Now()
		b := l.onLAN("b", "answer", code, "--ui", "json")
		l.sees(b, `Found the call on your local network, at http://192\.168\.7\.1:\d+`)
		connects(l, begun, a, b)
	})

	t.Run("by the command with the address, where multicast is dropped", func(t *testing.T) {
		t.Parallel()
		l := newLAN(t, "a", "b")
		l.rules("b", "table ip filter {\n chain here {\n type filter hook input priority filter\n udp dport 5353 drop\n udp sport 5353 drop\n}\n}\ntable ip6 filter6 {\n chain here {\n type filter hook input priority filter\n udp dport 5353 drop\n udp sport 5353 drop\n}\n}\n")
		a := l.onLAN("a", "call", "--lan", "always", "--ui", "json")
		m := l.sees(a, `"code":"([^"]+)","command":"p2pchat answer \S+ --server (http://192\.168\.7\.1:\d+)".*"type":"waiting"`)
		begun := time.Now()
		b := l.onLAN("b", "answer", m[1], "--server", m[2], "--ui", "json")
		connects(l, begun, a, b)
	})

	t.Run("a neighbour who announces the same room, and more", func(t *testing.T) {
		t.Parallel()
		l := newLAN(t, "a", "b", "m")
		stop := l.liar("m", "417")
		defer stop()
		b := l.onLAN("b", "answer", "417-falcon-zebra", "--ui", "json")
		l.sees(b, `Found the call on your local network, at http://192\.168\.7\.3:9`) // no one listens there
		begun := time.Now()
		a := l.onLAN("a", "call", "417-falcon-zebra", "--ui", "json")
		connects(l, begun, a, b)
	})

	t.Run("a neighbour who guesses gets as many guesses as any server", func(t *testing.T) {
		t.Parallel()
		l := newLAN(t, "b", "m")
		b := l.onLAN("b", "answer", "417-falcon-zebra", "--ui", "json")
		l.sees(b, `looking on your local network`)
		for n := range peer.Guesses + 1 {
			at := fmt.Sprintf("192.168.7.2:%d", 9000+n)
			serve := l.start("m", "serve", "--listen", at, "--log-level", "info")
			serve.notes(l, "listening on")
			liar := l.start("m", "call", fmt.Sprintf("417-guess-%d", n), "--server", "http://"+at, "--ui", "json")
			l.sees(liar, `"type":"waiting"`)
			if err := liar.cmd.Process.Signal(syscall.SIGSTOP); err != nil { // it does not say that the guess was wrong
				t.Fatal(err)
			}
			silent := l.announces("m", "417", 9000+n)
			answered := `POST route=/rooms/:room/answer `
			if n < peer.Guesses {
				serve.notes(l, answered)
			} else {
				l.sees(b, `"code":"impostor"`)
				if strings.Contains(serve.err.String(), answered) {
					t.Error("it takes a fourth guess")
				}
			}
			silent()
			serve.kill()
			liar.kill()
		}
		b.finishes(t, exitCode)
	})

	t.Run("the network of the caller comes up later", func(t *testing.T) {
		t.Parallel()
		l := newLAN(t, "a", "b")
		l.run("ip -n %s link add br1 type bridge", l.ns("a")) // a network, but not the right one
		l.run("ip -n %s addr add 192.168.8.1/24 dev br1", l.ns("a"))
		l.run("ip -n %s link set br1 up", l.ns("a"))
		l.run("ip -n %s addr flush dev eth0", l.ns("a"))
		l.run("ip -n %s link set eth0 down", l.ns("a"))
		b := l.onLAN("b", "answer", "417-falcon-zebra", "--ui", "json")
		a := l.onLAN("a", "call", "417-falcon-zebra", "--ui", "json")
		l.sees(a, `"type":"waiting"`)
		begun := time.Now()
		l.run("ip -n %s addr add 192.168.7.1/24 dev eth0", l.ns("a"))
		l.run("ip -n %s link set eth0 up", l.ns("a"))
		connects(l, begun, a, b)
	})

	t.Run("a server is named, and does not answer", func(t *testing.T) {
		t.Parallel()
		l := newLAN(t, "a", "b")
		open := func(on, command string) *window {
			return openWindowWith(t, 100, 24, []string{"P2PCHAT_LAN=", "P2PCHAT_NAME=" + on}, "ip", "netns", "exec", l.ns(on), l.path, command, "417-falcon-zebra", "--server", "http://"+serverAddress+":3000")
		}
		b, a := open("b", "answer"), open("a", "call")
		b.shows(`Looking for the call on your local\s+network, too`)
		a.shows(`This program serves your local network\s+for now\.`)
		a.shows(`● b · verified · direct`)
		b.shows(`● a · verified · direct`)
		a.types("Hello\r")
		b.shows(`a +Hello`)
		b.types("/quit\r")
		b.ends(0)
		a.types("/quit\r")
		a.ends(0)
	})

	t.Run("a program that runs unattended fails as without a local network", func(t *testing.T) {
		t.Parallel()
		l := newLAN(t, "a")
		a := l.onLAN("a", "call", "417-falcon-zebra", "--server", "http://"+serverAddress+":3000", "--ui", "json")
		l.sees(a, `"code":"server-unreachable"`)
		a.finishes(t, exitServer)
	})

	t.Run("machines that are no neighbours are not served", func(t *testing.T) {
		t.Parallel()
		l := newLAN(t, "a", "b")
		l.run("ip -n %s addr add 203.0.113.7/24 dev eth0", l.ns("b")) // of another network, on the same wire
		l.run("ip -n %s route add 203.0.113.0/24 dev eth0", l.ns("a"))
		a := l.onLAN("a", "call", "417-falcon-zebra", "--ui", "json")
		at := l.sees(a, `--server (http://\S+?)"`)[1]
		for from, want := range map[string]string{"192.168.7.2": "200", "203.0.113.7": "000"} {
			out, _ := exec.Command("ip", "netns", "exec", l.ns("b"), "curl", "-s", "-o", os.DevNull, "-w", "%{http_code}", "--interface", from, at+"/readyz").Output() //nolint:gosec // the lab's own; the output says how it went
			if string(out) != want {
				t.Errorf("from %s: %s, not %s", from, out, want)
			}
		}
	})
}

// Two machines on one network that has IPv6 alone meet without a server: with private addresses (ULA), and with global ones. With link-local
// ones alone they are told that there is no network to meet on.
func TestNATLocalNetworkIPv6(t *testing.T) {
	needsLab(t)
	t.Parallel()
	only6 := func(t *testing.T, prefix string) *lab {
		l := newLAN(t, "a", "b")
		for i, on := range []string{"a", "b"} {
			l.run("ip -n %s addr flush dev eth0", l.ns(on))
			l.run("ip netns exec %s sysctl -qw net.ipv6.conf.eth0.accept_dad=0", l.ns(on))
			l.run("ip -n %s link set eth0 down", l.ns(on))
			l.run("ip -n %s link set eth0 up", l.ns(on)) // with a link-local address
			if prefix != "" {
				l.run("ip -n %s addr add %s%d/64 dev eth0 nodad", l.ns(on), prefix, i+1)
			}
		}
		return l
	}
	for _, prefix := range []string{"fd07:7::", "2001:db8:7::"} {
		t.Run("by a code, "+prefix, func(t *testing.T) {
			t.Parallel()
			l := only6(t, prefix)
			b := l.onLAN("b", "answer", "417-falcon-zebra", "--ui", "json")
			l.sees(b, `looking on your local network`)
			begun := time.Now()
			a := l.onLAN("a", "call", "417-falcon-zebra", "--ui", "json")
			l.sees(a, `"command":"p2pchat answer \S+ --server 'http://\[`+prefix+`1\]:\d+'`)
			l.sees(b, `Found the call on your local network, at http://\[`)
			for _, p := range []*process{a, b} {
				l.sees(p, `"path":"(host|prflx)".*"type":"connected"`)
			}
			l.Logf("connected after %v", time.Since(begun).Round(time.Millisecond))
			l.say(a, "hello")
			l.sees(b, `"text":"hello"`)
			l.leave(a, b)
		})
		t.Run("by the command with the address, "+prefix, func(t *testing.T) {
			t.Parallel()
			l := only6(t, prefix)
			a := l.onLAN("a", "call", "--lan", "always", "--ui", "json")
			m := l.sees(a, `"command":"p2pchat answer (\S+) --server '(\S+)'"`)
			b := l.onLAN("b", "answer", m[1], "--server", m[2], "--ui", "json")
			l.sees(b, `"type":"connected"`)
			l.leave(a, b)
		})
	}
	t.Run("two contacts", func(t *testing.T) {
		t.Parallel()
		p := only6(t, "fd07:7::").keepsOnLAN(false)
		a, b := p.runs("a", "call", "@ben"), p.runs("b", "call", "@ann")
		p.talks(a, b)
		p.leave(a, b)
	})
	t.Run("link-local addresses alone", func(t *testing.T) {
		t.Parallel()
		l := only6(t, "")
		a := l.onLAN("a", "call", "--lan", "always", "--ui", "json")
		a.notes(l, `or IPv6 alone with an address that is not link-local`)
		a.finishes(t, exitServer)
	})
}

// liar announces servers at a port where no one listens: for room, and a thousand that are none of p2pchat's.
func (l *lab) liar(on, room string) (stop func()) {
	l.Helper()
	var conn *mdns.Conn
	err := inNamespace(l.ns(on), func() error {
		addr, err := net.ResolveUDPAddr("udp4", mdns.DefaultAddressIPv4)
		if err != nil {
			return err
		}
		udp, err := net.ListenUDP("udp4", addr)
		if err != nil {
			return err
		}
		options := []mdns.ServerOption{mdns.WithLocalNames("liar.local")}
		for i := range 1000 {
			name := fmt.Sprintf("%d \x1b[2J%s", i, strings.Repeat("…", i%10))
			options = append(options, mdns.WithService(mdns.ServiceInstance{Instance: strings.ReplaceAll(name, "\x1b", "^"), Service: "_p2pchat._tcp", Port: 9}))
		}
		conn, err = mdns.NewServer(ipv4.NewPacketConn(udp), nil, options...)
		return err
	})
	if err != nil {
		l.Fatal(err)
	}
	silent := l.announces(on, room, 9)
	return func() {
		silent()
		_ = conn.Close() // of a liar
	}
}

// announces announces a server on a machine, until stop.
func (l *lab) announces(on, room string, port int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var told sync.WaitGroup
	told.Go(func() {
		err := inNamespace(l.ns(on), func() error {
			lan.Announce(ctx, func() []string { return []string{room} }, port, slog.New(slog.DiscardHandler), func(err error) { l.Error(err) })
			return nil
		})
		if err != nil {
			l.Error(err)
		}
	})
	return func() {
		cancel()
		told.Wait()
	}
}
