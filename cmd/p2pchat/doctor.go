package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"p2pchat/chat/screen"
	"p2pchat/peer"
	"p2pchat/peer/survey"
	"p2pchat/signaling"
)

// gatherTimeout bounds how long doctor waits for candidates.
const gatherTimeout = 3 * time.Second

type doctorOptions struct {
	server     string
	given      bool // server was named
	iceServers []string
	keyFile    string
	json       bool
	proxy      proxyOption
	mapping    portMappingOption
	log        logOptions
}

func doctorCommand(std stdio) *cobra.Command {
	var o doctorOptions
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find out which calls work from this machine and network",
		Long: `Find out which calls work from this machine and network: whether the server answers,
which STUN and TURN servers answer over UDP, TCP and TLS, how the NAT behaves, which
addresses a call would offer, and which ways to other machines there are. The last line
is the verdict.

The exit code is 0 if calls work with most people, or if there is no server yet and
'p2pchat call' would start one; 5 if the server cannot be reached or refuses; 6 if
calls work only with machines of the same network, or fail with many people.`,
		Example: `  p2pchat doctor --server https://chat.example.org
  p2pchat doctor --ice-server stun:stun.example.org:3478 --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.given = c.Flags().Changed("server")
			return doctor(c, o, std)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.server, "server", defaultServer, "`URL` of the signaling server")
	f.StringArrayVar(&o.iceServers, "ice-server", nil, "`URL` of a STUN or TURN server to test instead of the server's own (repeatable); any: all that the server names, on other hosts too")
	o.proxy.register(f)
	o.mapping.register(f)
	f.StringVar(&o.keyFile, "access-key-file", "", "`FILE` with the server's access key, if it needs one (or P2PCHAT_ACCESS_KEY)")
	f.BoolVar(&o.json, "json", false, "print one JSON object instead of text")
	o.log.sentences = true
	o.log.register(f)
	return c
}

// A diagnosis has the findings of doctor. It is printed as JSON, too.
type diagnosis struct {
	Server     serverFinding      `json:"server"`
	ICE        []iceFinding       `json:"ice_servers"`
	NAT        natFinding         `json:"nat"`
	Mapping    mappingFinding     `json:"port_mapping"`
	Candidates []candidateFinding `json:"candidates"`
	IPv6       bool               `json:"ipv6"`               // there is an address that others can reach
	NotUsed    []string           `json:"not_used,omitempty"` // URLs of the server's list on other hosts
	Ways       []way              `json:"ways"`
	Verdict    verdict            `json:"verdict"`
}

type serverFinding struct {
	URL     string  `json:"url"`
	Proxy   string  `json:"proxy,omitempty"` // on the way to it
	Reached bool    `json:"reached"`
	RTT     float64 `json:"rtt_ms"`
	Clock   float64 `json:"clock_s"` // its lead over this machine's clock
	Error   string  `json:"error,omitempty"`

	err error
	own bool // call would start a server there
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

// doctor examines the server and the network, and prints the findings.
func doctor(c *cobra.Command, o doctorOptions, std stdio) error {
	logger, err := o.log.logger(std.err)
	if err != nil {
		return err
	}
	if _, _, err := chosenICEServers(o.iceServers, ""); err != nil {
		return err
	}
	key, err := accessKey(o.keyFile)
	if err != nil {
		return err
	}
	if o.server, err = serverURL(o.server); err != nil {
		return err
	}
	if err := o.proxy.prepare(c); err != nil {
		return err
	}
	ctx, at, config := c.Context(), signaling.Config{Key: key, Patience: pingPatience}, peer.Config{MapPorts: o.mapping.useful(o.server), Log: logger}
	if err := o.proxy.connect(o.given, o.server, &at, &config); err != nil {
		return err
	}
	client, err := signaling.NewClient(o.server, at)
	if err != nil {
		return &usageError{err: err}
	}
	defer client.CloseIdle()
	if config.ICEServers, config.Host, err = chosenICEServers(o.iceServers, o.server); err != nil {
		return err
	}
	d := examine(ctx, o, client, config)
	if ctx.Err() != nil {
		return errInterrupted
	}
	if o.json {
		err = d.encode(std.out)
	} else {
		err = d.print(std.out)
	}
	return errors.Join(err, d.Verdict.err)
}

// examine collects the findings for a call with the config. It tests the config's servers, or without any the signaling
// server's list, see chosenICEServers.
func examine(ctx context.Context, o doctorOptions, client *signaling.Client, config peer.Config) (d diagnosis) {
	servers := config.ICEServers
	d = diagnosis{Server: serverFinding{URL: o.server, Proxy: o.proxy.on(o.given, o.server)}, ICE: []iceFinding{}, Candidates: []candidateFinding{}}
	pong, err := client.Ping(ctx)
	d.Server.Reached, d.Server.RTT, d.Server.Clock = err == nil, milliseconds(pong.RTT), pong.Clock.Seconds()
	d.Server.own = errors.Is(err, signaling.ErrUnreachable) && !o.given && canServe(ctx)
	if err == nil && servers == nil {
		servers, err = client.ICEServers(ctx, signaling.Ticket{}, 0)
		servers, d.NotUsed = peer.OwnICEServers(ctx, servers, config)
	}
	if d.Server.err = err; err != nil {
		d.Server.Error = flatten(err)
	}
	servers = config.Reachable(servers)
	for _, r := range survey.Probe(ctx, servers, config.Proxy) {
		d.ICE = append(d.ICE, finding(r))
	}
	d.NAT.found(survey.Behave(ctx, servers))
	d.Mapping.found(ctx, config)
	d.gather(ctx, servers, config)
	d.Ways = d.ways()
	d.judge()
	return d
}

// gather finds the candidates of a call.
func (d *diagnosis) gather(ctx context.Context, servers []signaling.ICEServer, config peer.Config) {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	list, err := peer.Gather(ctx, servers, config)
	if err != nil {
		config.Log.Warn("no candidates", "error", err)
	}
	for _, a := range list {
		d.Candidates = append(d.Candidates, candidateFinding(a))
		ip, err := netip.ParseAddr(a.Address)
		d.IPv6 = d.IPv6 || err == nil && isReachable6(ip)
	}
}

// canServe reports whether call would start a server on the default address.
func canServe(ctx context.Context) bool {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", defaultServe)
	if err != nil {
		return false
	}
	return l.Close() == nil
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

// found sets the finding from the result of the survey.
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

// encode writes the findings as one JSON object of several lines.
func (d *diagnosis) encode(out io.Writer) error {
	object, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	for line := range bytes.Lines(object) { // the server chooses some texts
		if _, err := out.Write(append(screen.Escape(bytes.TrimSuffix(line, []byte("\n"))), '\n')); err != nil {
			return err
		}
	}
	return nil
}

// print writes the findings as text.
func (d *diagnosis) print(out io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(screen.Clean(fmt.Sprintf(format, args...)) + "\n") }
	line("Server %s", d.Server.URL)
	if d.Server.Proxy != "" {
		line("  through the proxy %s", d.Server.Proxy)
	}
	if d.Server.Reached {
		line("  answers in %s", inMilliseconds(d.Server.RTT))
		if skew := time.Duration(d.Server.Clock * float64(time.Second)); skew.Abs() > 5*time.Second {
			line("  its clock and this machine's clock differ by %v: TLS certificates may be refused", skew.Abs())
		}
	}
	if d.Server.Error != "" {
		line("  %s", d.Server.Error)
	}
	line("STUN and TURN servers")
	if len(d.ICE) == 0 {
		line("  none known")
	}
	for _, f := range d.ICE {
		if f.Error != "" {
			line("  no   %s: %s", f.URL, f.Error)
			continue
		}
		says := map[string]string{"stun": "sees this machine as ", "turn": "relays at "}[f.Kind]
		line("  yes  %s: %s%s, in %s", f.URL, says, f.Address, inMilliseconds(f.RTT))
	}
	for _, u := range d.NotUsed {
		line("  not used  %s: it is on another host than the server (--ice-server any uses it)", u)
	}
	line("NAT")
	line("  %s", d.NAT)
	line("Port mapping")
	line("  %s", d.Mapping)
	line("Addresses that a call would offer")
	if len(d.Candidates) == 0 {
		line("  none")
	}
	for _, c := range d.Candidates {
		line("  %-5s %s %s", c.Type, c.Protocol, net.JoinHostPort(c.Address, strconv.Itoa(int(c.Port))))
	}
	line("  IPv6: %s", map[bool]string{true: "yes", false: "no address that other machines can reach"}[d.IPv6])
	line("Ways to other machines")
	for _, w := range d.Ways {
		line("  %s", w)
	}
	line("")
	line("%s", d.Verdict.Text)
	_, err := io.WriteString(out, hangingOn(out, b.String()))
	return err
}

func inMilliseconds(ms float64) string { return fmt.Sprintf("%.3g ms", ms) }

func (f natFinding) String() string {
	switch f.Kind {
	case "none":
		return "none: the server sees this machine's own address, " + f.Local
	case "easy":
		return fmt.Sprintf("easy: others see %s as %s (mapping %s, filtering %s)", f.Local, f.Mapped, f.Mapping, f.Filtering)
	case "hard":
		return fmt.Sprintf("hard: %s gets another port for each destination (mapping %s, filtering %s)", f.Local, f.Mapping, f.Filtering)
	}
	if f.Mapped != "" {
		return fmt.Sprintf("the server sees %s as %s; to learn more, doctor needs a relay", f.Local, f.Mapped)
	}
	return "unknown: no STUN server answers"
}
