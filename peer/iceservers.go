package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/pionnet"
	"p2pchat/signaling"
)

// These bound what is used of a signaling server's list: each URL costs packets to the host that it
// names.
const (
	maxICEServers = 4
	maxICEURLs    = 8 // of all of them
)

// lookupLimit is how long a name server may take.
const lookupLimit = 5 * time.Second

// iceServers returns the STUN and TURN servers to use, for the caller with the zero ticket or
// for a callee with its own. Two machines may meet without them, but not without the signaling server: it
// returns ErrUnreachable, ErrNoKey for a caller, or ErrNoRoom if the room does not exist
// within wait. With RelayOnly it returns ErrNoRelay if the server lists no TURN server, and the
// server's refusal, such as ErrTooMany, if it lists nothing.
func (s *Session) iceServers(ctx context.Context, t signaling.Ticket, wait time.Duration) ([]signaling.ICEServer, error) {
	list := s.config.ICEServers
	var err error
	if list == nil && s.config.Discover != nil {
		list, err = s.config.Discover(ctx, t, wait)
		switch {
		case errors.Is(err, signaling.ErrUnreachable), errors.Is(err, signaling.ErrNoRoom), errors.Is(err, signaling.ErrNoKey) && t.Room == "", ctx.Err() != nil:
			return nil, err
		case errors.Is(err, signaling.ErrForeign), errors.Is(err, signaling.ErrOtherHost): // the next request fails, too
			s.config.Log.Info("going on without the server's STUN and TURN servers", "why", err)
		case err != nil:
			s.config.Log.Warn("going on without the server's STUN and TURN servers", "why", err)
		}
		list = s.bounded(ctx, list)
	}
	var servers []signaling.ICEServer
	for _, l := range list {
		if err := checkICEServer(l); err != nil { // pion would refuse them all
			s.config.Log.Warn("left out an ICE server", "why", err)
			continue
		}
		if l.URLs = s.config.reachable(l.URLs); len(l.URLs) > 0 {
			servers = append(servers, l)
		}
	}
	if s.config.RelayOnly && !slices.ContainsFunc(servers, func(l signaling.ICEServer) bool { return l.Username != "" }) {
		if err != nil { // the server may have one
			return nil, fmt.Errorf("asking for a TURN server, without which this machine's address would be seen: %w", err)
		}
		if s.config.Proxy != nil {
			return nil, fmt.Errorf("%w: through a proxy, it must be one over TCP or TLS", ErrNoRelay)
		}
		return nil, ErrNoRelay
	}
	return servers, nil
}

// bounded returns the ICE servers of a signaling server's list that are used.
func (s *Session) bounded(ctx context.Context, list []signaling.ICEServer) []signaling.ICEServer {
	list, elsewhere := OwnICEServers(ctx, list, s.config)
	if len(elsewhere) > 0 {
		s.config.Log.Warn("left out ICE servers on other hosts than the signaling server's; --ice-server any uses them", "urls", elsewhere[:min(len(elsewhere), maxICEURLs)])
	}
	used, left := []signaling.ICEServer(nil), maxICEURLs
	for _, l := range list[:min(len(list), maxICEServers)] {
		l.URLs = l.URLs[:min(len(l.URLs), left)]
		if left -= len(l.URLs); len(l.URLs) > 0 {
			used = append(used, l)
		}
	}
	if len(list) > len(used) {
		s.config.Log.Warn("left out ICE servers: the server names too many", "named", len(list), "used", len(used))
	}
	return used
}

// checkICEServer returns why pion or this package would not use an ICE server, or nil.
func checkICEServer(l signaling.ICEServer) error {
	for _, raw := range l.URLs {
		u, err := stun.ParseURI(raw)
		if err != nil {
			return fmt.Errorf("%q: %w", raw, err)
		}
		if turn := u.Scheme == stun.SchemeTypeTURN || u.Scheme == stun.SchemeTypeTURNS; turn && (l.Username == "" || l.Credential == "") {
			return fmt.Errorf("%q has no username and credential", raw)
		}
		if u.Scheme == stun.SchemeTypeTURNS && u.Proto == stun.ProtoTypeUDP {
			return fmt.Errorf("%q: TURN over DTLS is not supported", raw) // its messages could not be filtered, see pionnet.TURNNet
		}
	}
	return nil
}

