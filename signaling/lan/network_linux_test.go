package lan

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pion/mdns/v2"
	"golang.org/x/net/ipv4"
)

// aloneVariable tells the test's process that it is in a network namespace of its own.
const aloneVariable = "P2PCHATTEST_ALONE"

// moveAway puts the whole test into a network namespace of its own, if this machine allows that: multicast goes to no real network, and the
// test makes and removes networks as it likes. A namespace belongs to a thread, so the process starts again from the one that has moved.
func moveAway() {
	if _, err := exec.LookPath("ip"); err != nil || os.Geteuid() != 0 || os.Getenv(aloneVariable) != "" {
		return
	}
	program, err := os.Executable()
	if err != nil {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if syscall.Unshare(syscall.CLONE_NEWNET) != nil || exec.CommandContext(context.Background(), "ip", "link", "set", "lo", "up").Run() != nil {
		return
	}
	_ = syscall.Exec(program, os.Args, append(os.Environ(), aloneVariable+"=1")) //nolint:gosec // itself; if it fails, the tests are skipped
}

func skipUnlessAlone(t *testing.T) {
	t.Helper()
	if os.Getenv(aloneVariable) == "" {
		t.Skip("NOT RUN: needs root, ip and a network namespace")
	}
}

// connect gives this machine a network: an interface with addresses, until the test ends or disconnect is called.
func connect(t *testing.T, name string, addresses ...string) (disconnect func()) {
	t.Helper()
	for _, kind := range []string{"all", "default"} { // each interface would have a second address
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+kind+"/disable_ipv6", []byte("1"), 0o600); err != nil {
			t.Skip("NOT RUN:", err)
		}
	}
	ip(t, "link", "add", name, "type", "veth", "peer", "name", name+"x")
	disconnect = sync.OnceFunc(func() { ip(t, "link", "del", name) })
	t.Cleanup(disconnect)
	for _, a := range addresses {
		ip(t, "address", "add", a, "dev", name)
	}
	ip(t, "link", "set", name+"x", "up")
	ip(t, "link", "set", name, "up")
	return disconnect
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(context.Background(), "ip", args...).CombinedOutput(); err != nil { //nolint:gosec // the test's own network
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// soon returns what comes within a minute.
func soon[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(time.Minute):
		t.Fatal("nothing came")
	}
	return v
}

// silent is a log that no one reads.
var silent = slog.New(slog.DiscardHandler)

// announce announces a room until the test ends, and returns a channel of what failed.
func announce(t *testing.T, room string, port int) <-chan error {
	t.Helper()
	failed := make(chan error, 10)
	during(t, func(ctx context.Context) {
		Announce(ctx, func() []string { return []string{room} }, port, silent, func(err error) { failed <- err })
	})
	return failed
}

// find looks for a room until the test ends, and returns a channel of the servers that it finds.
func find(t *testing.T, room string, log *slog.Logger) <-chan string {
	t.Helper()
	servers := make(chan string, 1000)
	during(t, func(ctx context.Context) {
		Find(ctx, func() []string { return []string{room} }, log, func(_, s string) { servers <- s })
	})
	return servers
}

// during runs do until the test ends.
func during(t *testing.T, do func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { do(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

// awaitServer reads until one of the servers has the port, and returns its host. None but those at the ports may be found.
func awaitServer(t *testing.T, servers <-chan string, port string, others ...string) (host string) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case s := <-servers:
			u, err := url.Parse(s)
			if err != nil || u.Scheme != "http" || u.Port() != port && !slices.Contains(others, u.Port()) {
				t.Fatalf("%q was found, %v", s, err)
			}
			if u.Port() == port {
				return u.Hostname()
			}
		case <-limit:
			t.Fatalf("port %s was not found", port)
		}
	}
}

// An announced room is found by those who look for it, and by no one who looks for another one. What is announced by liars leads to no
// machine elsewhere.
func TestOnlyTheRoomIsFound(t *testing.T) {
	skipUnlessAlone(t)
	connect(t, "lan0", "10.77.0.1/24")
	failed := announce(t, "417", 4170)
	announce(t, "418", 4180)
	lie(t, 0, "10.77.0.1")
	lie(t, 80, "203.0.113.7")
	lie(t, 81, "127.0.0.1")
	lie(t, 82, "10.99.0.1")
	lie(t, 83, "10.77.0.99") // it may be there
	one, other := find(t, "417", silent), find(t, "418", silent)
	awaitServer(t, one, "4170", "83")
	if host := awaitServer(t, one, "83", "4170"); host != "10.77.0.99" {
		t.Error(host)
	}
	awaitServer(t, other, "4180")
	select {
	case err := <-failed:
		t.Error(err)
	default:
	}
}

// lie announces room 417 at an address that may be that of another machine.
func lie(t *testing.T, port uint16, address string) {
	t.Helper()
	name := instanceName("417")
	udp, err := listenUDP("udp4", mdns.DefaultAddressIPv4, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := mdns.NewServer(ipv4.NewPacketConn(udp), nil, mdns.WithLoggerFactory(quiet{silent}), mdns.WithLocalNames(name+".local"),
		mdns.WithLocalAddress(net.ParseIP(address)), mdns.WithService(mdns.ServiceInstance{Instance: name, Service: service, Port: port}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // of a liar
}

// A machine without a network is told so once. It announces and looks on networks that come up later, and on those that replace them.
func TestNetworksComeAndGo(t *testing.T) {
	skipUnlessAlone(t)
	failed := announce(t, "417", 4170)
	words := make(chan string, 100)
	servers := find(t, "417", slog.New(slog.NewTextHandler(lines(words), nil)))
	if err := soon(t, failed); !errors.Is(err, ErrNoNetwork) {
		t.Error(err)
	}
	if line := soon(t, words); !strings.Contains(line, "no search on the local network") {
		t.Error(line)
	}
	gone := connect(t, "lan0", "10.77.0.1/24")
	if host := awaitServer(t, servers, "4170"); host != "10.77.0.1" {
		t.Error(host)
	}
	gone()
	connect(t, "lan1", "10.78.0.1/24")
	for awaitServer(t, servers, "4170") != "10.78.0.1" { // once more as before, perhaps
		continue
	}
	if len(failed) > 0 || len(words) > 0 {
		t.Errorf("it is told again: %d, %d", len(failed), len(words))
	}
}

// lines is an io.Writer of lines.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// A server for neighbours closes connections from elsewhere, whatever network they come through.
func TestListenServesNeighboursOnly(t *testing.T) {
	skipUnlessAlone(t)
	connect(t, "lan0", "10.77.0.1/24", "10.77.0.2/24", "203.0.113.7/32")
	l, err := Listen(t.Context(), "0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan string, 10)
	during(t, func(context.Context) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c.RemoteAddr().(*net.TCPAddr).IP.String()
			_ = c.Close() // it has served
		}
	})
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"203.0.113.7", "10.77.0.2"} {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort("10.77.0.1", port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if from := soon(t, accepted); from != "10.77.0.2" {
		t.Errorf("%s was served", from)
	}
	if second, err := Listen(t.Context(), port); err == nil {
		t.Error("two servers have one port")
		_ = second.Close() // it is no server
	}
}
