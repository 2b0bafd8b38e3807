// Package portmap asks the default gateway for a UDP port that leads to this machine: with PCP (RFC 6887), NAT-PMP
// (RFC 6886) or UPnP IGD, whichever the gateway speaks.
//
//	machine                                  gateway
//	  | MAP ───────────────────────────────▶ 5351 |  PCP; a gateway that knows NAT-PMP alone says so
//	  | M-SEARCH, at the same time ────────▶ 1900 |  SSDP: where its description is
//	  | ◀──────────────── an external address     |
//	  | again at half of the lifetime ─────▶      |
//	  | lifetime 0, at the end ────────────▶      |
//
// All packets go to the gateway's own address, which must be private, and only answers from there are read: their size,
// depth and time are bounded. It knows nothing of ICE.
package portmap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	lifetime    = 30 * time.Minute // that is asked for: a program that is killed leaves its port open for so long
	leastWait   = time.Minute      // between two requests for the same port, whatever lifetime a gateway grants
	findLimit   = 3 * time.Second  // for all protocols together
	removeLimit = 500 * time.Millisecond
)

// Errors of a gateway.
var (
	// ErrNoGateway: there is no default gateway, or its address is public.
	ErrNoGateway = errors.New("this network has no private default gateway")
	// ErrSilent: the gateway speaks none of the protocols.
	ErrSilent = errors.New("the gateway offers neither PCP nor NAT-PMP nor UPnP")
	// ErrNotPublic: the gateway is behind another NAT, so that its port leads nowhere.
	ErrNotPublic = errors.New("the gateway has no public address itself")
	// ErrRefused: the gateway knows the protocol, and says no.
	ErrRefused = errors.New("the gateway refuses")

	errMalformed = errors.New("the gateway's answer makes no sense")
)

// A Gateway is the router that leads from this machine's network to the others.
type Gateway struct {
	At    netip.Addr // its private IPv4 address
	Local netip.Addr // this machine's in the same network

	PCP, SSDP uint16 // UDP ports; if zero, those of the protocols: 5351 and 1900
}

// Default returns the gateway of the IPv4 default route. It sends no packet. It returns ErrNoGateway if there is none
// with a private address, or if packets to other networks leave by another interface, such as a VPN's.
func Default() (Gateway, error) {
	at, err := defaultGateway()
	if err != nil {
		return Gateway{}, fmt.Errorf("%w: %w", ErrNoGateway, err)
	}
	g := Gateway{At: at, Local: sourceTo(at)}
	somewhere := netip.AddrFrom4([4]byte{198, 51, 100, 1}) // RFC 5737
	if !at.Is4() || !at.IsPrivate() || !g.Local.IsPrivate() || g.Local != sourceTo(somewhere) {
		return Gateway{}, ErrNoGateway
	}
	return g, nil
}

// sourceTo returns the address that this machine's packets to another have. No packet is sent.
func sourceTo(at netip.Addr) netip.Addr {
	c, err := net.Dial("udp4", netip.AddrPortFrom(at, 9).String())
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	return localOf(c)
}

func localOf(c net.Conn) netip.Addr {
	u, _ := c.LocalAddr().(*net.UDPAddr)
	return u.AddrPort().Addr().Unmap()
}

// A Mapping is a port of the gateway that leads to a port of this machine.
type Mapping struct {
	Protocol string // pcp, nat-pmp or upnp
	External netip.AddrPort
	Lifetime time.Duration
}

// check returns an error if other networks cannot send to the mapping.
func (m Mapping) check() error {
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10) // RFC 6598
	a := m.External.Addr()
	switch {
	case m.External.Port() == 0 || m.Lifetime <= 0:
		return errMalformed
	case !a.Is4() || !a.IsGlobalUnicast() || a.IsPrivate() || shared.Contains(a):
		return fmt.Errorf("%w, but %v", ErrNotPublic, a)
	}
	return nil
}

// wait returns the time until the mapping is renewed (RFC 6887, section 11.2.1).
func (m Mapping) wait() time.Duration { return max(min(m.Lifetime, lifetime)/2, leastWait) }

