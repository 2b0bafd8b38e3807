package natsstore_test

import (
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"p2pchat/signaling/memstore"
	"p2pchat/signaling/natsstore"
)

func TestMain(m *testing.M) {
	if node := os.Getenv(nodeVariable); node != "" {
		runNode(node)
		return
	}
	_ = flag.Set("test.parallel", "6") // more than there are processors: these tests wait for elections and timeouts
	_ = flag.Set("rapid.checks", "8")  // instead of 100: each write is a round trip to a quorum
	goleak.VerifyTestMain(m,
		// A NATS server leaves this goroutine after its shutdown.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*Server).startGoRoutine.func1"),
	)
}

// A cluster of NATS servers, in this process.
type cluster struct {
	t       testing.TB
	options []*server.Options
	nodes   []*server.Server // nil: killed
}

// nats runs n NATS servers with JetStream until the test ends.
func nats(t testing.TB, n int) *cluster {
	t.Helper()
	c := &cluster{t: t, nodes: make([]*server.Server, n)}
	ports := freePorts(t, 2*n)
	for i := range n {
		c.options = append(c.options, options(i, ports, t.TempDir()))
		c.start(i)
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.kill(i)
		}
	})
	c.eventually("the nodes accept clients", func() bool {
		for _, node := range c.nodes {
			if !node.ReadyForConnections(time.Second) || !node.JetStreamEnabled() {
				return false
			}
		}
		return true
	})
	if n > 1 {
		c.eventually("the nodes have a leader", func() bool {
			leader := c.leader()
			return leader >= 0 && len(c.nodes[leader].JetStreamClusterPeers()) == n
		})
	}
	return c
}

// node runs one NATS server until the test ends.
func node(t testing.TB, change func(*server.Options)) *cluster {
	t.Helper()
	c := &cluster{t: t, nodes: make([]*server.Server, 1), options: []*server.Options{options(0, freePorts(t, 2), t.TempDir())}}
	change(c.options[0])
	c.start(0)
	t.Cleanup(func() { c.kill(0) })
	c.eventually("the node accepts clients", func() bool { return c.nodes[0].ReadyForConnections(time.Second) })
	return c
}

// options returns the configuration of node i of a cluster. The first half of the ports is for
// clients, the second half for the other nodes.
func options(i int, ports []int, dir string) *server.Options {
	n := len(ports) / 2
	o := &server.Options{
		ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: ports[i], NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, DisableJetStreamBanner: true, Username: "ann", Password: "s3cret",
	}
	if n == 1 {
		return o
	}
	for _, port := range ports[n:] {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", port)})
	}
	o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[n+i], PoolSize: -1}
	return o
}

// leader returns the index of the node that leads the cluster, or -1.
func (c *cluster) leader() int {
	for i, node := range c.nodes {
		if node != nil && node.JetStreamIsLeader() {
			return i
		}
	}
	return -1
}

func (c *cluster) start(i int) {
	c.t.Helper()
	node, err := server.NewServer(c.options[i].Clone())
	if err != nil {
		c.t.Fatal(err)
	}
	node.Start()
	c.nodes[i] = node
}

func (c *cluster) kill(i int) {
	if node := c.nodes[i]; node != nil {
		c.nodes[i] = nil
		node.Shutdown()
		node.WaitForShutdown()
	}
}

// url returns the address of all nodes, for a store.
func (c *cluster) url() string {
	var ports []int
	for _, o := range c.options {
		ports = append(ports, o.Port)
	}
	return address(ports)
}

func address(ports []int) string {
	var hosts []string
	for _, port := range ports {
		hosts = append(hosts, fmt.Sprint("127.0.0.1:", port))
	}
	return "nats://ann:s3cret@" + strings.Join(hosts, ",")
}

// open opens a store whose stream has that name.
func (c *cluster) open(t testing.TB, name string, limits memstore.Limits) *natsstore.Store {
	t.Helper()
	s, err := natsstore.Open(t.Context(), natsstore.Config{URL: c.url(), Name: name, Limits: limits, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// eventually waits until a condition that other goroutines or nodes bring about is true.
func (c *cluster) eventually(what string, isTrue func() bool) {
	c.t.Helper()
	eventually(c.t, what, isTrue)
}

func eventually(t testing.TB, what string, isTrue func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !isTrue(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen within 30 s: %s", what)
		}
	}
}

// freePorts returns n ports that are free now.
func freePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
