package main

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"p2pchat/signaling"
)

// Without a server, the verdict names the calls that work: on this machine, and within its network if it has one and no proxy hides it.
func TestVerdictWithoutAServer(t *testing.T) {
	t.Parallel()
	const lan = "p2pchat call --lan always"
	for name, c := range map[string]struct {
		own, network bool
		proxy        string
		err          error // signaling.ErrUnreachable if nil
		code, begins string
		says         bool // that calls within this network work
	}{
		"none named":                       {own: true, network: true, code: "own-server", begins: "There is no server here yet. Calls on this machine work", says: true},
		"none named, and no network":       {own: true, code: "own-server", begins: "There is no server here yet. Calls on this machine work"},
		"one that is down":                 {network: true, code: "no-server", begins: "The server cannot be reached, so calls work only within this network", says: true},
		"one that is down, and no network": {code: "no-server", begins: "Calls do not work: the server cannot be reached."},
		"one that is down, behind a proxy": {network: true, proxy: "http://proxy:1", code: "no-server", begins: "Calls do not work: the server cannot be reached."},
		"one whose certificate is refused": {network: true, err: fmt.Errorf("%w: %w", signaling.ErrUnreachable, &tls.CertificateVerificationError{}), code: "no-server", begins: "Calls do not work: this machine does not trust the server's certificate."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := diagnosis{Server: serverFinding{URL: "http://chat.example:1", own: c.own, err: cmp.Or(c.err, signaling.ErrUnreachable), Proxy: c.proxy}}
			if c.network {
				d.Candidates = []candidateFinding{{Type: "host", Protocol: "udp", Address: "192.168.7.1"}}
			}
			d.Ways = d.ways()
			d.judge()
			if v := d.Verdict; v.Code != c.code || !strings.HasPrefix(v.Text, c.begins) || strings.Contains(v.Text, lan) != c.says || (v.err == nil) != c.own {
				t.Errorf("%s: %q, and the error %v", v.Code, v.Text, v.err)
			}
		})
	}
}
