package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Rules of a NAT, as nft has them.
const (
	cone      = "masquerade"
	symmetric = "masquerade fully-random"
	noUDP     = "no udp"
)

const direct, relayed = "srflx|prflx", "relay"

var networks = []struct{ name, a, b, path string }{
	{"two cones", cone, cone, direct},
	{"a cone and a symmetric NAT", cone, symmetric, relayed},
	{"a symmetric NAT and a cone", symmetric, cone, relayed},
	{"two symmetric NATs", symmetric, symmetric, relayed},
	{"a network without UDP and a cone", noUDP, cone, relayed},
	{"a symmetric NAT and a network without UDP", symmetric, noUDP, relayed},
	{"two networks without UDP", noUDP, noUDP, relayed},
}

func needsLab(t testing.TB) {
	t.Helper()
	if os.Getenv("P2PCHATTEST_NAT") == "" {
		t.Skip("task test:nat runs this one, as root and with iproute2 and nftables")
	}
}

// The program on real networks: 'task test:nat' asks for it.
func TestNAT(t *testing.T) {
	needsLab(t)
	t.Parallel()
	for _, c := range networks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, c.a, c.b, quality{})
			a, b := l.call()
			for _, p := range []*process{a, b} {
				found := l.sees(p, `"path":"(\w+)".*"took_ms":(\d+),"type":"connected","verified":true`)
				if !strings.Contains(c.path, found[1]) {
					t.Errorf("the path is %s, want %s", found[1], c.path)
				}
				t.Logf("path %s after %s ms", found[1], found[2])
			}
			l.sees(a, map[string]string{
				direct:  `"route":\["host( 10\.1\.0\.2:\d+)?","nat 203\.0\.113\.11:\d+","nat 203\.0\.113\.12:\d+","host"\]`,
				relayed: `"route":\["host.*"relay 203\.0\.113\.1:\d+".*"host.*\]`,
			}[c.path])
			l.say(a, "ping")
			l.sees(b, `"text":"ping"`)
			l.say(b, "pong")
			l.sees(a, `"text":"pong"`)
		})
	}

	t.Run("a network that goes away and comes back with another address", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, cone, symmetric, quality{})
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
		t.Parallel()
		l := newLab(t, symmetric, symmetric, quality{})
		a, b := l.call()
		l.say(a, "one")
		l.sees(b, `"text":"one"`)
		l.run("ip -n %s link set to-s down", l.ns("pub"))
		l.sees(a, `"type":"disconnected"`)
		l.say(b, "two")
		l.run("ip -n %s link set to-s up", l.ns("pub"))
		l.sees(a, `"text":"two"`)
	})

	t.Run("a network without UDP and a machine that can be reached, without a relay", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, noUDP, cone, quality{})
		l.serve()
		server := "http://" + serverAddress + ":3000"
		a := l.start("a", "answer", "417-falcon-zebra", "--server", server, "--ui", "json")
		s := l.start("s", "call", "417-falcon-zebra", "--server", server, "--ui", "json")
		l.sees(a, `"type":"connected","verified":true`)
		l.say(s, "over TCP")
		l.sees(a, `"text":"over TCP"`)
	})

	t.Run("machines that have IPv6 alone", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, cone, cone, quality{})
		l.run("ip -n %s addr add 2001:db8::1/64 dev eth0 nodad", l.ns("s"))
		for side, n := range map[string]int{"ra": 11, "rb": 12} {
			l.run("ip -n %s addr flush dev wan", l.ns(side))
			l.run("ip -n %s addr add 2001:db8::%d/64 dev wan nodad", l.ns(side), n)
			l.run("ip -n %s link set lan down", l.ns(side))
		}
		s := l.start("s", "serve", "--listen", "[2001:db8::1]:3000", "--relay", "--relay-open")
		s.notes(t, `relaying at \[2001:db8::1\]:3478`)
		for _, flag := range []string{"", "--relay-only"} {
			args := slices.DeleteFunc([]string{"417-falcon-zebra", "--server", "http://[2001:db8::1]:3000", "--ui", "json", flag}, func(s string) bool { return s == "" })
			a := l.start("ra", append([]string{"call"}, args...)...)
			b := l.start("rb", append([]string{"answer"}, args...)...)
			found := l.sees(b, `"path":"(\w+)".*"type":"connected","verified":true`)
			if want := map[string]string{"": "host", "--relay-only": relayed}[flag]; found[1] != want {
				t.Errorf("the path is %s, want %s", found[1], want)
			}
			l.say(a, "over IPv6")
			l.sees(b, `"text":"over IPv6"`)
			_, _ = io.WriteString(a.in, `{"type":"leave"}`+"\n") // or else it is killed in the end
			<-a.ended
			<-b.ended
		}
	})

	for _, c := range []struct {
		name string
		nat  string
		quality
	}{
		{"two cones that are 100 ms apart", cone, quality{delay: 25 * time.Millisecond}},
		{"two symmetric NATs that are 100 ms from the relay", symmetric, quality{delay: 25 * time.Millisecond}},
		{"two cones that lose 5 % of all packets", cone, quality{delay: 5 * time.Millisecond, loss: 0.025}},
		{"two symmetric NATs that lose 5 % of all packets", symmetric, quality{delay: 5 * time.Millisecond, loss: 0.025}},
		{"two networks without UDP that lose 5 % of all packets", noUDP, quality{delay: 5 * time.Millisecond, loss: 0.025}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, c.nat, c.nat, c.quality)
			a, b := l.call()
			for _, p := range []*process{a, b} {
				found := l.sees(p, `"path":"(\w+)".*"took_ms":(\d+),"type":"connected","verified":true`)
				t.Logf("path %s after %s ms", found[1], found[2])
			}
			const messages = 100
			for i := range messages {
				l.say(a, fmt.Sprint("ping ", i))
				l.say(b, fmt.Sprint("pong ", i))
			}
			for p, text := range map[*process]string{a: "pong", b: "ping"} {
				l.sees(p, fmt.Sprintf(`"text":"%s %d"`, text, messages-1))
				next := 0
				for _, m := range regexp.MustCompile(`"text":"\w+ (\d+)"`).FindAllStringSubmatch(p.out.String(), -1) {
					if m[1] != strconv.Itoa(next) {
						t.Fatalf("%s %s came as number %d", text, m[1], next)
					}
					next++
				}
			}
		})
	}

	t.Run("the doctor tells the networks apart", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, cone, symmetric, quality{})
		server := "http://" + serverAddress + ":3000"
		s := l.serve("--relay", "--relay-open")
		examine := func(on, pattern string) {
			t.Helper()
			p := l.start(on, "doctor", "--server", server)
			if _, err := p.out.wait(regexp.MustCompile(pattern)); err != nil {
				t.Error(err)
			}
		}
		examine("a", `(?s)easy: others see 10\.1\.0\.2:\d+ as 203\.0\.113\.11:\d+ \(mapping port-independent, filtering address-and-port-dependent\).*Calls work with everyone: directly`)
		examine("b", `(?s)hard: 10\.2\.0\.2:\d+ gets another port for each destination .*Calls work with everyone: directly`)
		examine("s", `(?s)none: the server sees this machine's own address, 203\.0\.113\.1:`)
		l.nat("rb", noUDP)
		examine("b", `(?s)no   stun:.*yes  turn:203\.0\.113\.1:3478\?transport=tcp.*Calls work with everyone, through the relay: this network blocks UDP`)
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // it runs
		<-s.ended
		key := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(key, []byte("sesame"), 0o600); err != nil {
			t.Fatal(err)
		}
		s = l.serve("--relay", "--access-key-file", key)
		examine("a", `(?s)access key.*so doctor cannot test them`)
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // it runs
		<-s.ended
		l.serve()
		examine("b", `(?s)none known.*Calls work only within this network`)
	})
}

