package main

import (
	"errors"
	"slices"

	"p2pchat/signaling"
)

// A verdict says which calls work.
type verdict struct {
	Code string `json:"code"` // short and stable, for programs
	Text string `json:"text"`

	err error // with which doctor ends
}

var errConfined = errors.New("calls work only with some machines")

const withRelay = "for the others use a server with a relay: p2pchat serve --relay, on a machine that both sides reach"

const (
	byOwnServer = "There is no server here yet. Calls on this machine work: p2pchat call starts a server of its own and runs it until you leave. "
	byNoServer  = "p2pchat call --lan always, then p2pchat answer CODE --lan always on the other machine"
	withServer  = "name a server that both sides reach: --server URL; p2pchat serve --listen :3000 starts one."
)

// verdicts is the table of what doctor concludes. The first row that holds counts; the last one always does.
var verdicts = []struct {
	code  string
	holds func(*diagnosis) bool
	text  string
	err   func(*diagnosis) error // nil if calls work
}{
	{"own-server", func(d *diagnosis) bool { return d.Server.own && d.meetsOnLAN() },
		byOwnServer + "Calls within this network work, too: " + byNoServer + ". To call a machine elsewhere, " + withServer, nil},
	{"own-server", func(d *diagnosis) bool { return d.Server.own }, byOwnServer + "To call another machine, " + withServer, nil},
	{"no-proxy", func(d *diagnosis) bool { return isProxyFailure(d.Server.err) }, "Calls do not work: the proxy fails. To go without it: --proxy none.", serverError},
	{"no-server", func(d *diagnosis) bool { return d.failed(signaling.ErrForeign) }, "Calls do not work: that is not a p2pchat server.", serverError},
	{"no-server", func(d *diagnosis) bool { return !d.Server.Reached && badCertificate(d.Server.err) }, "Calls do not work: this machine does not trust the server's certificate.", serverError},
	{"no-server", func(d *diagnosis) bool { return d.failed(signaling.ErrUnreachable) && d.meetsOnLAN() },
		"The server cannot be reached, so calls work only within this network: " + byNoServer + ".", serverError},
	{"no-server", func(d *diagnosis) bool { return d.failed(signaling.ErrUnreachable) }, "Calls do not work: the server cannot be reached.", serverError},
	{"no-server", func(d *diagnosis) bool { return !d.Server.Reached }, "Calls do not work: the server refuses.", serverError},
	{"this-machine", func(d *diagnosis) bool { return onLoopback(d.Server.URL) },
		"The server is on this machine, so calls on this machine work. To test the network, name another server: --server URL.", nil},
	{"anybody", func(d *diagnosis) bool { return d.answers("turn") && d.udp() },
		"Calls work with everyone: directly if the networks allow it, and otherwise through the relay.", nil},
	{"relayed", func(d *diagnosis) bool { return d.answers("turn") },
		"Calls work with everyone, through the relay: this network blocks UDP.", nil},
	{"unknown", func(d *diagnosis) bool { return d.Server.err != nil && len(d.ICE) == 0 },
		"The server keeps its list of STUN and TURN servers from callers without its access key, so doctor cannot test them. Give the key with --access-key-file. Answering a call needs no key.", serverError},
	{"no-udp", func(d *diagnosis) bool { return !d.udp() && d.tested("stun") },
		"Calls work only within this network: it blocks UDP, and no relay can be reached; " + withRelay + ".", confined},
	{"most", func(d *diagnosis) bool { return d.NAT.Kind == "none" },
		"Calls work with most people: this machine has a public address. Without a relay they fail if the other side's network blocks UDP.", nil},
	{"most", func(d *diagnosis) bool { return d.Mapping.Protocol != "" },
		"Calls work with most people: the gateway opens a port for each call. Without a relay they fail if the other side's network blocks UDP.", nil},
	{"most", func(d *diagnosis) bool { return d.NAT.Kind == "easy" },
		"Calls work with most people. They fail if the other side's NAT uses another port for each destination; " + withRelay + ".", nil},
	{"some", func(d *diagnosis) bool { return d.NAT.Kind == "hard" },
		"Calls fail with many people: this network's NAT uses another port for each destination; " + withRelay + ".", confined},
	{"most", (*diagnosis).udp,
		"Calls work with most people if this network's NAT is of the common kind; " + withRelay + ".", nil},
	{"same-network", func(*diagnosis) bool { return true },
		"Calls work only within this network: no STUN or TURN server is known; p2pchat serve --relay is both.", confined},
}

// judge sets the verdict.
func (d *diagnosis) judge() {
	for _, row := range verdicts {
		if row.holds(d) {
			d.Verdict = verdict{Code: row.code, Text: row.text}
			if row.err != nil {
				d.Verdict.err = row.err(d)
			}
			return
		}
	}
}

func serverError(d *diagnosis) error { return withHint(d.Server.URL, d.Server.err) }

func confined(*diagnosis) error { return errConfined }

// failed reports whether the server could not be reached because of target.
func (d *diagnosis) failed(target error) bool {
	return !d.Server.Reached && errors.Is(d.Server.err, target)
}

// meetsOnLAN reports whether two machines of this network can meet without a server. A proxy turns that off.
func (d *diagnosis) meetsOnLAN() bool {
	return d.Server.Proxy == "" && slices.ContainsFunc(d.Ways, func(w way) bool { return w.Name == "lan" && w.Works })
}

// tested reports whether a server of the kind, stun or turn, was tested.
func (d *diagnosis) tested(kind string) bool {
	return slices.ContainsFunc(d.ICE, func(f iceFinding) bool { return f.Kind == kind })
}

// answers reports whether a server of the kind answered.
func (d *diagnosis) answers(kind string) bool {
	return slices.ContainsFunc(d.ICE, func(f iceFinding) bool { return f.Kind == kind && f.Error == "" })
}

// udp reports whether UDP leaves this network: a STUN or TURN server has seen this machine's address.
func (d *diagnosis) udp() bool {
	return d.NAT.Mapped != "" ||
		slices.ContainsFunc(d.ICE, func(f iceFinding) bool { return f.Kind == "stun" && f.Over == "udp" && f.Error == "" }) ||
		slices.ContainsFunc(d.Candidates, func(c candidateFinding) bool { return c.Type == "srflx" && c.Protocol == "udp" })
}
