package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"p2pchat/signaling/lan"
)

// lookInterval is how often a caller looks whether its server has ended, while requests fail.
const lookInterval = 300 * time.Millisecond

// An ownServer is a server in a caller's program, until that ends. It starts if the default address has no
// server: at first, or when the other caller's program that served has ended. It may also serve the neighbours on
// the local network, and then announces the call there.
type ownServer struct {
	log *slog.Logger
	wg  sync.WaitGroup

	mu        sync.Mutex         // guards what follows
	halt      context.CancelFunc // nil until the server starts
	watching  context.CancelFunc // nil without a watch
	serving   context.Context    // of the server
	port      string             // for the local network; empty without it
	call      string             // that is announced
	announced context.CancelFunc // ends the announcement; nil without one
}

// watch starts the server as soon as no other is reachable. A server that is stopping refuses requests
// while it still accepts connections, so one look at the first failure is not enough.
func (s *ownServer) watch(ctx context.Context, address string, onLAN bool, tell func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watching != nil {
		return
	}
	ctx, s.watching = context.WithCancel(ctx)
	s.wg.Go(func() {
		tick := time.NewTicker(lookInterval)
		defer tick.Stop()
		for {
			s.start(ctx, address, onLAN, tell)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
}

// unwatch ends the watch, if there is one.
func (s *ownServer) unwatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watching != nil {
		s.watching()
		s.watching = nil
	}
}

// start starts the server at the default address, unless it runs or another one is reachable; onLAN says whether for the local
// network, too. It tells the person.
func (s *ownServer) start(ctx context.Context, address string, onLAN bool, tell func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.halt != nil || ctx.Err() != nil || reachable(ctx, address) {
		return
	}
	onLAN = onLAN && lanAddress() != (netip.Addr{})
	listen := (&net.ListenConfig{}).Listen
	if onLAN {
		listen = func(ctx context.Context, _, address string) (net.Listener, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return lan.Listen(ctx, port)
		}
	}
	l, err := listen(ctx, "tcp", defaultServe)
	if err != nil { // another program was faster, or the call reports that there is no server
		s.log.Info("no server could be started", "error", err)
		return
	}
	suffix := ""
	if onLAN {
		suffix = ", for your local network, too"
	}
	tell(fmt.Sprintf("No server at %s: this program serves until you leave%s.", address, suffix))
	s.serve(ctx, l, onLAN)
}

// startOnLAN starts the server for the local network at a free port, and returns its address on this machine. It returns
// errNoLAN if this machine is on no local network.
func (s *ownServer) startOnLAN(ctx context.Context) (server string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if lanAddress() == (netip.Addr{}) {
		return "", errNoLAN
	}
	if s.halt == nil {
		l, err := lan.Listen(ctx, "0")
		if err != nil {
			return "", fmt.Errorf("serving the local network: %w", err)
		}
		s.serve(ctx, l, true)
	}
	return "http://" + net.JoinHostPort("127.0.0.1", s.port), nil
}

// serve serves at l. The caller holds s.mu.
func (s *ownServer) serve(ctx context.Context, l net.Listener, onLAN bool) {
	if onLAN {
		_, s.port, _ = net.SplitHostPort(l.Addr().String())
	}
	s.serving, s.halt = context.WithCancel(context.WithoutCancel(ctx))
	serving := s.serving
	s.wg.Go(func() {
		if err := serveWithin(serving, l, onLAN, s.log); err != nil {
			s.log.Warn("the server in this program", "error", err)
		}
	})
}

// address returns the URL by which programs on the local network reach the server, or "".
func (s *ownServer) address() string {
	if s == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := lanAddress()
	if s.port == "" || a == (netip.Addr{}) {
		return ""
	}
	return (&url.URL{Scheme: "http", Host: net.JoinHostPort(a.String(), s.port)}).String()
}

// servesLAN reports whether the server serves the local network.
func (s *ownServer) servesLAN() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port != ""
}

// announce announces a call on the local network, if the server serves it, with its beacons, instead of the call before. It calls failed
// if that is impossible.
func (s *ownServer) announce(call string, beacons func() []string, failed func(error)) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.port == "" || s.call == call {
		return
	}
	port, err := net.LookupPort("tcp", s.port)
	if err != nil {
		return
	}
	if s.announced != nil {
		s.announced()
	}
	var ctx context.Context
	ctx, s.announced = context.WithCancel(s.serving)
	s.call = call
	s.wg.Go(func() { lan.Announce(ctx, beacons, port, s.log, failed) })
}

