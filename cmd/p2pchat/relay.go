package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"p2pchat/signaling/relay"
)

const relayPort = "3478" // RFC 8656, section 3

// relayOptions are the flags of serve that begin with relay.
type relayOptions struct {
	on           bool
	listen       string
	address      string
	ports        string
	quota        string
	open         bool
	allowPrivate bool
}

func (o *relayOptions) register(f *pflag.FlagSet) {
	f.BoolVar(&o.on, "relay", false, "be a STUN and TURN server, too, for machines that cannot reach each other")
	f.StringVar(&o.listen, "relay-listen", "", "address for it, UDP and TCP (default that of --listen, port "+relayPort+")")
	f.StringVar(&o.address, "relay-ip", "", "address of this machine that peers reach, if it is another one")
	f.StringVar(&o.ports, "relay-ports", "49152-65535", "UDP ports that relay")
	f.StringVar(&o.quota, "relay-quota", "user=8,all=1000,bandwidth=2500000,lifetime=1h", "most allocations of a room's guests and of all, bytes a second of each, time for which credentials are good")
	f.BoolVar(&o.open, "relay-open", false, "relay without an access key, for whoever opens a room")
	f.BoolVar(&o.allowPrivate, "relay-allow-private", false, "relay to private addresses, on a network of one's own")
}

// A carrier is a relay and where it listens.
type carrier struct {
	*relay.Relay
	on relay.Listeners
}

// start listens; serve is the address that the signaling server listens on. It is nil if
// there is to be no relay.
func (o *relayOptions) start(serve net.Addr, key string, log *slog.Logger) (*carrier, error) {
	if !o.on {
		return nil, nil
	}
	config := relay.Config{AllowPrivate: o.allowPrivate, Log: log}
	listen := o.listen
	if listen == "" {
		host, _, _ := net.SplitHostPort(serve.String())
		listen = net.JoinHostPort(host, relayPort)
	}
	at, err := net.ResolveUDPAddr("udp", listen)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("--relay-listen: %w", err)}
	}
	if config.Address, err = o.advertised(at.IP); err != nil {
		return nil, err
	}
	if config.FirstPort, config.LastPort, err = portRange(o.ports); err != nil {
		return nil, err
	}
	if config.Quota, err = relayQuota(o.quota); err != nil {
		return nil, err
	}
	if !config.Address.IsLoopback() && key == "" && !o.open {
		return nil, &usageError{err: errors.New("--relay for other machines needs an access key"), hint: "--access-key-file FILE for hosts (their guests need only the code), or --relay-open for everybody"}
	}
	r, err := relay.New(config)
	if err != nil {
		return nil, &usageError{err: err}
	}
	on, err := listenRelay(at, config.Address.Is4())
	if err != nil {
		return nil, fmt.Errorf("the relay cannot start: %w", err)
	}
	return &carrier{r, on}, nil
}

// listenRelay takes one port for UDP and TCP.
func listenRelay(at *net.UDPAddr, ipv4 bool) (on relay.Listeners, err error) {
	family := map[bool]string{true: "4", false: "6"}[ipv4]
	for range 10 { // a free port of one may be taken of the other
		if on.UDP, err = net.ListenUDP("udp"+family, at); err != nil {
			return on, err
		}
		tcp := &net.TCPAddr{IP: at.IP, Zone: at.Zone, Port: on.UDP.LocalAddr().(*net.UDPAddr).Port}
		if on.TCP, err = net.ListenTCP("tcp"+family, tcp); err == nil {
			return on, nil
		}
		_ = on.UDP.Close() // nobody has used it
		if at.Port != 0 {
			return on, err
		}
	}
	return on, err
}

// advertised is the address that peers are told.
func (o *relayOptions) advertised(listen net.IP) (netip.Addr, error) {
	if o.address != "" {
		a, err := netip.ParseAddr(o.address)
		if err != nil {
			return a, &usageError{err: fmt.Errorf("--relay-ip: %w", err)}
		}
		return a.Unmap(), nil
	}
	if a, ok := netip.AddrFromSlice(listen); ok && !a.IsUnspecified() {
		return a.Unmap(), nil
	}
	// That of the way out: nothing is sent (RFC 5737 keeps the other end free).
	conn, err := net.Dial("udp4", "192.0.2.1:9")
	if err != nil {
		return netip.Addr{}, &usageError{err: errors.New("this machine's address is not known"), hint: "--relay-ip ADDRESS"}
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

func portRange(text string) (first, last uint16, err error) {
	from, to, _ := strings.Cut(text, "-")
	a, errFrom := strconv.ParseUint(from, 10, 16)
	b, errTo := strconv.ParseUint(to, 10, 16)
	if errFrom != nil || errTo != nil || a == 0 || a > b {
		return 0, 0, &usageError{err: fmt.Errorf("--relay-ports must look like 49152-65535, not %q", text)}
	}
	return uint16(a), uint16(b), nil
}

func relayQuota(text string) (q relay.Quota, err error) {
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		number, notNumber := strconv.Atoi(value)
		span, notSpan := time.ParseDuration(value)
		switch {
		case name == "user" && notNumber == nil && number > 0:
			q.User = number
		case name == "all" && notNumber == nil && number > 0:
			q.All = number
		case name == "bandwidth" && notNumber == nil && number > 0:
			q.Bandwidth = number
		case name == "lifetime" && notSpan == nil && span > 0:
			q.Lifetime = span
		default:
			return q, &usageError{err: fmt.Errorf("--relay-quota: %q is none", part), hint: "it looks like user=8,all=1000,bandwidth=2500000,lifetime=1h; what is left out stays as it is"}
		}
	}
	return q, nil
}

// run relays until ctx ends; ready is called once it does.
func (c *carrier) run(ctx context.Context, ready func()) error {
	c.on.Ready = ready
	return c.Serve(ctx, c.on)
}
