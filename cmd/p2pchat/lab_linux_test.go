package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// A lab is two machines behind a NAT each, a server in between, and real packets on all
// wires, in network namespaces of its own:
//
//	a ── ra ──┐
//	          pub ── s
//	b ── rb ──┘
type lab struct {
	testing.TB
	path   string // of the program
	prefix string // of the namespaces
	wires  quality
	calls  int // so far, each in a room of its own: a guest may ask for a room's servers a few times only
}

const serverAddress = "203.0.113.1" // RFC 5737

func newLab(t testing.TB, natA, natB string, wires quality) *lab {
	t.Helper()
	path := os.Getenv("P2PCHATTEST_PROGRAM") // another build, to compare with
	if path == "" {
		var err error
		if path, err = exec.LookPath("p2pchat"); err != nil {
			t.Fatal(err)
		}
	}
	l := &lab{TB: t, path: path, prefix: newPrefix(), wires: wires}
	names := []string{"pub", "s", "silent", "ra", "rb", "a", "b"}
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

var labs atomic.Int64

// newPrefix returns what the names of a lab's namespaces begin with: labs that are up at once have their own.
func newPrefix() string { return fmt.Sprintf("p2pchat%d-%d-", os.Getpid(), labs.Add(1)) }

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
	if l.wires == (quality{}) {
		l.run("ip link add %s netns %s type veth peer name to-%s netns %s", device, l.ns(name), name, l.ns("pub"))
	} else {
		wire(l, l.wires, [2]string{l.ns(name), device}, [2]string{l.ns("pub"), "to-" + name})
	}
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
	l.rules(router, `
		flush ruleset
		table ip nat {
			chain after {
				type nat hook postrouting priority srcnat
				oifname "wan" `+masquerade+`
			}
		}
		table ip filter {
			chain through {
				type filter hook forward priority filter; policy drop
				`+block+`
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
}

// rules gives a machine rules of nft.
func (l *lab) rules(name, rules string) {
	l.Helper()
	nft := exec.Command("ip", "netns", "exec", l.ns(name), "nft", "-f", "-") //nolint:gosec // the lab's own
	nft.Stdin = strings.NewReader(rules)
	if out, err := nft.CombinedOutput(); err != nil {
		l.Fatalf("nft: %v: %s", err, out)
	}
}

// start runs the program on one of the machines.
func (l *lab) start(on string, args ...string) *process {
	l.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.ns(on), l.path}, args...)...) //nolint:gosec // the program under test
	return launchCommand(l, cmd, l.TempDir(), append(os.Environ(), "P2PCHAT_NAME="+on))
}

// startAtOnce is start without ip-netns(8), which takes milliseconds of its own to make a view of /sys and /etc.
func (l *lab) startAtOnce(on string, args ...string) (p *process) {
	l.Helper()
	err := inNamespace(l.ns(on), func() (err error) {
		cmd := exec.Command(l.path, args...) //nolint:gosec // the lab's own
		p, err = begin(cmd, l.TempDir(), append(os.Environ(), "P2PCHAT_NAME="+on))
		return err
	})
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(p.kill)
	return p
}

func (l *lab) sees(p *process, pattern string) []string {
	l.Helper()
	return p.prints(l, pattern)
}

func (l *lab) say(p *process, text string) {
	l.Helper()
	p.say(l, `{"type":"message","text":"`+text+`"}`)
}

// serve starts the server, and its relay.
func (l *lab) serve(args ...string) *process {
	l.Helper()
	s := l.start("s", append([]string{"serve", "--listen", serverAddress + ":3000"}, args...)...)
	s.notes(l, "listening on")
	return s
}

// call brings the two machines together.
func (l *lab) call() (a, b *process) {
	l.Helper()
	l.serve("--relay", "--relay-open")
	return l.meet()
}

// meet has one call and the other answer.
func (l *lab) meet() (a, b *process) {
	l.Helper()
	a = l.start("a", "call", "417-falcon-zebra", "--server", "http://"+serverAddress+":3000", "--ui", "json")
	l.sees(a, `"type":"waiting"`)
	b = l.start("b", "answer", "417-falcon-zebra", "--server", "http://"+serverAddress+":3000", "--ui", "json")
	return a, b
}
