package peer

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/pion/mdns/v2"
	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"
	"golang.org/x/net/ipv4"
)

// Browsers hide a machine's own addresses behind names of multicast DNS (RFC 6762), as
// draft-ietf-mmusic-mdns-ice-candidates has it. Without the address, nothing that this side
// sends opens its own firewall for the browser's checks.
const (
	mostHidden  = 16              // names of the other side that are asked for
	hiddenLimit = 5 * time.Second // for an answer
	hiddenPace  = time.Second     // between two questions
)

// hiddenName is what section 3.1.1 of the draft makes a name of: nothing else is asked for.
var hiddenName = regexp.MustCompile(`(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.local$`)

// revealed is posted to run: a candidate of the other side, with its address.
type revealed webrtc.ICECandidateInit

// A hiddenNames asks the local network for the addresses behind such names.
type hiddenNames struct {
	ctx        context.Context // ends all questions
	interfaces []*transport.Interface
	log        pionLog

	asked int // owned by run

	once sync.Once
	conn *mdns.Conn
	err  error
}

// newHiddenNames makes one. It returns nil for a network that is not the machine's own, and with RelayOnly:
// a question shows the local network this machine's address.
func newHiddenNames(ctx context.Context, machine transport.Net, config Config) *hiddenNames {
	own, ok := machine.(*machineNet)
	if !ok || config.RelayOnly {
		return nil
	}
	return &hiddenNames{ctx: ctx, interfaces: own.interfaces, log: pionLog{config.Log}}
}

// reveal asks for the address of a candidate of the other side that hides it. It tells whether
// the candidate is one of those.
func (a *attempt) reveal(c webrtc.ICECandidateInit) bool {
	words := strings.Fields(c.Candidate)
	if len(words) < 8 || !strings.HasSuffix(strings.ToLower(words[4]), ".local") {
		return false
	}
	if a.hidden == nil || a.hidden.asked == mostHidden || !hiddenName.MatchString(words[4]) {
		return true
	}
	a.hidden.asked++
	a.wg.Go(func() {
		at, err := a.hidden.lookUp(words[4])
		if err != nil {
			a.log.Info("an address of the other side stays hidden", "name", words[4], "why", err)
			return
		}
		words[4] = at.String()
		c.Candidate = strings.Join(words, " ")
		a.post(revealed(c))
	})
	return true
}

func (h *hiddenNames) lookUp(name string) (netip.Addr, error) {
	h.once.Do(h.open)
	if h.err != nil {
		return netip.Addr{}, h.err
	}
	ctx, cancel := context.WithTimeout(h.ctx, hiddenLimit)
	defer cancel()
	_, at, err := h.conn.QueryAddr(ctx, name)
	_, private := privateBlock(at)
	switch {
	case err != nil:
		return at, err
	case !isReachable(at) || at.IsLoopback() || !private && !inNetworks(at.Unmap(), networksOf(h.interfaces)):
		return at, errors.New("it is no address of a machine on this network")
	}
	return at.Unmap(), nil
}

func (h *hiddenNames) open() {
	// Go has other programs use the port, too, if the address is one of a group.
	group, err := net.ResolveUDPAddr("udp4", mdns.DefaultAddressIPv4)
	if err != nil {
		h.err = err
		return
	}
	socket, err := net.ListenUDP("udp4", group)
	if err != nil {
		h.err = err
		return
	}
	interfaces := make([]net.Interface, len(h.interfaces))
	for i, each := range h.interfaces {
		interfaces[i] = each.Interface
	}
	h.conn, h.err = mdns.NewServer(ipv4.NewPacketConn(socket), nil, mdns.WithInterfaces(interfaces...), mdns.WithLoggerFactory(h.log), mdns.WithQueryInterval(hiddenPace))
	if h.err != nil {
		_ = socket.Close() // it was not used
	}
}

// close ends what open began; nobody looks up anything any more.
func (h *hiddenNames) close() {
	if h != nil && h.conn != nil {
		_ = h.conn.Close() // nothing is lost
	}
}