// Reachable returns the servers of a list that Proxy leads to, or to which this machine may send itself.
func (c Config) Reachable(list []signaling.ICEServer) (servers []signaling.ICEServer) {
	for _, l := range list {
		if l.URLs = c.reachable(l.URLs); len(l.URLs) > 0 {
			servers = append(servers, l)
		}
	}
	return servers
}

func (c Config) reachable(urls []string) []string {
	if c.Proxy == nil {
		return urls
	}
	return slices.DeleteFunc(slices.Clone(urls), func(raw string) bool {
		u, err := stun.ParseURI(raw)
		if err != nil || goesThroughProxy(u) {
			return err != nil
		}
		_, err = netip.ParseAddr(u.Host)
		return c.RelayOnly || c.NoLookups && err != nil
	})
}

// goesThroughProxy reports whether Config.Proxy connects to an ICE server.
func goesThroughProxy(u *stun.URI) bool {
	return u.Proto == stun.ProtoTypeTCP && (u.Scheme == stun.SchemeTypeTURN || u.Scheme == stun.SchemeTypeTURNS)
}

func isPublicAddress(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && !pionnet.IsPrivate(a)
}

// OwnICEServers separates the ICE servers on the signaling server's own host from those on other
// hosts, of which it returns the URLs: a malicious server could name any machine there. If config.Host is
// empty, all are its own. A URL is on the host if it has the same name, or an address of that name;
// or any loopback or private address, if all addresses of that name are such. With config.NoLookups, nothing is known of
// the name's addresses: any public one is its own where config.Proxy connects.
func OwnICEServers(ctx context.Context, list []signaling.ICEServer, config Config) (own []signaling.ICEServer, elsewhere []string) {
	if config.Host == "" {
		return list, nil
	}
	h := ownHost{name: normalHost(config.Host), resolved: config.NoLookups}
	for _, l := range list {
		var urls []string
		for _, raw := range l.URLs {
			u, err := stun.ParseURI(raw)
			if err == nil && !h.has(ctx, normalHost(u.Host)) && (!config.NoLookups || !goesThroughProxy(u) || !isPublicAddress(u.Host)) {
				elsewhere = append(elsewhere, raw)
				continue
			}
			urls = append(urls, raw) // checkICEServer says what is wrong with the others
		}
		if len(urls) > 0 || len(l.URLs) == 0 {
			l.URLs = urls
			own = append(own, l)
		}
	}
	return own, elsewhere
}

func normalHost(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// ownHost is the host of a signaling server.
type ownHost struct {
	name      string
	addresses []netip.Addr
	resolved  bool // addresses were looked up, or must not be
}

// has reports whether another host is this one.
func (h *ownHost) has(ctx context.Context, host string) bool {
	if host == h.name {
		return true
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		if host != "localhost" {
			return false
		}
		a = netip.IPv6Loopback()
	}
	known := h.resolve(ctx)
	isPublic := func(a netip.Addr) bool { return !pionnet.IsPrivate(a) }
	return slices.Contains(known, a.Unmap()) || pionnet.IsPrivate(a) && len(known) > 0 && !slices.ContainsFunc(known, isPublic)
}

// resolve returns the addresses of the host, or none if they are not known.
func (h *ownHost) resolve(ctx context.Context) []netip.Addr {
	if h.resolved {
		return h.addresses
	}
	h.resolved = true
	if a, err := netip.ParseAddr(h.name); err == nil {
		h.addresses = []netip.Addr{a.Unmap()}
		return h.addresses
	}
	if h.name == "localhost" || strings.HasSuffix(h.name, ".localhost") { // RFC 6761, section 6.3
		h.addresses = []netip.Addr{netip.IPv6Loopback()}
		return h.addresses
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	list, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", h.name) // without addresses, only the name is compared
	for _, a := range list {
		h.addresses = append(h.addresses, a.Unmap())
	}
	return h.addresses
}

// configured returns the servers as pion takes them.
func configured(list []signaling.ICEServer) (servers []webrtc.ICEServer) {
	for _, l := range list {
		servers = append(servers, webrtc.ICEServer{URLs: l.URLs, Username: l.Username, Credential: l.Credential})
	}
	return servers
}

// inTime returns the servers that can answer before the answer to an offer must be complete. A
// plain caller that takes no candidates after the answer accepts nothing before the answer, so
// servers that are held until the caller accepts come too late for it.
func inTime(list []signaling.ICEServer, offer document) []signaling.ICEServer {
	if !offer.foreign() || trickles(offer.SDP) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(l signaling.ICEServer) bool { return l.Held })
}
