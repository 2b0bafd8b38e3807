package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"p2pchat/signaling/relay"
	"p2pchat/signaling/server"
)

const (
	relayPort     = "3478" // RFC 8656, section 3
	lookupTimeout = 2 * time.Second
)

// relayOptions are the flags of serve that begin with relay. validate completes at and config.
type relayOptions struct {
	on           bool
	listen       string
	addresses    []string
	ports        string
	quota        string
	open         bool
	allowPrivate bool

	at     *net.UDPAddr // of listen; nil without
	config relay.Config
}

func (o *relayOptions) register(f *pflag.FlagSet) {
	f.BoolVar(&o.on, "relay", false, "also be a STUN and TURN server, for machines that cannot reach each other")
	f.StringVar(&o.listen, "relay-listen", "", "`ADDRESS` of the relay, for UDP, TCP and, with a certificate, TLS (default that of --listen, port "+relayPort+")")
	f.StringArrayVar(&o.addresses, "relay-ip", nil, "public `ADDRESS` of this machine, if it differs from its own (once for IPv4, once for IPv6)")
	f.StringVar(&o.ports, "relay-ports", "49152-65535", "UDP `PORTS` for relayed packets")
	f.StringVar(&o.quota, "relay-quota", "user=40,all=2000,bandwidth=2500000,lifetime=1h", "`LIMITS`: allocations of one room's guests and of all, bytes a second of one allocation, lifetime of credentials")
	f.BoolVar(&o.open, "relay-open", false, "relay without an access key, for anyone who opens a room")
	f.BoolVar(&o.allowPrivate, "relay-allow-private", false, "also relay to private addresses, for use inside one network")
}

// validate reads the values of the flags.
func (o *relayOptions) validate() (err error) {
	if !o.on {
		return nil
	}
	if o.at, err = relayAddress(o.listen); err != nil {
		return err
	}
	o.config.AllowPrivate = o.allowPrivate
	if o.config.Addresses, err = publicAddresses(o.addresses); err != nil {
		return err
	}
	if o.config.FirstPort, o.config.LastPort, err = portRange(o.ports); err != nil {
		return err
	}
	o.config.Quota, err = relayQuota(o.quota)
	return err
}

// relayAddress reads the value of --relay-listen. It returns nil if that is empty.
func relayAddress(text string) (*net.UDPAddr, error) {
	if text == "" {
		return nil, nil
	}
	at, err := net.ResolveUDPAddr("udp", text)
	if err != nil {
		return nil, badAddress("--relay-listen", text)
	}
	return at, nil
}

// relayQuota reads the value of --relay-quota.
func relayQuota(text string) (q relay.Quota, err error) {
	err = parseLimits("--relay-quota", text, "user=40,all=2000,bandwidth=2500000,lifetime=1h", map[string]func(string) bool{
		"user": readInt(&q.User, 1, math.MaxInt), "all": readInt(&q.All, 1, math.MaxInt),
		"bandwidth": readInt(&q.Bandwidth, 1, math.MaxInt), "lifetime": readDuration(&q.Lifetime),
	})
	return q, err
}

// publicAddresses reads the values of --relay-ip, at most one of each family.
func publicAddresses(texts []string) (list []netip.Addr, err error) {
	for _, text := range texts {
		a, err := netip.ParseAddr(text)
		switch {
		case err != nil:
			return nil, cannotRead("--relay-ip", text, "192.0.2.1")
		case slices.ContainsFunc(list, func(b netip.Addr) bool { return b.Is4() == a.Unmap().Is4() }):
			return nil, &usageError{err: errors.New("--relay-ip: one address of each family is all that the relay can have")}
		}
		list = append(list, a.Unmap())
	}
	return list, nil
}

func portRange(text string) (first, last uint16, err error) {
	from, to, _ := strings.Cut(text, "-")
	a, errFrom := strconv.ParseUint(from, 10, 16)
	b, errTo := strconv.ParseUint(to, 10, 16)
	if errFrom != nil || errTo != nil || a == 0 || a > b {
		return 0, 0, cannotRead("--relay-ports", text, "49152-65535")
	}
	return uint16(a), uint16(b), nil
}

