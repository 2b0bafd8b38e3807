// Package relay is a STUN and TURN server for the clients of a signaling server: it tells machines
// behind NATs their address, and relays packets between machines that cannot reach each other
// (RFC 8489, RFC 8656).
//
//	peer ─▶ UDP, TCP or TLS ─▶ allocation ─▶ its port ─▶ the other peer, or its allocation
//
// The packets are encrypted between the two peers. A relay makes no allocation without credentials,
// sends nothing to addresses of the machine's own networks, and enforces quotas.
package relay

import (
	"cmp"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/turn/v5"

	"p2pchat/signaling"
	"p2pchat/signaling/internal/ratelimit"
	"p2pchat/signaling/internal/refused"
)

const realm = "p2pchat"

// Config tunes a [Relay].
type Config struct {
	Addresses    []netip.Addr // of this machine, as the peers reach it, one of each family: required
	Name         string       // of this machine, in the certificate for TLS; the first address if empty
	Named        bool         // Name resolves to Addresses: Credentials has the name, so that web pages can compare it with their server's
	FirstPort    uint16       // of allocations; 49152 if zero
	LastPort     uint16       // of allocations; 65535 if zero
	AllowPrivate bool         // send packets to private addresses, too
	Quota        Quota
	LogAddresses bool         // log clients' whole addresses; otherwise their networks, of 24 bits (IPv6: 48)
	Log          *slog.Logger // slog.Default() if nil
}

// A Quota limits what users may use.
type Quota struct {
	User      int           // allocations at once of one user, who makes one for each URL and local address; 40 if zero
	All       int           // allocations at once of all users; 2000 if zero
	Bandwidth int           // bytes a second of one allocation, each way; 2.5 MB if zero
	Lifetime  time.Duration // of credentials for new allocations; an hour if zero
}

// maxOverrun is how long an allocation may outlive its credentials.
const maxOverrun = 12 * time.Hour

// A Relay is a STUN and TURN server. Make one with [New].
type Relay struct {
	config    Config
	secret    []byte         // that credentials are made from
	own       []netip.Prefix // see ownNetworks
	listeners []*tcpListener // made by Serve

	received, sent, dropped atomic.Uint64 // bytes, see Stats
	refusals                [refusalKinds]atomic.Uint64
	refused                 refused.Log
	strangers               *ratelimit.Limiter[netip.Addr] // requests without an allocation, by ratelimit.Client
	seal                    cipher.AEAD                    // of guests' tickets
	held                    *heldRequests                  // made by Serve

	mu          sync.Mutex // guards what follows
	stun        []string   // where it listens, as URLs
	turn        []string
	users       map[string]int                 // their allocations
	allocations map[netip.AddrPort]*allocation // by their ports
	byClient    map[source]*allocation         // by their clients' addresses
	reserved    map[uint16]time.Time           // ports, until when, see evenPort
	stats       Stats
}

