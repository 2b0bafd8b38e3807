package main

import (
	"net"
	"strings"
	"sync"
	"testing"

	"p2pchat/cmd/p2pchat/internal/proxy/proxytest"
)

// opened notes to which ports a proxy has connected.
type opened struct {
	mu    sync.Mutex
	ports map[string]bool
}

func (o *opened) note(address string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, port, _ := net.SplitHostPort(address)
	if o.ports == nil {
		o.ports = map[string]bool{}
	}
	o.ports[port] = true
}

func (o *opened) has(port string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ports[port]
}

// Two machines whose name server does not know the server talk through proxies that do, and all of it goes that way:
// requests, and TURN over TCP.
func TestProxy(t *testing.T) {
	t.Parallel()
	relay, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(serving(t, "--public-url", "http://"+proxytest.Name, "--relay", "--relay-open", "--relay-allow-private", "--relay-listen", relay), "http://"))
	_, relayPort, _ := net.SplitHostPort(relay)
	server := "http://" + net.JoinHostPort(proxytest.Name, port)
	for name, start := range map[string]func(o *opened) (address string, env []string){
		"--proxy socks5h": func(o *opened) (string, []string) {
			return "socks5h://ann:secret@" + proxytest.SOCKS{User: "ann:secret", Opened: o.note}.Start(t), nil
		},
		"--proxy http": func(o *opened) (string, []string) {
			return "http://" + proxytest.HTTP{Opened: o.note}.Start(t), nil
		},
		"P2PCHAT_PROXY": func(o *opened) (string, []string) {
			return "", []string{"P2PCHAT_PROXY=socks5://" + proxytest.SOCKS{Opened: o.note}.Start(t)}
		},
		"ALL_PROXY": func(o *opened) (string, []string) {
			return "", []string{"ALL_PROXY=http://ann:secret@" + proxytest.HTTP{User: "ann:secret", Opened: o.note}.Start(t)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ports opened
			address, env := start(&ports)
			code := map[string]string{"--proxy socks5h": "417", "--proxy http": "418", "P2PCHAT_PROXY": "419", "ALL_PROXY": "420"}[name] + "-falcon-zebra"
			args := []string{code, "--server", server, "--ice-server", "any", "--relay-only", "--ui", "json"}
			if address != "" {
				args = append(args, "--proxy", address)
			}
			ann := launchWith(t, t.TempDir(), env, append([]string{"call"}, args...)...)
			ann.prints(t, `"type":"waiting"`)
			ben := launchWith(t, t.TempDir(), env, append([]string{"answer"}, args...)...)
			ben.prints(t, `"path":"relay".*"type":"connected"`)
			ann.prints(t, `"path":"relay".*"type":"connected"`)
			ann.say(t, `{"type":"message","text":"hello"}`)
			ben.prints(t, `"text":"hello"`)
			ann.say(t, `{"type":"leave"}`)
			ann.finishes(t, 0)
			ben.finishes(t, 0)
			if !ports.has(port) {
				t.Error("the proxy never connected to the server")
			}
			if ports.has(relayPort) == (name == "ALL_PROXY") { // which is not for this machine's own addresses
				t.Errorf("the proxy connected to the relay: %v", ports.has(relayPort))
			}
		})
	}
}

// A proxy that fails is named with what it says and what to do; the server, which no one has reached, is not accused.
func TestProxyFails(t *testing.T) {
	t.Parallel()
	dead, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	guarded := proxytest.HTTP{User: "ann:secret"}.Start(t)
	strict := proxytest.SOCKS{Refuse: true}.Start(t)
	for _, c := range []struct {
		env, proxy, says, hints string
		exit                    int
	}{
		{"", "http://" + guarded, `the proxy http://` + guarded + ` \(--proxy\) asks for a name and a password \(407\)`, `http://NAME:PASSWORD@HOST:PORT; to go without it: --proxy none`, exitServer},
		{"", "http://ann:wrong@" + guarded, `the proxy http://` + guarded + ` \(--proxy\) refuses that name and password \(407\)`, `--proxy none`, exitServer},
		{"", "socks5h://" + strict, `the proxy socks5h://` + strict + ` \(--proxy\) refuses a connection to chat\.p2pchat\.test:80`, `--proxy none`, exitServer},
		{"ALL_PROXY=socks5://" + dead, "", `the proxy socks5://` + dead + ` \(ALL_PROXY\) cannot be reached: connection refused`, `check the proxy's address, or go without it: --proxy none`, exitServer},
		{"", "gopher://ann:wrong@" + dead, `--proxy: gopher:// is no kind of proxy`, `socks5://127\.0\.0\.1:9050`, exitUsage},
		{"ALL_PROXY=gopher://" + dead, "", `ALL_PROXY: gopher:// is no kind of proxy`, `socks5://127\.0\.0\.1:9050`, exitUsage},
		{"P2PCHAT_PROXY=", "", `P2PCHAT_PROXY is empty`, `unset it`, exitUsage},
	} {
		args := []string{"call", "--server", "http://" + proxytest.Name, "--ui", "line"}
		if c.proxy != "" {
			args = append(args, "--proxy", c.proxy)
		}
		p := launchWith(t, t.TempDir(), strings.Fields(c.env), args...)
		p.notes(t, `error: `+c.says)
		p.notes(t, `hint: .*`+c.hints)
		p.finishes(t, c.exit)
		if text := p.err.String(); strings.Contains(text, "wrong") {
			t.Errorf("the password is in %q", text)
		}
	}
}