// A relayService is a relay and its listeners.
type relayService struct {
	*relay.Relay
	on relay.Listeners
}

// build opens the listeners. s has the address of the signaling server, its name and its certificate.
func (o *relayOptions) build(s *service, log *slog.Logger) (*relayService, error) {
	at, err := o.address(s.listener.Addr())
	if err != nil {
		return nil, err
	}
	config := o.config
	config.Name, config.LogAddresses, config.Log = s.host(), s.config.LogAddresses, log
	if config.Addresses == nil {
		if config.Addresses, err = relayAddresses(at.IP); err != nil {
			return nil, err
		}
	}
	isOutside := func(a netip.Addr) bool { return !a.IsLoopback() }
	switch others := slices.ContainsFunc(config.Addresses, isOutside); {
	case !others: // all clients are on this machine
		config.AllowPrivate = true
	case s.config.AccessKey == "" && !o.open:
		return nil, &usageError{err: errors.New("--relay for other machines needs an access key"), hint: "add --access-key-file FILE: callers need the key, and their guests only the code; or let everyone relay: --relay-open"}
	}
	nameErr := checkRelayName(config.Name, config.Addresses)
	config.Named = nameErr == nil
	r := &relayService{}
	if r.Relay, err = relay.New(config); err != nil {
		return nil, &usageError{err: err}
	}
	if r.on, err = listenRelay(at, config.Addresses); err != nil {
		return nil, fmt.Errorf("the relay cannot start: %w", err)
	}
	switch {
	case s.certificate == nil:
	case config.Name != "" || s.certificate.Covers(config.Addresses[0]):
		r.on.TLS = s.certificate.Config()
	default: // the name may belong to another machine
		log.Warn("the relay takes no TLS: the certificate has several names, and --public-url must say which one is this machine's")
	}
	if wrong := (*relayNameError)(nil); errors.As(nameErr, &wrong) {
		log.Warn("the relay is listed by its address, not by the server's name", "name", config.Name, "error", nameErr)
		fmt.Fprintf(s.notes, "p2pchat: warning: %v, so browsers may not use the relay. %s\n", nameErr, wrong.hint)
	}
	return r, nil
}

// address returns where to listen: by default, the signaling server's address and the port of TURN.
func (o *relayOptions) address(serve net.Addr) (*net.UDPAddr, error) {
	if o.at != nil {
		return o.at, nil
	}
	host, _, err := net.SplitHostPort(serve.String())
	if err != nil {
		return nil, err
	}
	return net.ResolveUDPAddr("udp", net.JoinHostPort(host, relayPort))
}

// relayAddresses returns the addresses that clients are told if the relay listens on this one: the addresses
// of the default routes if it is unspecified.
func relayAddresses(listen net.IP) ([]netip.Addr, error) {
	if a, ok := netip.AddrFromSlice(listen); ok && !a.IsUnspecified() {
		return []netip.Addr{a.Unmap()}, nil
	}
	list := routedAddresses()
	if len(list) == 0 {
		return nil, &usageError{err: errors.New("the relay cannot find this machine's address"), hint: "give it with --relay-ip ADDRESS"}
	}
	return list, nil
}

// A relayNameError says why the server's name does not lead to the relay. A page uses the relay only under
// the name of the page's server.
type relayNameError struct{ text, hint string }

func (e *relayNameError) Error() string { return e.text }

var errUnnamed = errors.New("the relay needs no name")

// checkRelayName looks name up. It returns nil if the name leads to all the addresses, errUnnamed if there is no
// name or the relay needs none, as on loopback, and a *relayNameError otherwise.
func checkRelayName(name string, addresses []netip.Addr) error {
	if _, err := netip.ParseAddr(name); err == nil || name == "" || slices.ContainsFunc(addresses, netip.Addr.IsLoopback) {
		return errUnnamed
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return &relayNameError{fmt.Sprintf("%s, the name of this server, cannot be looked up (%v)", name, err), "Start the server again when DNS works."}
	}
	for _, a := range addresses {
		if !slices.ContainsFunc(found, func(b netip.Addr) bool { return b.Unmap() == a }) {
			return &relayNameError{fmt.Sprintf("%s, the name of this server, does not lead to the relay's address %s", name, a), "If that is not this machine's public address, give it with --relay-ip; else correct DNS and start the server again."}
		}
	}
	return nil
}

