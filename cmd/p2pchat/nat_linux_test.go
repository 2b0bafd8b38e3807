package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// A lab is two machines behind a NAT each, a server in between, and real packets on all
// wires, in network namespaces of its own:
//
//	a ── ra ──┐
//	          pub ── s
//	b ── rb ──┘
type lab struct {
	*testing.T
	path   string // of the program
	prefix string // of the namespaces
}

const serverAddress = "203.0.113.1" // RFC 5737

// Rules of a NAT, as nft has them.
const (
	cone      = "masquerade"
	symmetric = "masquerade fully-random"
	noUDP     = "no udp"
)

func newLab(t *testing.T, natA, natB string) *lab {
	t.Helper()
	path, err := exec.LookPath("p2pchat")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t, path, fmt.Sprintf("p2pchat%d", os.Getpid())}
	names := []string{"pub", "s", "ra", "rb", "a", "b"}
	t.Cleanup(func() {
		for _, n := range names {
			l.run("ip netns del %s", l.ns(n))
		}
	})
	for _, n := range names {
		l.run("ip netns add %s", l.ns(n))
		l.run("ip -n %s link set lo up", l.ns(n))
	}
	l.run("ip -n %s link add br0 type bridge", l.ns("pub"))
	l.run("ip -n %s link set br0 up", l.ns("pub"))
	l.join("s", "eth0", serverAddress)
	for side, nat := range map[string]string{"a": natA, "b": natB} {
		n := map[string]int{"a": 1, "b": 2}[side]
		l.join("r"+side, "wan", fmt.Sprintf("203.0.113.1%d", n))
		l.run("ip link add lan netns %s type veth peer name eth0 netns %s", l.ns("r"+side), l.ns(side))
		l.run("ip -n %s addr add 10.%d.0.1/24 dev lan", l.ns("r"+side), n)
		l.run("ip -n %s link set lan up", l.ns("r"+side))
		l.run("ip -n %s addr add 10.%d.0.2/24 dev eth0", l.ns(side), n)
		l.run("ip -n %s link set eth0 up", l.ns(side))
		l.run("ip -n %s route add default via 10.%d.0.1", l.ns(side), n)
		l.run("ip netns exec %s sysctl -qw net.ipv4.ip_forward=1", l.ns("r"+side))
		l.nat("r"+side, nat)
	}
	return l
}

func (l *lab) ns(name string) string { return l.prefix + name }

// run is a command of the lab.
func (l *lab) run(format string, args ...any) {
	l.Helper()
	words := strings.Fields(fmt.Sprintf(format, args...))
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil { //nolint:gosec // the lab's own
		l.Fatalf("%q: %v: %s", words, err, out)
	}
}

// join connects a namespace with the public bridge.
func (l *lab) join(name, device, address string) {
	l.Helper()
	l.run("ip link add %s netns %s type veth peer name to-%s netns %s", device, l.ns(name), name, l.ns("pub"))
	l.run("ip -n %s addr add %s/24 dev %s", l.ns(name), address, device)
	l.run("ip -n %s link set %s up", l.ns(name), device)
	l.run("ip -n %s link set to-%s master br0 up", l.ns("pub"), name)
}

// nat lets out what begins inside, and answers to it in.
func (l *lab) nat(router, rule string) {
	l.Helper()
	block, masquerade := "", rule
	if rule == noUDP {
		block, masquerade = `iifname "lan" meta l4proto udp drop`, cone
	}
	nft := exec.Command("ip", "netns", "exec", l.ns(router), "nft", "-f", "-") //nolint:gosec // the lab's own
	nft.Stdin = strings.NewReader(`
		table ip nat {
			chain after {
				type nat hook postrouting priority srcnat
				oifname "wan" ` + masquerade + `
			}
		}
		table ip filter {
			chain through {
				type filter hook forward priority filter; policy drop
				` + block + `
				ct state established,related accept
				iifname "lan" accept
			}
			chain here {
				type filter hook input priority filter; policy drop
				iifname { "lo", "lan" } accept
				ct state established,related accept
			}
		}
	`)
	if out, err := nft.CombinedOutput(); err != nil {
		l.Fatalf("nft: %v: %s", err, out)
	}
}

