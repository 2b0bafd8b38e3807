package peer_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v5/vnet"
	"github.com/pion/turn/v5"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

const relayAddress = "10.0.0.3"

// relayed starts a TURN server on the network.
func relayed(t *testing.T, n *network) signaling.ICEServer {
	t.Helper()
	third := machine(t, n.router, relayAddress)
	conn, err := third.ListenPacket("udp4", relayAddress+":3478")
	if err != nil {
		t.Fatal(err)
	}
	return relaying(t, conn, &turn.RelayAddressGeneratorStatic{RelayAddress: net.ParseIP(relayAddress), Address: relayAddress, Net: third})
}

// relaying starts a TURN server that listens on conn, for clients that know the password.
func relaying(t *testing.T, conn net.PacketConn, addresses turn.RelayAddressGenerator) signaling.ICEServer {
	t.Helper()
	return permitting(t, conn, addresses, nil)
}

// permitting starts a TURN server that asks permit about each address that it learns, unless permit is nil.
func permitting(t *testing.T, conn net.PacketConn, addresses turn.RelayAddressGenerator, permit turn.PermissionHandler) signaling.ICEServer {
	t.Helper()
	const user, password = "user", "password"
	server, err := turn.NewServer(turn.ServerConfig{
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard},
		AuthHandler: func(r *turn.RequestAttributes) (string, []byte, bool) {
			return r.Username, turn.GenerateAuthKey(user, r.Realm, password), r.Username == user
		},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: conn, RelayAddressGenerator: addresses, PermissionHandler: permit}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return signaling.ICEServer{URLs: []string{"turn:" + conn.LocalAddr().String()}, Username: user, Credential: password}
}

// A recorder keeps what is written to a Store.
type recorder struct {
	signaling.Store

	mu           sync.Mutex // guards what follows
	descriptions []signaling.Description
	candidates   []signaling.Candidate
}

func (r *recorder) keep(d signaling.Description) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.descriptions = append(r.descriptions, d)
}

func (r *recorder) written() ([]signaling.Description, []signaling.Candidate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.descriptions, r.candidates
}

func (r *recorder) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	r.keep(d)
	return r.Store.Offer(ctx, t, d)
}

func (r *recorder) Reoffer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	r.keep(d)
	return r.Store.Reoffer(ctx, t, d)
}

func (r *recorder) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	r.keep(d)
	return r.Store.Answer(ctx, t, to, d)
}

func (r *recorder) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	r.mu.Lock()
	r.candidates = append(r.candidates, c...)
	r.mu.Unlock()
	return r.Store.AddCandidates(ctx, t, at, c...)
}

// discreet looks for the addresses of a machine in what its side wrote.
func (r *recorder) discreet(t *testing.T, address string) {
	t.Helper()
	descriptions, candidates := r.written()
	if len(descriptions) == 0 || len(candidates) == 0 {
		t.Errorf("%d descriptions and %d candidates were written", len(descriptions), len(candidates))
	}
	for _, d := range descriptions {
		text := string(d)
		if strings.Contains(text, address) || strings.Count(text, "a=candidate") != strings.Count(text, " typ relay raddr 0.0.0.0 rport 9 ") {
			t.Errorf("the description tells an address: %s", text)
		}
	}
	for _, c := range candidates {
		var init struct{ Candidate string }
		if err := json.Unmarshal(c, &init); err != nil {
			t.Fatal(err)
		}
		if text := init.Candidate + " "; !strings.Contains(text, " typ relay raddr 0.0.0.0 rport 9 ") || strings.Contains(string(c), address) {
			t.Errorf("a candidate tells an address: %s", c)
		}
	}
}

