package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"p2pchat/chat/screen"
	"p2pchat/peer"
	"p2pchat/peer/survey"
	"p2pchat/signaling"
)

// gathering is how long doctor waits for candidates.
const gathering = 3 * time.Second

type doctorOptions struct {
	server     string
	iceServers []string
	keyFile    string
	json       bool
	log        logOptions
}

func doctorCommand(std stdio) *cobra.Command {
	var o doctorOptions
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find out what this machine and its network allow",
		Long: `Find out what this machine and its network allow: whether the server is there,
which STUN and TURN servers can be reached over what, how the NAT in between
behaves, and which addresses a call would offer. The last lines say what follows.

The exit code is 0 if a call can be expected to work with anybody, or with most; 5 if
the server cannot be reached, or refuses to tell; 6 if calls work with machines of the
same network only, or hardly with others.`,
		Example: `  p2pchat doctor --server https://chat.example.org
  p2pchat doctor --ice-server stun:stun.example.org:3478 --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return doctor(c.Context(), o, std) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.server, "server", defaultServer, "the signaling server")
	f.StringArrayVar(&o.iceServers, "ice-server", nil, "STUN or TURN server to ask instead of the server's own (repeatable)")
	f.StringVar(&o.keyFile, "access-key-file", "", "file with the server's access key, where it wants one (or P2PCHAT_ACCESS_KEY)")
	f.BoolVar(&o.json, "json", false, "one JSON object instead of text")
	o.log.register(f)
	return c
}

// A diagnosis is what doctor found out: its JSON.
type diagnosis struct {
	Server     serverFinding      `json:"server"`
	ICE        []iceFinding       `json:"ice_servers"`
	NAT        natFinding         `json:"nat"`
	Candidates []candidateFinding `json:"candidates"`
	IPv6       bool               `json:"ipv6"` // an address that others can reach
	Verdict    verdict            `json:"verdict"`
}

type serverFinding struct {
	URL     string  `json:"url"`
	Reached bool    `json:"reached"`
	RTT     float64 `json:"rtt_ms"`
	Clock   float64 `json:"clock_s"` // how much it is ahead of this machine's
	Error   string  `json:"error,omitempty"`

	err error
}

type iceFinding struct {
	URL     string  `json:"url"`
	Kind    string  `json:"kind"` // stun or turn
	Over    string  `json:"over"` // udp, tcp or tls
	RTT     float64 `json:"rtt_ms"`
	Address string  `json:"address,omitempty"`
	Error   string  `json:"error,omitempty"`
}

type natFinding struct {
	Kind      string           `json:"kind"` // none, easy, hard or unknown
	Mapping   survey.Behaviour `json:"mapping"`
	Filtering survey.Behaviour `json:"filtering"`
	Local     string           `json:"local,omitempty"`
	Mapped    string           `json:"mapped,omitempty"`
}

type candidateFinding struct {
	Type     string `json:"type"`
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	Port     uint16 `json:"port"`
}

// doctor looks at everything, and tells.
func doctor(ctx context.Context, o doctorOptions, std stdio) error {
	logger, err := o.log.logger(std.err)
	if err != nil {
		return err
	}
	servers, err := iceServers(o.iceServers)
	if err != nil {
		return err
	}
	key, err := accessKey(o.keyFile)
	if err != nil {
		return err
	}
	if o.server, err = serverURL(o.server); err != nil {
		return err
	}
	client, err := signaling.NewClient(o.server, signaling.Config{Key: key, Patience: 3 * time.Second})
	if err != nil {
		return &usageError{err: err}
	}
	defer client.CloseIdle()
	d := examine(ctx, o.server, client, servers, logger)
	if ctx.Err() != nil {
		return errInterrupted
	}
	if o.json {
		e := json.NewEncoder(std.out)
		e.SetIndent("", "  ")
		err = e.Encode(d)
	} else {
		err = d.print(std.out)
	}
	return errors.Join(err, d.Verdict.err)
}

func examine(ctx context.Context, server string, client *signaling.Client, servers []signaling.ICEServer, log *slog.Logger) (d diagnosis) {
	d = diagnosis{Server: serverFinding{URL: server}, ICE: []iceFinding{}, Candidates: []candidateFinding{}}
	pong, err := client.Ping(ctx)
	d.Server.Reached, d.Server.RTT, d.Server.Clock = err == nil, milliseconds(pong.RTT), pong.Clock.Seconds()
	d.Server.err = err
	if err == nil && servers == nil {
		servers, err = client.ICEServers(ctx, signaling.Ticket{}, 0)
	}
	if err != nil {
		d.Server.Error = flatten(err)
	}
	if d.Server.Reached {
		d.Server.err = err // it does not say which servers there are
	}
	for _, r := range survey.Probe(ctx, servers) {
		d.ICE = append(d.ICE, finding(r))
	}
	d.NAT.found(survey.Behave(ctx, servers))
	gather, cancel := context.WithTimeout(ctx, gathering)
	defer cancel()
	list, err := peer.Gather(gather, servers, peer.Config{Log: log})
	if err != nil {
		log.Warn("no candidates", "error", err)
	}
	for _, a := range list {
		d.Candidates = append(d.Candidates, candidateFinding(a))
		ip, err := netip.ParseAddr(a.Address)
		d.IPv6 = d.IPv6 || err == nil && ip.Is6() && ip.IsGlobalUnicast() && !ip.IsPrivate()
	}
	d.judge()
	return d
}

func finding(r survey.Reach) iceFinding {
	f := iceFinding{URL: r.URL, Kind: "stun", Over: r.Over, RTT: milliseconds(r.RTT)}
	if r.TURN {
		f.Kind = "turn"
	}
	if r.Err != nil {
		f.Error = flatten(r.Err)
	} else {
		f.Address = r.Address.String()
	}
	return f
}

// found takes what the survey says, in the words of people.
func (f *natFinding) found(n survey.NAT, err error) {
	f.Kind, f.Mapping, f.Filtering = "unknown", n.Mapping, n.Filtering
	if err != nil {
		return
	}
	f.Local, f.Mapped = n.Local.String(), n.Mapped.String()
	switch n.Mapping {
	case survey.EndpointIndependent, survey.PortIndependent:
		f.Kind = "easy"
	case survey.AddressDependent, survey.AddressAndPortDependent:
		f.Kind = "hard"
	}
	if n.None() {
		f.Kind = "none"
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// A verdict is what follows.
type verdict struct {
	Code string `json:"code"` // short and stable, for programs
	Text string `json:"text"`

	err error // that doctor ends with
}

var errConfined = errors.New("calls work only with some machines")

// judge says what calls can be expected to do.
func (d *diagnosis) judge() {
	works := func(kind string, over ...string) bool {
		return slices.ContainsFunc(d.ICE, func(f iceFinding) bool {
			return f.Kind == kind && f.Error == "" && (over == nil || slices.Contains(over, f.Over))
		})
	}
	// A TURN server may have seen this machine, too.
	udp := works("stun", "udp") || d.NAT.Mapped != "" || slices.ContainsFunc(d.Candidates, func(c candidateFinding) bool { return c.Type == "srflx" && c.Protocol == "udp" })
	asked := func(kind string) bool {
		return slices.ContainsFunc(d.ICE, func(f iceFinding) bool { return f.Kind == kind })
	}
	const relay = "a relay would help: p2pchat serve --relay on a machine that both sides reach"
	switch {
	case !d.Server.Reached:
		d.Verdict = verdict{"no-server", "Nobody can call: the signaling server does not answer.", d.Server.err}
	case onLoopback(d.Server.URL):
		d.Verdict = verdict{"this-machine", "The server is on this machine. Calls between programs here work; name another one with --server to learn about the network.", nil}
	case works("turn") && udp:
		d.Verdict = verdict{"anybody", "Calls work with anybody: directly where the networks allow it, and otherwise through the relay.", nil}
	case works("turn"):
		d.Verdict = verdict{"relayed", "Calls work with anybody, through the relay: this network lets no other packets (UDP) out.", nil}
	case d.Server.err != nil && len(d.ICE) == 0:
		d.Verdict = verdict{"unknown", "The server does not tell its STUN and TURN servers, so there is no telling what this network allows. (The guests of a call are told, and whoever has its access key.)", d.Server.err}
	case !udp && asked("stun"):
		d.Verdict = verdict{"no-udp", "Calls work within this network only: it lets no packets (UDP) out, and there is no relay that it lets reach; " + relay + ".", errConfined}
	case d.NAT.Kind == "none":
		d.Verdict = verdict{"most", "Calls work with most people directly: nothing stands between this machine and the network. Without a relay they fail where the other side's network lets no UDP out.", nil}
	case d.NAT.Kind == "easy":
		d.Verdict = verdict{"most", "Calls work with most people directly. They fail with somebody whose network gives each destination another address; " + relay + ".", nil}
	case d.NAT.Kind == "hard":
		d.Verdict = verdict{"some", "Calls fail with many people: this network gives each destination another address; " + relay + ".", errConfined}
	case udp:
		d.Verdict = verdict{"most", "Calls work with most people, if this network's NAT is of the common kind; " + relay + ".", nil}
	default:
		d.Verdict = verdict{"same-network", "Calls work within this network; to leave it both sides need STUN at least, and some a relay: p2pchat serve --relay gives both.", errConfined}
	}
}

// print tells a person.
func (d *diagnosis) print(out io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(screen.Clean(fmt.Sprintf(format, args...)) + "\n") }
	line("Server %s", d.Server.URL)
	if d.Server.Reached {
		line("  answers in %s", inMilliseconds(d.Server.RTT))
		if skew := time.Duration(d.Server.Clock * float64(time.Second)); skew.Abs() > 5*time.Second {
			line("  its clock and this machine's differ by %v: certificates may be refused", skew.Abs())
		}
	}
	if d.Server.Error != "" {
		line("  %s", d.Server.Error)
	}
	line("STUN and TURN servers")
	if len(d.ICE) == 0 {
		line("  none is known")
	}
	for _, f := range d.ICE {
		if f.Error != "" {
			line("  no   %s: %s", f.URL, f.Error)
			continue
		}
		says := map[string]string{"stun": "sees this machine as ", "turn": "relays at "}[f.Kind]
		line("  yes  %s: %s%s, in %s", f.URL, says, f.Address, inMilliseconds(f.RTT))
	}
	line("NAT")
	line("  %s", d.NAT)
	line("Addresses that a call would offer")
	if len(d.Candidates) == 0 {
		line("  none")
	}
	for _, c := range d.Candidates {
		line("  %-5s %s %s", c.Type, c.Protocol, net.JoinHostPort(c.Address, strconv.Itoa(int(c.Port))))
	}
	line("  IPv6: %s", map[bool]string{true: "yes", false: "no address that others could reach"}[d.IPv6])
	line("")
	line("%s", d.Verdict.Text)
	_, err := io.WriteString(out, b.String())
	return err
}

func inMilliseconds(ms float64) string { return fmt.Sprintf("%.3g ms", ms) }

func (f natFinding) String() string {
	switch f.Kind {
	case "none":
		return "none: " + f.Local + " is what the server sees"
	case "easy":
		return fmt.Sprintf("an easy one: %s is %s for others, too (mapping %s, filtering %s)", f.Local, f.Mapped, f.Mapping, f.Filtering)
	case "hard":
		return fmt.Sprintf("a difficult one: %s is another address for each destination (mapping %s, filtering %s)", f.Local, f.Mapping, f.Filtering)
	}
	if f.Mapped != "" {
		return fmt.Sprintf("%s is %s at the server; more cannot be found out without a relay", f.Local, f.Mapped)
	}
	return "not known: no STUN server answers"
}