// stopAnnouncing ends the announcement, if there is one.
func (s *ownServer) stopAnnouncing() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.announced != nil {
		s.announced()
		s.announced, s.call = nil, ""
	}
}

// retire ends the server while the program goes on, so that the other side does not wait there. It can start again.
func (s *ownServer) retire() {
	if s == nil {
		return
	}
	s.stopAnnouncing()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.halt != nil {
		s.halt()
		s.halt, s.port = nil, ""
	}
}

// stop ends the watch and the server, and waits for their end.
func (s *ownServer) stop() {
	s.unwatch()
	s.mu.Lock()
	if s.halt != nil {
		s.halt()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// lanAddress returns this machine's address that a person on the local network can type, or the zero Addr.
func lanAddress() netip.Addr { return typable(routedAddresses(), lan.Addresses()) }

// typable returns that of a machine's addresses that a person on the local network can type, or the zero Addr: a private IPv4 address if there
// is one, of a default route at best. The address of a bridge, or one that the system has taken because no router gave it any, comes after an
// IPv6 address with a route. A machine with a public IPv4 address is on the Internet, and needs no IPv6 address for neighbours.
// A link-local IPv6 address says nothing without the name of an interface, and ICE does not use it (RFC 8445, section 5.1.1.1).
func typable(routed []netip.Addr, on []lan.Address) netip.Addr {
	for _, fits := range preferences(routed, on) {
		if i := slices.IndexFunc(on, fits); i >= 0 {
			return on[i].Addr
		}
	}
	return netip.Addr{}
}

// preferences returns which addresses typable takes, the best first.
func preferences(routed []netip.Addr, on []lan.Address) []func(lan.Address) bool {
	isRouted := func(a lan.Address) bool { return slices.Contains(routed, a.Addr) }
	private4 := func(a lan.Address) bool { return a.Is4() && a.IsPrivate() }
	public := slices.ContainsFunc(on, isPublic4)
	global6 := func(a lan.Address) bool { return !public && a.Is6() && a.IsGlobalUnicast() }
	with6 := slices.ContainsFunc(on, func(a lan.Address) bool { return global6(a) && isRouted(a) })
	return []func(lan.Address) bool{
		func(a lan.Address) bool { return private4(a) && isRouted(a) },
		func(a lan.Address) bool { return private4(a) && !a.Bridge },
		func(a lan.Address) bool { return with6 && global6(a) && a.IsPrivate() },
		func(a lan.Address) bool { return with6 && global6(a) && isRouted(a) },
		private4,
		func(a lan.Address) bool { return a.Is4() && a.IsLinkLocalUnicast() },
		func(a lan.Address) bool { return global6(a) && a.IsPrivate() },
		global6,
	}
}

// noHosts4 are IPv4 networks of which an address on an interface does not put the machine on the IPv4 Internet: of providers' NATs, which
// some VPNs use (RFC 6598), and of translation from IPv6 (RFC 7335).
var noHosts4 = []netip.Prefix{netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/29")}

// isPublic4 reports whether a is an IPv4 address that others on the Internet reach.
func isPublic4(a lan.Address) bool {
	return a.Is4() && a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(noHosts4, func(p netip.Prefix) bool { return p.Contains(a.Addr) })
}

// reachable reports whether a program listens where server is.
func reachable(ctx context.Context, server string) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
