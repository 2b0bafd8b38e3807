package peer_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v5/vnet"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// A network is a wire between two machines. Everything on it, and pion itself, runs
// under testing/synctest: the time it takes is exact, and costs none.
type network struct {
	router         *vnet.Router
	caller, callee *vnet.Net
	cut            atomic.Bool // nothing gets through
}

// addresses guards the counter from which vnet makes MAC addresses, because tests run at once.
var addresses sync.Mutex

// newNetwork returns a network on which a packet takes delay.
func newNetwork(t *testing.T, delay time.Duration) *network {
	t.Helper()
	router, err := newRouter(&vnet.RouterConfig{CIDR: "10.0.0.0/24", MinDelay: delay, LoggerFactory: logging.NewDefaultLoggerFactory()})
	if err != nil {
		t.Fatal(err)
	}
	n := &network{router: router}
	n.caller, n.callee = machine(t, router, "10.0.0.1"), machine(t, router, "10.0.0.2")
	router.AddChunkFilter(func(vnet.Chunk) bool { return !n.cut.Load() })
	if err := router.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := router.Stop(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func machine(t *testing.T, router *vnet.Router, addresses ...string) *vnet.Net {
	t.Helper()
	n, err := newNet(&vnet.NetConfig{StaticIPs: addresses})
	if err == nil {
		err = router.AddNet(n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// calls starts a Call on the caller's machine, closed with the test. The wire is cut then:
// a close that meets the other side's would wait inside pion for 200 ms with a lock,
// and virtual time stands still for that.
func (n *network) calls(t *testing.T, at signaling.Store, room string, config peer.Config) *peer.Session {
	t.Helper()
	s := calling(t, at, room, config.Over(n.caller))
	t.Cleanup(n.sever)
	return s
}

// answers starts an Answer on the callee's machine.
func (n *network) answers(t *testing.T, at signaling.Store, room string, config peer.Config) *peer.Session {
	t.Helper()
	s := answering(t, at, room, config.Over(n.callee))
	t.Cleanup(n.sever)
	return s
}

// connect joins the two machines through at.
func (n *network) connect(t *testing.T, at signaling.Store) (caller, callee *peer.Session) {
	t.Helper()
	return n.connectWith(t, at, quiet())
}

func (n *network) connectWith(t *testing.T, at signaling.Store, config peer.Config) (caller, callee *peer.Session) {
	t.Helper()
	return n.calls(t, at, room, config), n.answers(t, at, room, config)
}

func (n *network) sever() { n.cut.Store(true) }

// newRouter returns vnet.NewRouter's. Its MAC address is of a global counter.
func newRouter(c *vnet.RouterConfig) (*vnet.Router, error) {
	addresses.Lock()
	defer addresses.Unlock()
	return vnet.NewRouter(c)
}

// newNet returns vnet.NewNet's, with such an address, too.
func newNet(c *vnet.NetConfig) (*vnet.Net, error) {
	addresses.Lock()
	defer addresses.Unlock()
	return vnet.NewNet(c)
}
