// Package relay is a STUN and TURN server for the guests of a signaling server: it tells
// machines behind NATs their address, and carries packets between those that cannot reach
// each other (RFC 8489, RFC 8656).
//
//	peer ─▶ UDP, TCP or TLS ─▶ allocation ─▶ its port ─▶ the other peer, or its allocation
//
// What it carries is encrypted between the two peers. It serves nobody without credentials,
// carries nothing to addresses of the machine's own networks, and keeps to quotas. It is
// the one place that knows pion/turn.
package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/turn/v5"
)

const realm = "p2pchat"

// Config tunes a Relay.
type Config struct {
	Address      netip.Addr // of this machine, as the peers reach it: required
	FirstPort    uint16     // of those that relay; 49152 if zero
	LastPort     uint16     // 65535 if zero
	AllowPrivate bool       // carry packets to private addresses, too: on a network of one's own
	Quota        Quota
	Log          *slog.Logger // slog.Default() if nil
}

// A Quota is how much the peers may use.
type Quota struct {
	User      int           // allocations at once of one user; 8 if zero
	All       int           // allocations at once; 1000 if zero
	Bandwidth int           // bytes a second of one allocation, each way; 2.5 MB if zero
	Lifetime  time.Duration // for which credentials are good to begin with; an hour if zero
}

// longestUse is how long after its credentials an allocation may live on.
const longestUse = 12 * time.Hour

// A Relay relays.
type Relay struct {
	config Config
	secret []byte // of the credentials: it ends with the process

	mu    sync.Mutex // guards what follows
	stun  []string   // where it listens, as URLs
	turn  []string
	users map[string]int // their allocations
	total int
}

// New returns a relay that serves nobody yet. The error says what config lacks.
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
	def(&config.Quota.User, 8)
	def(&config.Quota.All, 1000)
	def(&config.Quota.Bandwidth, 2_500_000)
	if config.Quota.Lifetime == 0 {
		config.Quota.Lifetime = time.Hour
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	config.Address = config.Address.Unmap()
	switch {
	case !config.Address.IsValid() || config.Address.IsUnspecified() || config.Address.IsMulticast():
		return nil, errors.New("a relay needs the address of this machine that peers reach")
	case config.FirstPort > config.LastPort:
		return nil, fmt.Errorf("a relay cannot use the ports from %d to %d", config.FirstPort, config.LastPort)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return &Relay{config: config, secret: secret, users: map[string]int{}}, nil
}

// Listeners are where a relay takes requests, each of which may be nil.
type Listeners struct {
	UDP net.PacketConn
	TCP net.Listener
	TLS net.Listener

	Ready func() // is called when it does, and there are Credentials; may be nil
}

// Serve relays until ctx ends, and closes what it listens on.
func (r *Relay) Serve(ctx context.Context, on Listeners) error {
	ports := &ports{relay: r}
	config := turn.ServerConfig{
		Realm: realm, AuthHandler: r.authenticate, QuotaHandler: r.admit, EventHandler: r.events(),
		LoggerFactory: pionLog{r.config.Log},
	}
	if on.UDP != nil {
		config.PacketConnConfigs = []turn.PacketConnConfig{{PacketConn: on.UDP, RelayAddressGenerator: ports, PermissionHandler: r.permit}}
	}
	for _, l := range []net.Listener{on.TCP, on.TLS} {
		if l != nil {
			config.ListenerConfigs = append(config.ListenerConfigs, turn.ListenerConfig{Listener: l, RelayAddressGenerator: ports, PermissionHandler: r.permit})
		}
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

// announce makes the URLs that Credentials hands out (RFC 7064, RFC 7065): the quickest
// way first.
func (r *Relay) announce(on Listeners) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := func(local net.Addr) string {
		port := netip.MustParseAddrPort(local.String()).Port()
		return netip.AddrPortFrom(r.config.Address, port).String()
	}
	if on.UDP != nil {
		r.stun = append(r.stun, "stun:"+at(on.UDP.LocalAddr()))
		r.turn = append(r.turn, "turn:"+at(on.UDP.LocalAddr())+"?transport=udp")
	}
	if on.TCP != nil {
		r.turn = append(r.turn, "turn:"+at(on.TCP.Addr())+"?transport=tcp")
	}
	if on.TLS != nil {
		r.turn = append(r.turn, "turns:"+at(on.TLS.Addr())+"?transport=tcp")
	}
}