// BenchmarkNAT is how long it takes from the callee's start, as a process, until it is
// connected; with 'task bench:nat'.
func BenchmarkNAT(b *testing.B) {
	needsLab(b)
	for _, c := range []struct{ name, a, b string }{
		{"two cones", cone, cone},
		{"two symmetric NATs", symmetric, symmetric},
		{"two networks without UDP", noUDP, noUDP},
	} {
		b.Run(c.name, func(b *testing.B) {
			l := newLab(b, c.a, c.b, quality{})
			l.serve("--relay", "--relay-open")
			var took []float64
			for b.Loop() {
				caller := l.start("a", "call", "417-falcon-zebra", "--server", "http://"+serverAddress+":3000", "--ui", "json")
				l.sees(caller, `"type":"waiting"`)
				begun := time.Now()
				callee := l.start("b", "answer", "417-falcon-zebra", "--server", "http://"+serverAddress+":3000", "--ui", "json")
				l.sees(callee, `"type":"connected"`)
				took = append(took, float64(time.Since(begun).Microseconds())/1000)
				l.sees(caller, `"type":"connected"`)
				_, _ = io.WriteString(caller.in, `{"type":"leave"}`+"\n") // or else it is killed in the end
				<-caller.ended
				<-callee.ended
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2], "ms/median")
			b.ReportMetric(took[len(took)-1], "ms/longest")
		})
	}
}
