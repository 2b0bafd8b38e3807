package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pion/mdns/v2"
	"golang.org/x/net/ipv4"

	"p2pchat/signaling/lan"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
)

func TestNATNeighboursLearnNothingOfContacts(t *testing.T) {
	needsLab(t)
	t.Parallel()
	l := newLAN(t, "a", "b", "m")
	p := l.keepsOnLAN(false)
	p.states["m"] = filepath.Join(t.TempDir(), "m")
	stranger := p.runs("m", "call", "418-falcon-zebra", "--keep", "ann")
	p.sees(stranger, `"type":"waiting"`)
	friend := p.runs("b", "answer", "418-falcon-zebra", "--keep", "mallory") // m keeps b, too, as ann
	p.sees(stranger, `"type":"kept"`)
	p.sees(friend, `"type":"kept"`)
	p.leave(stranger, friend)

	keys := p.book("m")[0].Keys
	recognised := l.looks("m", func() []string {
		all := append(keys.Beacons(time.Now()), keys.OwnBeacons(time.Now())...)
		for _, g := range keys.Generations {
			all = append(all, g.ID())
		}
		return append(all, "418", "417")
	})
	seen := map[string]bool{}
	for call := range 3 {
		names := l.namesOnTheWire("m")
		a := p.runs("a", "call", "@ben")
		p.sees(a, `"type":"waiting"`)
		var now []string
		eventually(t, func() bool { now = names.list(); return len(now) >= 2 }, func() string { return fmt.Sprintf("%d names are announced", len(now)) })
		b := p.runs("b", "answer", "@ann")
		p.talks(a, b)
		names.stop()
		if now = names.list(); len(now) != 2 {
			t.Errorf("call %d: %d names", call, len(now))
		}
		for _, n := range now {
			if seen[n] || len(n) != 32 {
				t.Errorf("call %d: the name %s was seen before, or is none", call, n)
			}
			seen[n] = true
		}
		p.leave(a, b)
	}
	if server := recognised(); server != "" {
		t.Errorf("the third machine recognises a call, at %s", server)
	}
}

func TestNATNeighbourRepeatsABeacon(t *testing.T) {
	needsLab(t)
	t.Parallel()
	fails := func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	}
	serves := func() http.Handler {
		return server.New(memstore.New(memstore.Limits{}), server.Config{Log: slog.New(slog.DiscardHandler)})
	}
	for _, c := range []struct {
		name    string
		command []string
		handler func() http.Handler
	}{
		{"answer, the server fails", []string{"answer", "@ann"}, fails},
		{"call, the server fails", []string{"call", "@ann", "--lan", "always"}, fails},
		{"listen, the server fails", []string{"listen"}, fails},
		{"answer, the server answers", []string{"answer", "@ann"}, serves},
		{"answer on the local network, the server answers", []string{"answer", "@ann", "--lan", "always"}, serves},
		{"call, the server answers", []string{"call", "@ann", "--lan", "always"}, serves},
		{"listen, the server answers", []string{"listen"}, serves},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			command := c.command
			key := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(key, []byte("sesame-sesame-sesame"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := newLAN(t, "a", "b", "m").keepsOnLAN(false)
			names := p.namesOnTheWire("m")
			a := p.runs("a", "call", "@ben", "--lan", "always")
			eventually(t, func() bool { return len(names.list()) >= 2 }, func() string { return "no names are announced" })
			stopped := a.cmd.Process // so that only the neighbour answers
			if err := stopped.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			asked := p.repeats("m", names.list(), c.handler())

			b := p.runs("b", append(slices.Clone(command), "--access-key-file", key)...)
			if header := <-asked; strings.Contains(fmt.Sprint(header), "sesame") {
				t.Errorf("the neighbour gets the access key: %v", header)
			}
			if err := stopped.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			if command[0] == "listen" {
				p.sees(a, `"type":"ringing"`)
				return
			}
			p.talks(a, b)
			p.leave(a, b)
		})
	}
}

func (l *lab) repeats(on string, names []string, handler http.Handler) <-chan http.Header {
	l.Helper()
	asked := make(chan http.Header, 1000)
	var conns []*mdns.Conn
	err := inNamespace(l.ns(on), func() error {
		port, err := net.ListenTCP("tcp4", nil)
		if err != nil {
			return err
		}
		server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case asked <- r.Header.Clone():
			default:
			}
			handler.ServeHTTP(w, r)
		})}
		go func() { _ = server.Serve(port) }() // until the test ends
		l.Cleanup(func() { _ = server.Close() })
		for _, name := range names {
			udp, err := onTheWire()
			if err != nil {
				return err
			}
			conn, err := mdns.NewServer(ipv4.NewPacketConn(udp), nil, mdns.WithLocalNames(name+".local"),
				mdns.WithService(mdns.ServiceInstance{Instance: name, Service: "_p2pchat._tcp", Port: uint16(port.Addr().(*net.TCPAddr).Port)})) //nolint:gosec // a port
			if err != nil {
				return err
			}
			conns = append(conns, conn)
		}
		return nil
	})
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() {
		for _, c := range conns {
			_ = c.Close() // of a liar
		}
	})
	return asked
}

func onTheWire() (*net.UDPConn, error) {
	addr, err := net.ResolveUDPAddr("udp4", mdns.DefaultAddressIPv4)
	if err != nil {
		return nil, err
	}
	wire, err := net.InterfaceByName("eth0")
	if err != nil {
		return nil, err
	}
	return net.ListenMulticastUDP("udp4", wire, addr)
}

func (l *lab) looks(on string, beacons func() []string) func() string {
	ctx, cancel := context.WithCancel(context.Background())
	server := ""
	var wg sync.WaitGroup
	wg.Go(func() {
		err := inNamespace(l.ns(on), func() error {
			lan.Find(ctx, beacons, slog.New(slog.DiscardHandler), func(_, at string) { server = at })
			return nil
		})
		if err != nil {
			l.Error(err)
		}
	})
	return func() string {
		cancel()
		wg.Wait()
		return server
	}
}

type nameList struct {
	mu   sync.Mutex
	all  []string
	stop func()
}

func (n *nameList) list() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.all...)
}

func (l *lab) namesOnTheWire(on string) *nameList {
	l.Helper()
	n := &nameList{}
	var conn *mdns.Conn
	err := inNamespace(l.ns(on), func() error {
		udp, err := onTheWire()
		if err != nil {
			return err
		}
		conn, err = mdns.NewServer(ipv4.NewPacketConn(udp), nil, mdns.WithQueryInterval(200*time.Millisecond))
		return err
	})
	if err != nil {
		l.Fatal(err)
	}
	conn.OnServiceDiscovered(func(e mdns.ServiceEvent) {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, one := range n.all {
			if one == strings.ToLower(e.Instance.Instance) {
				return
			}
		}
		n.all = append(n.all, strings.ToLower(e.Instance.Instance))
	})
	ctx, cancel := context.WithCancel(context.Background())
	if err := conn.Browse(ctx, "_p2pchat._tcp"); err != nil {
		l.Fatal(fmt.Errorf("browsing: %w", err))
	}
	n.stop = sync.OnceFunc(func() {
		cancel()
		_ = conn.Close() // of a listener
	})
	l.Cleanup(n.stop)
	return n
}
