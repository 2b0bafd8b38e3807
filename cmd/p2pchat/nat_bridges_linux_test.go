package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// bridgeCounts are how many private bridges each machine has. With unknownNames, no list of
// prefixes and nothing that Linux tells has them for bridges.
var bridgeCounts = []struct {
	n            int
	unknownNames bool
}{{0, false}, {1, false}, {5, false}, {8, false}, {15, false}, {1, true}, {5, true}, {8, true}, {15, true}}

// bridgedNetworks are the networks of machines that run containers.
var bridgedNetworks = []struct{ name, nat, path string }{
	{"one network", "", "host"},
	{"two cones", cone, direct},
	{"two symmetric NATs", symmetric, relayed},
}

// An inner is an interface of containers or virtual machines, as their programs make them.
type inner struct {
	name   string
	bridge bool // or else one end of a veth pair
}

// innerAt returns the kind of interface number i.
func innerAt(i int, unknownName bool) inner {
	if unknownName {
		return inner{fmt.Sprint("work", i), false}
	}
	kinds := []inner{{"docker0", true}, {fmt.Sprintf("br-%08x", 0xfeed0000+i), true}, {"virbr0", true}, {fmt.Sprintf("veth%x", 0xbeef00+i), false}, {"lxdfoo0", true}, {"work0", false}, {"test0", false}}
	k := kinds[i%len(kinds)]
	if i >= len(kinds) {
		k.name += strconv.Itoa(i) // at most 15 characters
	}
	return k
}

// bridges gives a machine n private networks, with the same addresses on each machine, as
// Docker does. What leaves them is masqueraded.
func (l *lab) bridges(side, device string, n int, unknownNames bool) {
	l.Helper()
	ns := l.ns(side)
	for i := range n {
		k := innerAt(i, unknownNames)
		leg := fmt.Sprint("leg", i)
		if k.bridge {
			l.run("ip -n %s link add %s type bridge", ns, k.name)
			l.run("ip -n %s link add %s type veth peer name end%d", ns, leg, i)
			l.run("ip -n %s link set %s master %s up", ns, leg, k.name)
		} else {
			l.run("ip -n %s link add %s type veth peer name end%d", ns, k.name, i)
		}
		l.run("ip -n %s link set end%d up", ns, i)
		l.run("ip -n %s addr add 172.%d.0.1/16 dev %s", ns, 17+i, k.name)
		l.run("ip -n %s addr add fd00:0:0:%x::1/64 dev %s nodad", ns, 17+i, k.name)
		l.run("ip -n %s link set %s up", ns, k.name)
	}
	l.rules(side, `
		table ip containers {
			chain after {
				type nat hook postrouting priority srcnat
				oifname "`+device+`" ip saddr 172.16.0.0/12 masquerade
			}
		}
	`)
}

// newBridgedLab returns a lab whose machines have n bridges each, and their names.
func newBridgedLab(t testing.TB, nat string, n int, unknownNames bool) (l *lab, a, b string) {
	t.Helper()
	device := "eth0"
	if a, b = "a", "b"; nat == "" {
		a, b, nat, device = "ra", "rb", cone, "wan"
	}
	l = newLab(t, nat, nat, quality{})
	for _, side := range []string{a, b} {
		if device == "wan" {
			l.run("ip netns exec %s nft flush ruleset", l.ns(side))
			l.run("ip -n %s route add default via %s", l.ns(side), serverAddress)
		}
		l.bridges(side, device, n, unknownNames)
	}
	l.serve("--relay", "--relay-open", "--metrics-listen", serverAddress+":9100")
	return l, a, b
}

var allocationsMade = regexp.MustCompile(`(?m)^p2pchat_relay_allocations_total\{result="made"\} (\d+)`)

// allocations returns how many the relay has made.
func (l *lab) allocations() int {
	l.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (c net.Conn, err error) {
		err = inNamespace(l.ns("s"), func() (err error) {
			c, err = new(net.Dialer).DialContext(ctx, network, address)
			return err
		})
		return c, err
	}}}
	res, err := client.Get("http://" + serverAddress + ":9100/metrics")
	if err != nil {
		l.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	found := allocationsMade.FindSubmatch(body)
	if err != nil || found == nil {
		l.Fatalf("the metrics do not say how many allocations were made: %v", err)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		l.Fatal(err)
	}
	return n
}

