// Package lan lets two programs meet on a local network without a server that both know: the caller's program serves
// there itself, and announces the beacon of its call by multicast DNS; the callee's program looks for that beacon.
//
//	caller                                          callee
//	Listen: a port for this network alone
//	Announce(beacon) ◀────── who serves _p2pchat._tcp? ── Find(beacon)
//	             ── <salt, hash of salt and beacon>, port, address ──▶ http://address:port
//
// The beacon of a call is what both programs know of it, and the name tells only those which call it is. That of two contacts has 128
// random bits and is another one each hour, so no other program can tell. That of a code is its room: it is short, so neighbours can find
// it by trying, as they can at any server. The secret of a code is not in the name: it could be found by trying, too.
//
// The announcements are DNS-SD service instances (RFC 6763) over multicast DNS (RFC 6762).
package lan

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pion/logging"
	"github.com/pion/mdns/v2"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// service is the type of the announcements (RFC 6763, section 7).
const service = "_p2pchat._tcp"

// lookTime is how long one search lasts before the next one begins: it sees the networks that have come up, and has
// forgotten what its predecessor heard. pion's search forgets nothing while it lasts.
const lookTime = 5 * time.Second

// Queries go out every second at first, and every lookTime when eagerTime is over (RFC 6762, section 5.2).
const eagerTime = time.Minute

// networkInterval is how often an announcement looks whether this machine has other networks.
const networkInterval = time.Second

// foundQueue is how many servers wait at most until a search has reported those before. What does not fit is heard again.
const foundQueue = 8

// ErrNoNetwork is returned if no network of this machine carries multicast.
var ErrNoNetwork = errors.New("no local network carries multicast DNS")

// namesAtOnce is how many names an announcement has at least. Two contacts may have two beacons: fewer are filled up with names of no
// call, so that neighbours cannot tell who calls with a code.
const namesAtOnce = 2

// Announce tells the programs on the local networks that look for one of the beacons that a server at port has it, until ctx
// ends, also on networks that come up later, with other names there. It calls beacons every [networkInterval]: they may change. It calls
// failed, at most once, with an error that wraps [ErrNoNetwork] while there is none.
func Announce(ctx context.Context, beacons func() []string, port int, log *slog.Logger, failed func(error)) {
	for reported := false; ctx.Err() == nil; {
		before, has := networks(), beacons()
		conn, err := open(log, advertise(has, port)...)
		if err != nil && !reported {
			reported = true
			failed(err)
		}
		for pause(ctx, networkInterval) && networks() == before && slices.Equal(beacons(), has) {
			continue
		}
		if conn == nil {
			continue
		}
		if err := conn.Close(); err != nil {
			log.Debug("the end of an announcement", "error", err)
		}
	}
}

// advertise returns what makes a multicast DNS socket announce a server at port for each of the beacons.
func advertise(beacons []string, port int) (all []mdns.ServerOption) {
	for i := range max(len(beacons), namesAtOnce) {
		beacon := rand.Text() // of no call
		if i < len(beacons) {
			beacon = beacons[i]
		}
		name := instanceName(beacon)
		if i == 0 {
			all = append(all, mdns.WithLocalNames(name+".local"))
		}
		all = append(all, mdns.WithService(mdns.ServiceInstance{Instance: name, Service: service, Port: uint16(port)})) //nolint:gosec // a port
	}
	return all
}

// networks describes the interfaces of this machine, and their addresses.
func networks() string {
	links, _ := net.Interfaces() // none if it fails
	addresses, _ := net.InterfaceAddrs()
	return fmt.Sprint(links, addresses)
}

// pause waits, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Find looks for servers on the local networks that announce one of the beacons, and calls found with that beacon and the URL of each,
// until ctx ends. It may call found with one URL again. It calls beacons for each search: they may change.
func Find(ctx context.Context, beacons func() []string, log *slog.Logger, found func(beacon, server string)) {
	begun, told := time.Now(), false
	for ctx.Err() == nil {
		interval := time.Second
		if time.Since(begun) > eagerTime {
			interval = lookTime
		}
		if err := look(ctx, beacons(), interval, log, found); err != nil {
			if !told {
				log.Info("no search on the local network", "error", err)
			}
			told = true
			pause(ctx, lookTime) // a network may come up
		}
	}
}

// look is one search, with a query each interval.
func look(ctx context.Context, beacons []string, interval time.Duration, log *slog.Logger, found func(beacon, server string)) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	conn, err := open(log, mdns.WithQueryInterval(interval))
	if err != nil {
		return err
	}
	servers := make(chan [2]string, foundQueue) // a beacon, and a URL
	conn.OnServiceDiscovered(func(e mdns.ServiceEvent) {
		i := slices.IndexFunc(beacons, func(b string) bool { return announces(e.Instance.Instance, b) })
		if i < 0 || e.Addr.IsLoopback() || !isNeighbour(e.Addr) || e.Instance.Port == 0 {
			return
		}
		host := net.JoinHostPort(e.Addr.String(), strconv.Itoa(int(e.Instance.Port)))
		select {
		case servers <- [2]string{beacons[i], (&url.URL{Scheme: "http", Host: host}).String()}:
		default:
		}
	})
	if err := conn.Browse(ctx, service); err != nil {
		return errors.Join(err, conn.Close())
	}
	for {
		select {
		case s := <-servers:
			found(s[0], s[1])
		case <-ctx.Done():
			return conn.Close()
		}
	}
}

