package pionnet

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5/stdnet"
	"github.com/pion/turn/v5"
	"github.com/pion/webrtc/v4"
)

// A program hears of a server that no longer takes the credentials, and not of other refusals.
func TestRefusals(t *testing.T) {
	for _, over := range []string{"udp", "tcp"} {
		t.Run("over "+over, func(t *testing.T) {
			var ended atomic.Bool
			at := aTURNServer(t, func(a *turn.RequestAttributes) (string, []byte, bool) {
				return a.Username, turn.GenerateAuthKey(a.Username, a.Realm, "password"), !ended.Load()
			})
			machine, err := stdnet.NewNet()
			if err != nil {
				t.Fatal(err)
			}
			heard := make(chan struct{}, 9)
			network := NewTURNNet(t.Context(), machine, []webrtc.ICEServer{{Username: "user", Credential: "password"}}, nil, nil, func() { heard <- struct{}{} })
			conn, err := network.reach(over, at)
			if err != nil {
				t.Fatal(err)
			}
			client, _ := allocates(t, conn, at, "user", "password")
			peer, forbidden := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: 9}
			for range 2 { // the TURNNet answers the first one
				if err := client.CreatePermission(peer); err != nil {
					t.Fatal(err)
				}
				_ = client.CreatePermission(forbidden)
			}
			if len(heard) > 0 {
				t.Error("it was told of a peer that the server forbids")
			}
			ended.Store(true)
			if err := client.CreatePermission(peer); err == nil {
				t.Error("the server did not refuse")
			}
			select {
			case <-heard:
			case <-time.After(10 * time.Second):
				t.Error("it was not told")
			}
		})
	}
}

// A refusal counts if it answers a request of this side, comes from the server, and comes for the first time.
func TestForgedRefusals(t *testing.T) {
	refusal := func(id transaction) []byte {
		m, err := stun.Build(stun.NewTransactionIDSetter(id), stun.NewType(stun.MethodRefresh, stun.ClassErrorResponse), stun.CodeUnauthorized)
		if err != nil {
			t.Fatal(err)
		}
		return m.Raw
	}
	request, err := stun.Build(stun.TransactionID, stun.NewType(stun.MethodRefresh, stun.ClassRequest))
	if err != nil {
		t.Fatal(err)
	}
	id, other := request.TransactionID, transaction{1}
	machine, err := stdnet.NewNet()
	if err != nil {
		t.Fatal(err)
	}
	heard := 0
	network := NewTURNNet(t.Context(), machine, nil, nil, nil, func() { heard++ })

	t.Run("over udp", func(t *testing.T) {
		heard = 0
		conn, err := network.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() }) // nothing is on its way
		var ends [2]net.PacketConn
		for i := range ends {
			if ends[i], err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil { //nolint:noctx // of a test
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = ends[i].Close() })
		}
		server, stranger := ends[0], ends[1]
		if _, err := conn.WriteTo(request.Raw, server.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			from net.PacketConn
			id   transaction
			want int
		}{{server, other, 0}, {stranger, id, 0}, {server, id, 1}, {server, id, 1}} {
			if _, err := step.from.WriteTo(refusal(step.id), conn.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if _, _, err := conn.ReadFrom(make([]byte, 1500)); err != nil {
				t.Fatal(err)
			}
			if heard != step.want {
				t.Errorf("%d refusals were believed, want %d", heard, step.want)
			}
		}
	})

	t.Run("over tcp", func(t *testing.T) {
		heard = 0
		listener, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // of a test
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		conn, err := network.Dial("tcp4", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		if _, err := conn.Write(request.Raw); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			id   transaction
			want int
		}{{other, 0}, {id, 1}, {id, 1}} {
			message := refusal(step.id)
			if _, err := server.Write(message); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, make([]byte, len(message))); err != nil {
				t.Fatal(err)
			}
			if heard != step.want {
				t.Errorf("%d refusals were believed, want %d", heard, step.want)
			}
		}
	})

	t.Run("of a request that is long ago", func(t *testing.T) {
		heard = 0
		p := network.permits()
		for i := range 2 * maxPending {
			p.expect(append(append([]byte(nil), request.Raw[:8]...), append([]byte{byte(i)}, request.Raw[9:]...)...))
		}
		if len(p.pending) != maxPending {
			t.Errorf("%d requests are kept", len(p.pending))
		}
	})
}

// aTURNServer returns the address of a server over UDP and TCP, which forbids one peer.
func aTURNServer(t *testing.T, authenticate turn.AuthHandler) string {
	t.Helper()
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp4", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	addresses := &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"}
	permit := func(_ net.Addr, peer net.IP) bool { return !peer.Equal(net.IPv4(127, 0, 0, 2)) }
	server, err := turn.NewServer(turn.ServerConfig{
		Realm: "example.org", AuthHandler: authenticate, LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: udp, RelayAddressGenerator: addresses, PermissionHandler: permit}},
		ListenerConfigs:   []turn.ListenerConfig{{Listener: tcp, RelayAddressGenerator: addresses, PermissionHandler: permit}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return tcp.Addr().String()
}
