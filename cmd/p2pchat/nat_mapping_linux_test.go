package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// publicAddress is that of the router ra beside its own: miniupnpd maps no port of an address for documentation.
const publicAddress = "11.0.0.11"

// upnp runs miniupnpd on the router ra, which is symmetric for all that it does not map.
func (l *lab) upnp(settings string) {
	l.Helper()
	l.rules("ra", `
		flush ruleset
		table inet filter {
			chain miniupnpd {
			}
			chain prerouting_miniupnpd {
			}
			chain postrouting_miniupnpd {
			}
			chain before {
				type nat hook prerouting priority dstnat
				iifname "wan" jump prerouting_miniupnpd
			}
			chain after {
				type nat hook postrouting priority srcnat
				oifname "wan" masquerade fully-random
			}
			chain through {
				type filter hook forward priority filter; policy drop
				ct state established,related accept
				iifname "lan" accept
				jump miniupnpd
			}
			chain here {
				type filter hook input priority filter; policy drop
				iifname { "lo", "lan" } accept
				ct state established,related accept
			}
		}
	`)
	l.run("ip -n %s addr add %s/32 dev wan", l.ns("ra"), publicAddress)
	l.run("ip -n %s route add %s/32 dev wan", l.ns("rb"), publicAddress)
	l.run("ip -n %s route add %s/32 dev eth0", l.ns("s"), publicAddress)
	dir := l.TempDir()
	conf := filepath.Join(dir, "miniupnpd.conf")
	settings += "\next_ifname=wan\next_ip=" + publicAddress + "\nlistening_ip=lan\nhttp_port=5000\nsecure_mode=yes\nuuid=00000000-0000-0000-0000-000000000001\nallow 1024-65535 10.1.0.0/24 1024-65535\n"
	if err := os.WriteFile(conf, []byte(settings), 0o600); err != nil {
		l.Fatal(err)
	}
	daemon := exec.Command("ip", "netns", "exec", l.ns("ra"), "miniupnpd", "-d", "-f", conf, "-P", filepath.Join(dir, "pid")) //nolint:gosec // the lab's own
	launchCommand(l, daemon, dir, os.Environ()).notes(l, "istening")
}

// mapped returns the ports that the router ra has mapped, as nft lists them.
func (l *lab) mapped() []string {
	l.Helper()
	out, err := exec.Command("ip", "netns", "exec", l.ns("ra"), "nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd").Output() //nolint:gosec // the lab's own
	if err != nil {
		l.Fatal(err)
	}
	return regexp.MustCompile(`dport \d+ .*dnat`).FindAllString(string(out), -1)
}

// Two symmetric NATs connect directly if the gateway of one maps a port, in either role, and the port is closed when
// the program ends.
func TestNATPortMapping(t *testing.T) {
	needsLab(t)
	t.Parallel()
	if _, err := exec.LookPath("miniupnpd"); err != nil {
		t.Skip("NOT RUN: Debian's package miniupnpd is missing")
	}
	server := "http://" + serverAddress + ":3000"
	for _, c := range []struct{ name, settings, protocol string }{
		{"PCP", "enable_natpmp=yes\nenable_upnp=no", "pcp"},
		{"UPnP", "enable_natpmp=no\nenable_upnp=yes", "upnp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, symmetric, symmetric, quality{})
			l.upnp(c.settings)
			l.serve("--relay", "--relay-open")
			meet := func(code, caller, callee string, args ...string) (first, second *process, path string) {
				t.Helper()
				args = append([]string{code, "--server", server, "--ui", "json", "--log-level", "debug"}, args...)
				first = l.start(caller, append([]string{"call"}, args...)...)
				l.sees(first, `"type":"waiting"`)
				second = l.start(callee, append([]string{"answer"}, args...)...)
				for _, p := range []*process{first, second} {
					found := l.sees(p, `"path":"(\w+)".*"took_ms":(\d+),"type":"connected","verified":true`)
					path = found[1]
					t.Logf("path %s after %s ms", path, found[2])
				}
				l.say(first, "ping")
				l.sees(second, `"text":"ping"`)
				l.say(second, "pong")
				l.sees(first, `"text":"pong"`)
				return first, second, path
			}
			closed := func(after string) {
				t.Helper()
				if left := l.mapped(); len(left) > 0 {
					t.Errorf("after %s, the gateway still has %q", after, left)
				}
			}

			a, b, path := meet("417-falcon-zebra", "a", "b")
			if !strings.Contains(direct, path) {
				t.Errorf("the caller behind the gateway has the path %s", path)
			}
			if len(l.mapped()) != 1 {
				t.Errorf("the gateway has mapped %q", l.mapped())
			}
			a.notes(t, "has mapped a port.*protocol=\"?"+c.protocol)
			_ = a.cmd.Process.Signal(os.Interrupt) // it runs
			a.finish(t)
			b.finish(t)
			closed("an interrupt")

			b, a, path = meet("418-falcon-zebra", "b", "a")
			if !strings.Contains(direct, path) {
				t.Errorf("the callee behind the gateway has the path %s", path)
			}
			_, _ = io.WriteString(b.in, `{"type":"leave"}`+"\n") // it ends
			a.finish(t)
			b.finish(t)
			closed("the end of a call")

			a, b, path = meet("419-falcon-zebra", "a", "b", "--no-port-mapping")
			if path != relayed || len(l.mapped()) > 0 {
				t.Errorf("with --no-port-mapping, the path is %s, and the gateway has mapped %q", path, l.mapped())
			}
			_ = a.cmd.Process.Signal(syscall.SIGTERM) // it runs
			a.finish(t)
			b.finish(t)

			p := l.start("a", "doctor", "--server", server)
			if _, err := p.out.wait(regexp.MustCompile(`Port mapping\n +yes: the gateway opens a port by ` + c.name + `, such as ` + regexp.QuoteMeta(publicAddress) + `:\d+`)); err != nil {
				t.Error(err)
			}
			p.finish(t)
			p = l.start("b", "doctor", "--server", server)
			if _, err := p.out.wait(regexp.MustCompile(`Port mapping\n +no: the gateway offers neither PCP nor NAT-PMP nor UPnP`)); err != nil {
				t.Error(err)
			}
			closed("doctor")
		})
	}
}