// The candidates are not sealed here, so that the test can read them.
func TestRelays(t *testing.T) {
	const first, second = "10.0.0.1", "10.0.0.2" // the caller's address and the callee's
	for name, only := range map[string]struct{ caller, callee bool }{
		"both offer relays only":     {true, true},
		"the caller offers no other": {true, false},
		"the callee offers no other": {false, true},
		"a relay is what is left":    {false, false},
	} {
		t.Run("the two connect where "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 10*time.Millisecond), memstore.New(memstore.Limits{})
				relay := relayed(t, n)
				direct := &detour{senders: map[string]bool{}}
				n.router.AddChunkFilter(direct.pass)
				byCaller, byCallee := &recorder{Store: stripped{store}}, &recorder{Store: stripped{store}}
				config := quiet()
				config.ICEServers = []signaling.ICEServer{relay}
				config.RelayOnly = only.caller
				caller := n.calls(t, byCaller, room, config)
				config.RelayOnly = only.callee
				callee := n.answers(t, byCallee, room, config)
				from, to := pipeOf(t, caller), pipeOf(t, callee)
				talk(t, from, to)
				for side, p := range map[string]*peer.Pipe{"caller": from, "callee": to} {
					if p.Path != "relay" {
						t.Errorf("the %s's path is %q, want relay", side, p.Path)
					}
					if _, err := p.OpenApart(soon(t)); err == nil {
						t.Errorf("the %s has opened a connection beside it", side)
					}
				}
				if only.caller {
					byCaller.discreet(t, first)
					direct.without(t, first)
				}
				if only.callee {
					byCallee.discreet(t, second)
					direct.without(t, second)
				}
			})
		})
	}

	for address, hidden := range map[string]string{"127.0.0.1": "raddr 0.0.0.0 rport 9", "::1": "raddr :: rport 9"} {
		t.Run("the two connect by a relay at "+address, func(t *testing.T) {
			conn, err := net.ListenPacket("udp", net.JoinHostPort(address, "0"))
			if err != nil {
				t.Skip("this machine does not have it: ", err)
			}
			store, config := &recorder{Store: stripped{memstore.New(memstore.Limits{})}}, quiet()
			config.ICEServers = []signaling.ICEServer{relaying(t, conn, &turn.RelayAddressGeneratorStatic{RelayAddress: net.ParseIP(address), Address: address})}
			config.RelayOnly = true
			caller, callee := calling(t, store, room, config), answering(t, store, room, config)
			talk(t, pipeOf(t, caller), pipeOf(t, callee))
			_, candidates := store.written()
			for _, c := range candidates {
				if !strings.Contains(string(c), hidden) {
					t.Errorf("a candidate tells an address: %s", c)
				}
			}
		})
	}

	for name, bad := range map[string]signaling.ICEServer{
		"with an address that is none": {URLs: []string{"stun:a:b:c"}},
		"without an address":           {URLs: []string{""}},
		"of another protocol":          {URLs: []string{"http://example.org"}},
		"without a password":           {URLs: []string{"turn:10.0.0.3"}, Username: "user"},
		"without a user":               {URLs: []string{"turns:10.0.0.3"}, Credential: "password"},
		"with a query for none":        {URLs: []string{"stun:10.0.0.3?transport=udp"}},
	} {
		t.Run("a server "+name+" is left out, and the next one used", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store, log := newNetwork(t, 10*time.Millisecond), memstore.New(memstore.Limits{}), &logbook{}
				relay := relayed(t, n)
				config := quiet()
				config.RelayOnly, config.Log = true, log.logger()
				config.Discover = func(context.Context, signaling.Ticket, time.Duration) ([]signaling.ICEServer, error) {
					return []signaling.ICEServer{bad, relay}, nil
				}
				caller, callee := n.calls(t, store, room, config), n.answers(t, store, room, config)
				talk(t, pipeOf(t, caller), pipeOf(t, callee))
				if lines := log.count("left out an ICE server"); lines != 2 {
					t.Errorf("%d lines in the log about it, want one of each side", lines)
				}
			})
		})
	}
}

// A detour lets through what goes by the relay, and remembers who tried without.
type detour struct {
	mu      sync.Mutex // guards what follows
	senders map[string]bool
}

func (d *detour) pass(c vnet.Chunk) bool {
	from, to := host(c.SourceAddr()), host(c.DestinationAddr())
	if from == relayAddress || to == relayAddress {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.senders[from] = true
	return false
}

func (d *detour) without(t *testing.T, address string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.senders[address] {
		t.Errorf("%s sent packets that tell its address", address)
	}
}

func host(a net.Addr) string {
	h, _, _ := net.SplitHostPort(a.String())
	return h
}
