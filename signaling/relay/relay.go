// Package relay is a STUN and TURN server for the guests of a signaling server: it tells
// machines behind NATs their address, and carries packets between those that cannot reach
// each other (RFC 8489, RFC 8656).
//
//	peer ─▶ UDP, TCP or TLS ─▶ allocation ─▶ its port ─▶ the other peer, or its allocation
//
// The packets are encrypted between the two peers. A relay serves no client without credentials,
// carries nothing to addresses of the machine's own networks, and keeps to quotas. It is
// the only package that imports pion/turn.
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
	"p2pchat/signaling/internal/refused"
)

const realm = "p2pchat"

// Config tunes a Relay.
type Config struct {
	Addresses    []netip.Addr // of this machine, as the peers reach it, one of each family: required
	Name         string       // of this machine, for which TLS has a certificate; the first address if empty
	Named        bool         // Name leads to Addresses: clients are told it, which web pages can compare with their server's
	FirstPort    uint16       // of the relayed addresses; 49152 if zero
	LastPort     uint16       // 65535 if zero
	AllowPrivate bool         // carry packets to private addresses, too: on a network of one's own
	Quota        Quota
	LogAddresses bool         // log clients' addresses whole; else their networks, of 24 bits (IPv6: 48)
	Log          *slog.Logger // slog.Default() if nil
}

// A Quota limits what peers may use.
type Quota struct {
	User      int           // allocations at once of one user, who makes one for each URL and local address; 40 if zero
	All       int           // allocations at once; 2000 if zero
	Bandwidth int           // bytes a second of one allocation, each way; 2.5 MB if zero
	Lifetime  time.Duration // of credentials for new allocations; an hour if zero
}

// longestUse is how long an allocation may outlive its credentials.
const longestUse = 12 * time.Hour

// A Relay relays.
type Relay struct {
	config Config
	secret []byte         // that credentials are made from; it ends with the process
	own    []netip.Prefix // of this machine: other addresses of its, and the IPv6 networks that it is in
	guards []*guard       // of what listens for TCP; made by Serve

	received, sent, dropped atomic.Uint64 // bytes, see Stats
	refusals                [refusalKinds]atomic.Uint64
	refused                 refused.Log
	strangers               *strangers
	seal                    cipher.AEAD // of guests' tickets
	held                    *held       // made by Serve

	mu       sync.Mutex // guards what follows
	stun     []string   // where it listens, as URLs
	turn     []string
	users    map[string]int                 // their allocations
	taken    map[netip.AddrPort]*allocation // by their ports
	clients  map[source]*allocation         // by their clients' addresses
	reserved map[uint16]time.Time           // ports, until when, see evenPort
	stats    Stats
}

// New returns a relay; Serve starts it. The error says what config lacks.
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
		own: ownNetworks(), config: config, secret: secret, seal: newSeal(secret), strangers: newStrangers(),
		users: map[string]int{}, taken: map[netip.AddrPort]*allocation{}, clients: map[source]*allocation{}, reserved: map[uint16]time.Time{},
	}
	r.refused.Tell = r.tellRefused
	return r, nil
}

// ownNetworks returns the addresses of this machine's interfaces, and for IPv6 their networks:
// machines in them may rely on the router to keep others out, as with private addresses.
func ownNetworks() (list []netip.Prefix) {
	all, _ := net.InterfaceAddrs() // or else there is nothing to protect
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

// Listeners are where a relay takes requests: one of each family at most, or one for both.
type Listeners struct {
	UDP []net.PacketConn
	TCP []net.Listener
	TLS *tls.Config // TCP takes TLS as well, which firewalls let through; nil: it does not

	Ready func() // is called once the relay listens, and has Credentials; may be nil
	// Accepted waits until the caller of the ticket's room has accepted the answer that was
	// written with it, and reports whether that is so. No guest is let in if it is nil.
	Accepted func(context.Context, signaling.Ticket) bool
}

// Serve relays until ctx ends, and closes what it listens on.
func (r *Relay) Serve(ctx context.Context, on Listeners) error {
	ctx, cancel := context.WithCancel(ctx)
	r.held = newHeld(ctx, on.Accepted)
	defer r.refused.Close()
	defer r.held.end()
	defer cancel()
	ports := &ports{relay: r}
	config := turn.ServerConfig{
		Realm: realm, AuthHandler: r.authenticate, QuotaHandler: r.admit, EventHandler: turn.EventHandler{
			OnAuth: r.authenticated, OnAllocationCreated: r.created,
			OnPermissionCreated: r.permitted, OnPermissionDeleted: r.permissionEnded,
			OnChannelCreated: r.bound, OnChannelDeleted: r.bindingEnded,
		},
		LoggerFactory: pionLog{r.config.Log},
	}
	for _, c := range on.UDP {
		config.PacketConnConfigs = append(config.PacketConnConfigs, turn.PacketConnConfig{PacketConn: &packets{PacketConn: c, relay: r}, RelayAddressGenerator: ports, PermissionHandler: r.permit})
	}
	for _, l := range on.TCP {
		g := newGuard(l, on.TLS, r)
		r.guards = append(r.guards, g) // before the server asks
		config.ListenerConfigs = append(config.ListenerConfigs, turn.ListenerConfig{Listener: g, RelayAddressGenerator: ports, PermissionHandler: r.permit})
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

// authenticated notes that a client has proven its credentials. pion calls it for each request.
func (r *Relay) authenticated(from, _ net.Addr, _, _, _, _ string, right bool) {
	for _, g := range r.guards {
		if right {
			g.proven(from)
		}
	}
}

// announce makes the URLs that Credentials hands out (RFC 7064, RFC 7065): the quickest
// way first.
func (r *Relay) announce(on Listeners) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range on.UDP {
		for _, at := range r.reached(c.LocalAddr()) {
			r.stun = appendNew(r.stun, "stun:"+at)
			r.turn = appendNew(r.turn, "turn:"+at+"?transport=udp")
		}
	}
	for _, l := range on.TCP {
		for _, at := range r.reached(l.Addr()) {
			r.turn = appendNew(r.turn, "turn:"+at+"?transport=tcp")
		}
	}
	if on.TLS == nil {
		return
	}
	for _, l := range on.TCP[:min(1, len(on.TCP))] { // the name has all addresses
		host, port := cmp.Or(r.config.Name, r.config.Addresses[0].String()), netip.MustParseAddrPort(l.Addr().String()).Port()
		r.turn = append(r.turn, "turns:"+net.JoinHostPort(host, strconv.Itoa(int(port)))+"?transport=tcp")
	}
}

// appendNew is append, unless url is there already.
func appendNew(list []string, url string) []string {
	if slices.Contains(list, url) {
		return list
	}
	return append(list, url)
}

// reached are the relay's addresses, or its name, for what listens at local, which may be for
// one family or both.
func (r *Relay) reached(local net.Addr) (list []string) {
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

// address returns the relay's address of a family.
func (r *Relay) address(is4 bool) (netip.Addr, bool) {
	for _, a := range r.config.Addresses {
		if a.Is4() == is4 {
			return a, true
		}
	}
	return netip.Addr{}, false
}