// start runs the program on one of the machines.
func (l *lab) start(on string, args ...string) *process {
	l.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.ns(on), l.path}, args...)...) //nolint:gosec // the program under test
	p, err := begin(cmd, l.TempDir(), append(os.Environ(), "P2PCHAT_NAME="+on))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.ended
	})
	return p
}

func (l *lab) sees(p *process, pattern string) []string {
	l.Helper()
	found, err := p.out.wait(regexp.MustCompile(pattern))
	if err != nil {
		l.Fatalf("%v\nits stderr:\n%s", err, p.err)
	}
	return found
}

func (l *lab) say(p *process, text string) {
	l.Helper()
	if _, err := io.WriteString(p.in, `{"type":"message","text":"`+text+`"}`+"\n"); err != nil {
		l.Fatal(err)
	}
}

// call brings the two machines together.
func (l *lab) call() (a, b *process) {
	l.Helper()
	s := l.start("s", "serve", "--listen", serverAddress+":3000", "--relay", "--relay-open")
	if _, err := s.err.wait(regexp.MustCompile("relaying at")); err != nil {
		l.Fatal(err)
	}
	a = l.start("a", "call", "417-falcon-zebra", "--server", "http://"+serverAddress+":3000", "--ui", "json")
	l.sees(a, `"type":"waiting"`)
	b = l.start("b", "answer", "417-falcon-zebra", "--server", "http://"+serverAddress+":3000", "--ui", "json")
	return a, b
}

// The program on real networks: 'task test:nat' asks for it.
func TestNAT(t *testing.T) {
	if os.Getenv("P2PCHATTEST_NAT") == "" {
		t.Skip("task test:nat runs this one, as root and with iproute2 and nftables")
	}
	const direct, relayed = "srflx|prflx", "relay"
	for _, c := range []struct{ name, a, b, path string }{
		{"two cones", cone, cone, direct},
		{"a cone and a symmetric NAT", cone, symmetric, relayed},
		{"a symmetric NAT and a cone", symmetric, cone, relayed},
		{"two symmetric NATs", symmetric, symmetric, relayed},
		{"a network without UDP and a cone", noUDP, cone, relayed},
		{"a symmetric NAT and a network without UDP", symmetric, noUDP, relayed},
		{"two networks without UDP", noUDP, noUDP, relayed},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, c.a, c.b)
			a, b := l.call()
			for _, p := range []*process{a, b} {
				found := l.sees(p, `"path":"(\w+)".*"took_ms":(\d+),"type":"connected","verified":true`)
				if !strings.Contains(c.path, found[1]) {
					t.Errorf("the path is %s, want %s", found[1], c.path)
				}
				t.Logf("path %s after %s ms", found[1], found[2])
			}
			l.say(a, "ping")
			l.sees(b, `"text":"ping"`)
			l.say(b, "pong")
			l.sees(a, `"text":"pong"`)
		})
	}

	t.Run("a network that goes away and comes back with another address", func(t *testing.T) {
		l := newLab(t, cone, symmetric)
		a, b := l.call()
		l.say(a, "one")
		l.sees(b, `"text":"one"`)
		l.run("ip -n %s link set eth0 down", l.ns("b"))
		l.sees(a, `"type":"disconnected"`)
		l.sees(b, `"type":"disconnected"`)
		l.say(a, "two")
		l.say(b, "three")
		l.run("ip -n %s addr del 10.2.0.2/24 dev eth0", l.ns("b"))
		l.run("ip -n %s addr add 10.2.0.77/24 dev eth0", l.ns("b"))
		l.run("ip -n %s link set eth0 up", l.ns("b"))
		l.run("ip -n %s route add default via 10.2.0.1", l.ns("b"))
		l.sees(b, `"text":"two"`)
		l.sees(a, `"text":"three"`)
	})

	t.Run("a relay that dies and comes back", func(t *testing.T) {
		l := newLab(t, symmetric, symmetric)
		a, b := l.call()
		l.say(a, "one")
		l.sees(b, `"text":"one"`)
		l.run("ip -n %s link set to-s down", l.ns("pub"))
		l.sees(a, `"type":"disconnected"`)
		l.say(b, "two")
		l.run("ip -n %s link set to-s up", l.ns("pub"))
		l.sees(a, `"text":"two"`)
	})
}