// New returns a relay, which [Relay.Serve] starts. It returns an error if config is not valid.
func New(config Config) (*Relay, error) {
	def := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	if config.FirstPort == 0 {
		config.FirstPort = 49152
	}
	if config.LastPort == 0 {
		config.LastPort = 65535
	}
	def(&config.Quota.User, 40)
	def(&config.Quota.All, 2000)
	def(&config.Quota.Bandwidth, 2_500_000)
	if config.Quota.Lifetime == 0 {
		config.Quota.Lifetime = time.Hour
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	config.Addresses = slices.Clone(config.Addresses)
	for i, a := range config.Addresses {
		config.Addresses[i] = a.Unmap()
	}
	switch {
	case len(config.Addresses) == 0 || slices.ContainsFunc(config.Addresses, func(a netip.Addr) bool {
		return !a.IsValid() || a.IsUnspecified() || a.IsMulticast()
	}):
		return nil, errors.New("a relay needs the address of this machine that peers reach")
	case config.FirstPort > config.LastPort:
		return nil, fmt.Errorf("a relay cannot use the ports from %d to %d", config.FirstPort, config.LastPort)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	r := &Relay{
		own: ownNetworks(), config: config, secret: secret, seal: newSeal(secret), strangers: ratelimit.New[netip.Addr](strangerRate, strangerBurst, strangerBounds),
		users: map[string]int{}, allocations: map[netip.AddrPort]*allocation{}, byClient: map[source]*allocation{}, reserved: map[uint16]time.Time{},
	}
	r.refused.Write = r.logRefusals
	return r, nil
}

// ownNetworks returns the IPv4 addresses and IPv6 networks of this machine's interfaces. Machines in
// these networks may rely on their router to keep strangers out, as those with private addresses do.
func ownNetworks() (list []netip.Prefix) {
	all, _ := net.InterfaceAddrs() // without interfaces there is nothing to protect
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		switch {
		case err != nil:
		case p.Addr().Is4():
			list = append(list, netip.PrefixFrom(p.Addr(), 32))
		default:
			list = append(list, p.Masked())
		}
	}
	return list
}

// Listeners are the sockets of a relay. Of each protocol there is one for each address family at
// most, or one for both families.
type Listeners struct {
	UDP []net.PacketConn
	TCP []net.Listener
	TLS *tls.Config // for clients that use TLS over TCP, which firewalls let through; none may if nil

	Ready func() // is called once the relay listens and Credentials has its URLs; may be nil
	// Accepted waits until the caller of the ticket's room has accepted the answer that was
	// written with the ticket, and reports whether the caller has. If it is nil, guests get no
	// allocation.
	Accepted func(context.Context, signaling.Ticket) bool
}

// Serve runs the relay until ctx ends, and closes the listeners. It returns an error if pion cannot
// start or stop.
func (r *Relay) Serve(ctx context.Context, on Listeners) error {
	ctx, cancel := context.WithCancel(ctx)
	r.held = newHeldRequests(ctx, on.Accepted)
	defer r.refused.Close()
	defer r.held.wait()
	defer cancel()
	ports := &ports{relay: r}
	config := turn.ServerConfig{
		Realm: realm, AuthHandler: r.authenticate, QuotaHandler: r.mayAllocate, EventHandler: turn.EventHandler{
			OnAuth: r.authenticated, OnAllocationCreated: r.allocationCreated,
			OnPermissionCreated: r.permissionCreated, OnPermissionDeleted: r.permissionDeleted,
			OnChannelCreated: r.channelCreated, OnChannelDeleted: r.channelDeleted,
		},
		LoggerFactory: pionLog{r.config.Log},
	}
	for _, c := range on.UDP {
		config.PacketConnConfigs = append(config.PacketConnConfigs, turn.PacketConnConfig{PacketConn: &filteredConn{PacketConn: c, relay: r}, RelayAddressGenerator: ports, PermissionHandler: r.permit})
	}
	for _, l := range on.TCP {
		tcp := newTCPListener(l, on.TLS, r)
		r.listeners = append(r.listeners, tcp) // before pion calls authenticated
		config.ListenerConfigs = append(config.ListenerConfigs, turn.ListenerConfig{Listener: tcp, RelayAddressGenerator: ports, PermissionHandler: r.permit})
	}
	server, err := turn.NewServer(config)
	if err != nil {
		return fmt.Errorf("the relay cannot start: %w", err)
	}
	r.announce(on)
	if on.Ready != nil {
		on.Ready()
	}
	<-ctx.Done()
	if err := server.Close(); err != nil {
		return fmt.Errorf("stopping the relay: %w", err)
	}
	return nil
}

// authenticated notes that a client has shown credentials. pion calls it for each request.
func (r *Relay) authenticated(from, _ net.Addr, _, _, _, _ string, right bool) {
	for _, l := range r.listeners {
		if right {
			l.authenticated(from)
		}
	}
}

// announce makes the URLs for Credentials (RFC 7064, RFC 7065), the fastest transport first.
func (r *Relay) announce(on Listeners) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range on.UDP {
		for _, at := range r.hostPorts(c.LocalAddr()) {
			r.stun = appendNew(r.stun, "stun:"+at)
			r.turn = appendNew(r.turn, "turn:"+at+"?transport=udp")
		}
	}
	for _, l := range on.TCP {
		for _, at := range r.hostPorts(l.Addr()) {
			r.turn = appendNew(r.turn, "turn:"+at+"?transport=tcp")
		}
	}
	if on.TLS == nil {
		return
	}
	for _, l := range on.TCP[:min(1, len(on.TCP))] { // the name resolves to all addresses
		host, port := cmp.Or(r.config.Name, r.config.Addresses[0].String()), netip.MustParseAddrPort(l.Addr().String()).Port()
		r.turn = append(r.turn, "turns:"+net.JoinHostPort(host, strconv.Itoa(int(port)))+"?transport=tcp")
	}
}

// appendNew appends url unless list has it already.
func appendNew(list []string, url string) []string {
	if slices.Contains(list, url) {
		return list
	}
	return append(list, url)
}

// hostPorts returns the relay's addresses, or its name, with the port of local, which may be an
// address of one family or of both.
func (r *Relay) hostPorts(local net.Addr) (list []string) {
	on := netip.MustParseAddrPort(local.String())
	if r.config.Named {
		return []string{net.JoinHostPort(r.config.Name, strconv.Itoa(int(on.Port())))}
	}
	for _, a := range r.config.Addresses {
		if (on.Addr().IsUnspecified() && on.Addr().Is6()) || on.Addr().Unmap().Is4() == a.Is4() {
			list = append(list, netip.AddrPortFrom(a, on.Port()).String())
		}
	}
	return list
}

// address returns the relay's address of one family.
func (r *Relay) address(is4 bool) (netip.Addr, bool) {
	for _, a := range r.config.Addresses {
		if a.Is4() == is4 {
			return a, true
		}
	}
	return netip.Addr{}, false
}