// open returns a multicast DNS socket on all networks of links.
func open(log *slog.Logger, options ...mdns.ServerOption) (*mdns.Conn, error) {
	on := links()
	if len(on) == 0 {
		return nil, ErrNoNetwork
	}
	var v4 *ipv4.PacketConn
	var v6 *ipv6.PacketConn
	udp4, err4 := listenUDP("udp4", mdns.DefaultAddressIPv4, keepToLink("224.0.0.251"))
	if err4 == nil {
		v4 = ipv4.NewPacketConn(udp4)
		_ = v4.SetTTL(oneHop) // or routers may forward it
	}
	udp6, err6 := listenUDP("udp6", mdns.DefaultAddressIPv6, keepToLink("ff02::fb"))
	if err6 == nil {
		v6 = ipv6.NewPacketConn(udp6)
		_ = v6.SetHopLimit(oneHop) // the same
	}
	if v4 == nil && v6 == nil {
		return nil, fmt.Errorf("%w: %w", ErrNoNetwork, errors.Join(err4, err6))
	}
	conn, err := mdns.NewServer(v4, v6, append(options, mdns.WithInterfaces(on...), mdns.WithLoggerFactory(quiet{log}), mdns.WithCacheRefresh(false))...)
	if err != nil {
		for _, udp := range []*net.UDPConn{udp4, udp6} {
			if udp != nil {
				_ = udp.Close() // nothing was sent
			}
		}
		return nil, fmt.Errorf("%w: %w", ErrNoNetwork, err)
	}
	return conn, nil
}

// listenUDP opens a socket that is passed to control, which may be nil, before anything reaches it.
func listenUDP(network, address string, control func(network, address string, c syscall.RawConn) error) (*net.UDPConn, error) {
	conn, err := (&net.ListenConfig{Control: control}).ListenPacket(context.Background(), network, address) // nothing is looked up
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// Lengths of the parts of a name, in bytes. In base32 the whole has 32 characters; 63 are allowed (RFC 1035, section 2.3.4).
const (
	saltLength = 4
	hashLength = 16
)

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// instanceName returns a name for beacon that only those who know it recognise. It is another one each time.
func instanceName(beacon string) string {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails
	return encoding.EncodeToString(append(salt, hash(salt, beacon)...))
}

// announces reports whether name was made for beacon.
func announces(name, beacon string) bool {
	b, err := encoding.DecodeString(strings.ToLower(name))
	return err == nil && len(b) == saltLength+hashLength && subtle.ConstantTimeCompare(b[saltLength:], hash(b[:saltLength], beacon)) == 1
}

func hash(salt []byte, beacon string) []byte {
	h := sha256.Sum256(append([]byte("p2pchat room on a local network, version 1\x00"+string(salt)), beacon...))
	return h[:hashLength]
}

// isNeighbour reports whether a is a private address of a network that this machine is connected to, or this
// machine's own. The neighbours of an IPv6 network may have no private ones.
func isNeighbour(a netip.Addr) bool {
	a = a.Unmap()
	if a.IsLoopback() || a.Is6() && a.IsLinkLocalUnicast() {
		return true // an address of the link that the packet came from
	}
	if a.Is4() && !a.IsPrivate() && !a.IsLinkLocalUnicast() {
		return false
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, one := range list {
		if p, err := netip.ParsePrefix(one.String()); err == nil && p.Contains(a.WithZone("")) && (a.Is4() || p.Bits() >= smallest6) {
			return true
		}
	}
	return false
}

// smallest6 is how long the prefix of one IPv6 network is at least (RFC 4291, section 2.5.4): a shorter one is not of one link.
const smallest6 = 64

// quiet is the logger of pion/mdns: a network that drops packets is no news.
type quiet struct{ log *slog.Logger }

func (q quiet) NewLogger(string) logging.LeveledLogger { return q }
func (q quiet) Trace(string)                           {}
func (q quiet) Tracef(string, ...any)                  {}
func (q quiet) Debug(string)                           {}
func (q quiet) Debugf(string, ...any)                  {}
func (q quiet) Info(string)                            {}
func (q quiet) Infof(string, ...any)                   {}
func (q quiet) Warn(text string)                       { q.log.Debug("multicast DNS", "notice", text) }
func (q quiet) Warnf(format string, args ...any)       { q.Warn(fmt.Sprintf(format, args...)) }
func (q quiet) Error(text string)                      { q.Warn(text) }
func (q quiet) Errorf(format string, args ...any)      { q.Warnf(format, args...) }
