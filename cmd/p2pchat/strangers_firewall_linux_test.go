package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newOffice makes a lab of two machines and a server on one network, without a NAT.
func newOffice(t *testing.T, number int) *lab {
	t.Helper()
	path, err := exec.LookPath("p2pchat")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t, path, fmt.Sprintf("strangers%d-%d", os.Getpid(), number), quality{}, 0}
	names := []string{"pub", "s", "a", "b"}
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
	for i, n := range names[1:] {
		l.join(n, "eth0", fmt.Sprintf("10.77.0.%d", i+1))
		l.run("ip -n %s route add default via 10.77.0.250", l.ns(n))
	}
	return l
}

const officeServer = "http://10.77.0.1:3000"

// protect gives a machine a firewall that lets out what the machine begins, and in what answers
// that. Names of multicast DNS can be resolved, as behind the firewalls of desktops.
func (l *lab) protect(machine string) {
	l.Helper()
	nft := exec.Command("ip", "netns", "exec", l.ns(machine), "nft", "-f", "-") //nolint:gosec // the lab's own
	nft.Stdin = strings.NewReader(`
		table inet filter {
			chain here {
				type filter hook input priority filter; policy drop
				iifname "lo" accept
				icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
				ct state established,related accept
				udp dport 5353 accept
			}
		}
	`)
	if out, err := nft.CombinedOutput(); err != nil {
		l.Fatalf("nft: %v: %s", err, out)
	}
}

// listen listens in one of the machines.
func (l *lab) listen(machine, address string) (listener net.Listener) {
	l.Helper()
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		there, err := os.Open("/run/netns/" + l.ns(machine))
		if err == nil {
			defer there.Close()
			err = unix.Setns(int(there.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			listener, err = net.Listen("tcp", address)
		}
		failed <- err
	}()
	if err := <-failed; err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = listener.Close() }) // the page may have been served
	return listener
}

// A stateful firewall on both sides makes no difference: each lets in what its machine has
// asked for.
func TestStrangersBehindFirewalls(t *testing.T) {
	if os.Getenv("P2PCHATTEST_STRANGERS") == "" {
		t.Skip("task test:strangers runs this one, and installs what it needs")
	}
	if os.Getuid() != 0 || exec.Command("sh", "-c", "command -v nft && command -v ip && ip netns list").Run() != nil {
		t.Skip("NOT RUN: firewalls need root, iproute2 and nftables")
	}
	number := 0
	for _, s := range strangers {
		t.Run(s.name, func(t *testing.T) {
			if why := s.missing(); why != "" {
				t.Skipf("NOT RUN: %s: %s", s.name, why)
			}
			for _, role := range []string{"call", "answer"} {
				number++
				number := number // of this lab
				t.Run(role, func(t *testing.T) {
					t.Parallel()
					s.passes(t, number, role)
				})
			}
		})
	}
}

func (s stranger) passes(t *testing.T, number int, role string) {
	t.Helper()
	l := newOffice(t, number)
	l.protect("a")
	l.protect("b")
	page := l.listen("b", "127.0.0.1:0")
	server := l.start("s", "serve", "--listen", "10.77.0.1:3000", "--cors-origin", "http://"+page.Addr().String())
	if _, err := server.err.wait(regexp.MustCompile("listening on")); err != nil {
		t.Fatal(err)
	}
	program := l.start("a", map[string]string{"call": "answer", "answer": "call"}[role], "lobby", "--server", officeServer, "--ui", "json")
	v := s.start(t, l.ns("b"), role, officeServer, "trickle", page)
	took, path := v.meets(t, program, true)
	t.Logf("%s: %s, firewalls on both sides: %d ms (%s)", s.name, role, took, path)
}
