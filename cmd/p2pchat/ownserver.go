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

// lanAddress returns this machine's address that a person on the local network can type, or the zero Addr: a private address of a
// default route if there is one. On a machine without IPv4 it is an IPv6 address, but no link-local one, which says nothing without the
// name of an interface, and which ICE does not use (RFC 8445, section 5.1.1.1).
func lanAddress() netip.Addr {
	list := routedAddresses()
	all, _ := net.InterfaceAddrs() // none if it fails
	for _, one := range all {
		if p, err := netip.ParsePrefix(one.String()); err == nil {
			list = append(list, p.Addr().Unmap())
		}
	}
	return typable(list)
}

// typable returns that of a machine's addresses that a person on the local network can type, or the zero Addr.
func typable(list []netip.Addr) netip.Addr {
	isIPv4 := func(a netip.Addr) bool { return a.Is4() && !a.IsLoopback() }
	has4 := slices.ContainsFunc(list, isIPv4)
	for _, fits := range []func(netip.Addr) bool{
		func(a netip.Addr) bool { return isIPv4(a) && a.IsPrivate() },
		func(a netip.Addr) bool { return isIPv4(a) && a.IsLinkLocalUnicast() },
		func(a netip.Addr) bool { return !has4 && a.Is6() && a.IsPrivate() },
		func(a netip.Addr) bool { return !has4 && a.Is6() && a.IsGlobalUnicast() },
	} {
		if i := slices.IndexFunc(list, fits); i >= 0 {
			return list[i]
		}
	}
	return netip.Addr{}
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