// A bridgedCall is what one call between two machines with bridges took.
type bridgedCall struct {
	took        time.Duration // from the callee's start, as a process, until it is connected
	path        string        // "" if they did not connect
	allocations int           // that both sides made at the relay
	dropped     bool          // candidates were left out
}

func (l *lab) bridgedCall(from, to string) (c bridgedCall) {
	l.Helper()
	before := l.allocations()
	l.calls++
	args := []string{fmt.Sprintf("%d-falcon-zebra", 100+l.calls), "--server", "http://" + serverAddress + ":3000", "--ui", "json", "--log-level", "info"}
	caller := l.start(from, append([]string{"call"}, args...)...)
	l.sees(caller, `"type":"waiting"`)
	begun := time.Now()
	callee := l.start(to, append([]string{"answer"}, args...)...)
	found, err := callee.out.wait(regexp.MustCompile(`"path":"(\w+)".*"type":"connected"`))
	c.took = time.Since(begun)
	if err == nil {
		c.path = found[1]
		l.sees(caller, `"type":"connected"`)
		l.say(caller, "ping")
		l.sees(callee, `"text":"ping"`)
	}
	_, _ = io.WriteString(caller.in, `{"type":"leave"}`+"\n") // or else it is killed in the end
	<-caller.ended
	<-callee.ended
	c.allocations = l.allocations() - before
	for _, p := range []*process{caller, callee} {
		c.dropped = c.dropped || strings.Contains(p.err.String(), "left out candidates")
	}
	return c
}

func bridgedName(network string, n int, unknownNames bool) string {
	if unknownNames {
		return fmt.Sprintf("%s, %d with unknown names", network, n)
	}
	return fmt.Sprintf("%s, %d bridges", network, n)
}

// Machines with private bridges, the same on both sides, connect as those without: in up to three times as long, and 300 ms. They took five
// times as long, and more, while each address of a bridge was tried.
func TestNATBridges(t *testing.T) {
	needsLab(t)
	for _, network := range bridgedNetworks {
		var plain time.Duration // that a call takes without bridges; they are counted from 0
		for _, c := range bridgeCounts {
			t.Run(bridgedName(network.name, c.n, c.unknownNames), func(t *testing.T) {
				l, a, b := newBridgedLab(t, network.nat, c.n, c.unknownNames)
				took := time.Hour
				for range 3 { // a busy machine may take its time once
					call := l.bridgedCall(a, b)
					took = min(took, call.took)
					if call.path == "" || !strings.Contains(network.path, call.path) {
						t.Errorf("the path is %s, want %s", call.path, network.path)
					}
					if call.allocations > 8 {
						t.Errorf("a call made %d allocations at the relay, more than 4 a side", call.allocations)
					}
					if call.dropped {
						t.Error("candidates were left out")
					}
				}
				switch {
				case c.n == 0:
					plain = took
				case plain > 0 && took > 3*plain+300*time.Millisecond: // 0: with -run, perhaps
					t.Errorf("it took %v, and without bridges %v", took, plain)
				}
			})
		}
	}
}

// BenchmarkNATBridges is how long it takes from the callee's start, as a process, until it is
// connected, and what that costs the relay; with 'task bench:nat'.
func BenchmarkNATBridges(b *testing.B) {
	needsLab(b)
	for _, network := range bridgedNetworks {
		for _, c := range bridgeCounts {
			b.Run(bridgedName(network.name, c.n, c.unknownNames), func(b *testing.B) {
				l, from, to := newBridgedLab(b, network.nat, c.n, c.unknownNames)
				var took []float64
				allocations, dropped, failed, elsewhere := 0, 0.0, 0.0, 0.0
				for b.Loop() {
					call := l.bridgedCall(from, to)
					took = append(took, float64(call.took.Microseconds())/1000)
					allocations = max(allocations, call.allocations)
					if call.dropped {
						dropped++
					}
					switch {
					case call.path == "":
						failed++
					case !strings.Contains(network.path, call.path):
						elsewhere++
					}
				}
				slices.Sort(took)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(took[len(took)/2], "ms/median")
				b.ReportMetric(took[len(took)-1], "ms/longest")
				b.ReportMetric(float64(allocations), "allocations/most")
				b.ReportMetric(dropped, "candidates-left-out")
				b.ReportMetric(elsewhere, "by-another-path")
				b.ReportMetric(failed, "failures")
			})
		}
	}
}
