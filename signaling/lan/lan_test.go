package lan

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	moveAway()
	goleak.VerifyTestMain(m)
}

// What pion says while it works is kept out of the log; what goes wrong there is for those who look for faults.
func TestQuiet(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	log := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l := quiet{log}.NewLogger("mdns")
	l.Trace("talk")
	l.Tracef("talk %d", 1)
	l.Debug("talk")
	l.Debugf("talk %d", 2)
	l.Info("talk")
	l.Infof("talk %d", 3)
	if text.Len() > 0 {
		t.Errorf("it logs %s", text.String())
	}
	l.Warn("fault 1")
	l.Warnf("fault %d", 2)
	l.Error("fault 3")
	l.Errorf("fault %d", 4)
	for _, want := range []string{"fault 1", "fault 2", "fault 3", "fault 4"} {
		if strings.Count(text.String(), want) != 1 || strings.Contains(text.String(), "level=WARN") {
			t.Errorf("of %q, it logs %s", want, text.String())
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	name := instanceName("417")
	if len(name) > 63 || strings.ContainsAny(name, ".\\") {
		t.Fatalf("%q", name)
	}
	if again := instanceName("417"); again == name {
		t.Errorf("two announcements of one room have one name: %s", again)
	}
	if !announces(name, "417") || !announces(strings.ToUpper(name), "417") {
		t.Error("the room is not recognised")
	}
	for _, other := range []string{"418", "41", "4177", "", "417\x00"} {
		if announces(name, other) {
			t.Errorf("%q is taken for 417", other)
		}
	}
}

func FuzzName(f *testing.F) {
	name := instanceName("417")
	for _, seed := range []string{name, name[1:], name + "a", "", "417", "\x1b[2J"} {
		f.Add(seed, "417")
	}
	f.Fuzz(func(t *testing.T, name, room string) {
		if announces(name, room) && !announces(strings.ToLower(name), room) {
			t.Errorf("%q announces %q in one case of letters", name, room)
		}
	})
}

func TestNeighbours(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "fe80::1%eth0": true, "::ffff:127.0.0.1": true,
		"203.0.113.7": false, "8.8.8.8": false, "2001:db8::1": false, "10.255.254.253": ownNetwork("10.255.254.253"),
	} {
		if got := isNeighbour(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

// ownNetwork reports whether this machine is on the network of an address.
func ownNetwork(address string) bool {
	list, _ := net.InterfaceAddrs() // then there is none
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && n.Contains(net.ParseIP(address)) {
			return true
		}
	}
	return false
}

func TestListenServesThisMachine(t *testing.T) {
	t.Parallel()
	l, err := Listen(t.Context(), "0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // what it accepted is asked for below
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := accepted.Close(); err != nil {
		t.Error(err)
	}
}