// A mapper maps one port with one protocol.
type mapper interface {
	// add makes the mapping, or renews it.
	add(ctx context.Context) (Mapping, error)
	// remove takes back what add has asked for, if it has.
	remove(ctx context.Context)
}

// open maps a UDP port with the first protocol that works.
func (g Gateway) open(ctx context.Context, port uint16) (mapper, Mapping, error) {
	ctx, cancel := context.WithTimeout(ctx, findLimit)
	var described sync.WaitGroup
	defer described.Wait()
	defer cancel()
	second, secondErr := &igd{gateway: g, port: port, external: port}, error(nil)
	described.Go(func() { secondErr = second.discover(ctx) })

	first, err := newPCP(g, port)
	if err != nil {
		return nil, Mapping{}, err
	}
	m, err := first.add(ctx)
	if err == nil {
		return first, m, nil
	}
	first.remove(ended)
	if described.Wait(); secondErr == nil {
		if m, secondErr = second.add(ctx); secondErr == nil {
			return second, m, nil
		}
		removeNow(second)
	}
	if errors.Is(secondErr, ErrSilent) {
		return nil, Mapping{}, err
	}
	return nil, Mapping{}, secondErr
}

// ended is a context that has ended.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// Try maps a port, removes the mapping, and returns what it was.
func (g Gateway) Try(ctx context.Context) (Mapping, error) {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(g.Local, 0)))
	if err != nil {
		return Mapping{}, fmt.Errorf("opening a socket: %w", err)
	}
	defer func() { _ = c.Close() }() // nothing is on its way
	u, _ := c.LocalAddr().(*net.UDPAddr)
	opened, m, err := g.open(ctx, u.AddrPort().Port())
	if err != nil {
		return Mapping{}, err
	}
	removeNow(opened)
	return m, nil
}

func removeNow(m mapper) {
	ctx, cancel := context.WithTimeout(context.Background(), removeLimit)
	defer cancel()
	m.remove(ctx)
}

// A Keeper keeps one port mapped. A nil Keeper keeps none.
type Keeper struct {
	cancel context.CancelFunc
	done   chan struct{}
	log    *slog.Logger
	tell   func(Mapping)
}

// Keep maps a UDP port of the address g.Local, and renews the mapping until Release. It returns at once. It calls tell
// from a goroutine of its own when it has a mapping, and again when another external address has replaced it.
func Keep(g Gateway, port uint16, log *slog.Logger, tell func(Mapping)) *Keeper {
	return keep(func(ctx context.Context) (mapper, Mapping, error) { return g.open(ctx, port) }, log, tell)
}

func keep(open func(context.Context) (mapper, Mapping, error), log *slog.Logger, tell func(Mapping)) *Keeper {
	ctx, cancel := context.WithCancel(context.Background())
	k := &Keeper{cancel, make(chan struct{}), log, tell}
	go func() {
		defer close(k.done)
		k.run(ctx, open)
	}()
	return k
}

// Release begins to remove the mapping. The function wait waits for that: until the gateway has answered, 0.5 s at most.
func (k *Keeper) Release() (wait func()) {
	if k == nil {
		return func() {}
	}
	k.cancel()
	return func() { <-k.done }
}

func (k *Keeper) run(ctx context.Context, open func(context.Context) (mapper, Mapping, error)) {
	port, m, err := open(ctx)
	if err != nil {
		k.log.Debug("no port is mapped", "why", err)
		return
	}
	defer removeNow(port)
	k.log.Debug("the gateway has mapped a port", "protocol", m.Protocol, "external", m.External, "lifetime", m.Lifetime)
	k.tell(m)
	wait := m.wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		renewed, err := port.add(ctx)
		if err != nil {
			k.log.Debug("the mapped port could not be renewed", "why", err)
			wait = max(wait/2, leastWait)
			continue
		}
		if renewed.External != m.External {
			k.tell(renewed)
		}
		m, wait = renewed, renewed.wait()
	}
}