// String returns the addresses and protocols of the relay.
func (r *relayService) String() string {
	var list []string
	for _, l := range r.on.UDP {
		list = append(list, l.LocalAddr().String())
	}
	kinds := ", UDP and TCP"
	if r.on.TLS != nil {
		kinds = ", UDP, TCP and TLS"
	}
	return strings.Join(list, " and ") + kinds
}

// measures returns the metrics of the relay.
func (r *relayService) measures() []server.Measure {
	count := func(name, help string, labels map[string]string, value func(relay.Stats) uint64) server.Measure {
		return server.Measure{Name: name, Help: help, Labels: labels, Counts: true, Value: func() float64 { return float64(value(r.Stats())) }}
	}
	const allocations, bytes = "Allocations that clients asked the relay for, by result.", "Bytes that the relay received from peers, sent to them, or dropped over the bandwidth quota."
	list := []server.Measure{
		{Name: "p2pchat_relay_allocations", Help: "Current allocations of the relay.", Value: func() float64 { return float64(r.Stats().Allocations) }},
		count("p2pchat_relay_allocations_total", allocations, map[string]string{"result": "made"}, func(s relay.Stats) uint64 { return s.Made }),
		count("p2pchat_relay_allocations_total", allocations, map[string]string{"result": "refused"}, func(s relay.Stats) uint64 { return s.Refused[relay.RefusedQuota] }),
		count("p2pchat_relay_bytes_total", bytes, map[string]string{"kind": "received"}, func(s relay.Stats) uint64 { return s.Received }),
		count("p2pchat_relay_bytes_total", bytes, map[string]string{"kind": "sent"}, func(s relay.Stats) uint64 { return s.Sent }),
		count("p2pchat_relay_bytes_total", bytes, map[string]string{"kind": "dropped"}, func(s relay.Stats) uint64 { return s.Dropped }),
	}
	for _, reason := range relay.Refusals {
		list = append(list, count("p2pchat_relay_refused_total", "Requests that the relay refused, by reason.", map[string]string{"reason": reason.String()}, func(s relay.Stats) uint64 { return s.Refused[reason] }))
	}
	return list
}

// listenRelay listens on one port for UDP and TCP, in each advertised address family.
func listenRelay(at *net.UDPAddr, advertised []netip.Addr) (on relay.Listeners, err error) {
	for range 10 { // a port that is free for UDP may be in use for TCP
		on = relay.Listeners{}
		port := at.Port
		for _, a := range advertised {
			if err = listenFamily(&on, net.UDPAddr{IP: at.IP, Zone: at.Zone, Port: port}, a.Is4()); err != nil {
				break
			}
			port = on.UDP[0].LocalAddr().(*net.UDPAddr).Port
		}
		if err == nil {
			return on, nil
		}
		closeAll(on) // they have no clients yet
		if at.Port != 0 {
			return on, err
		}
	}
	return on, err
}

func listenFamily(on *relay.Listeners, at net.UDPAddr, ipv4 bool) error {
	family := map[bool]string{true: "4", false: "6"}[ipv4]
	if at.IP != nil && !at.IP.IsUnspecified() {
		family = "" // at.IP decides
	} else {
		at.IP = nil // any of that family
	}
	udp, err := net.ListenUDP("udp"+family, &at)
	if err != nil {
		return err
	}
	on.UDP = append(on.UDP, udp)
	tcp, err := net.ListenTCP("tcp"+family, &net.TCPAddr{IP: at.IP, Zone: at.Zone, Port: udp.LocalAddr().(*net.UDPAddr).Port})
	if err != nil {
		return err
	}
	on.TCP = append(on.TCP, tcp)
	return nil
}

func closeAll(on relay.Listeners) {
	for _, c := range on.UDP {
		_ = c.Close() // it has no clients yet
	}
	for _, l := range on.TCP {
		_ = l.Close() // it has no clients yet
	}
}
